"""Differences are in the output's unit and judged against its spread."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.models.parity import compare


def _ramp(high: float):
    return [np.linspace(0.0, high, 101, dtype=np.float32).reshape(1, 101)]


def test_difference_in_the_unit() -> None:
    reference = _ramp(10.0)
    found = [reference[0].copy()]
    found[0][0, 50] += 0.2
    parity = compare("fp16", "m", reference, found)
    assert parity.max_abs == pytest.approx(0.2, abs=1e-5)
    assert parity.mean_abs == pytest.approx(0.2 / 101, abs=1e-5)
    assert parity.spread == pytest.approx(9.6, abs=1e-3)
    assert parity.passed
    assert "0.2 m" in str(parity)


def test_too_far_or_not_finite_fails() -> None:
    reference = _ramp(10.0)
    assert not compare("fp32", "m", reference, [reference[0] + 0.1]).passed
    spoilt = [reference[0].copy()]
    spoilt[0][0, 0] = np.nan
    parity = compare("fp16", "m", reference, spoilt)
    assert not parity.passed
    assert "not finite" in str(parity)


def test_flat_output_is_judged_by_a_least_spread() -> None:
    flat = [np.full((1, 8), 1e-8, dtype=np.float32)]
    assert compare("fp16", "m", flat, [flat[0] * 0.0]).passed
    assert not compare("fp16", "m", flat, [flat[0] + 1.0]).passed
