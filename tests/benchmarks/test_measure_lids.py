"""The constants of lids, from what a model is made to say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("moderngl")

import measure_lids
from measure_lids import LEVELS, TURNS, Said


def said(shut: float, leak: float) -> Said:
    """A model that says ``shut`` of a closed eye, ``leak`` of that of the other, 0.06 of open."""
    levels = np.array(LEVELS) * shut
    wink = np.stack([levels, levels * leak], axis=1)
    opened = np.full((len(TURNS), 2), 0.06)
    return Said(opened, np.stack([levels, levels], axis=1), wink, wink[:, ::-1])


def test_constants() -> None:
    lines = measure_lids.report([said(0.8, 0.2), said(0.7, 0.2), said(0.9, 0.2)])
    found = {line.split()[0]: line.split()[1] for line in lines if line.startswith("_")}
    assert found["_OPEN"] == "0.06"
    assert float(found["_SHUT"]) == pytest.approx(0.7, abs=0.03)
    assert found["_LEAK"] == "1.50"
    bands = next(line for line in lines if line.startswith("_BLINK_BAND"))
    assert "blinks 0.00 (at most 0.00), winks 0.80" in bands
    assert "| 0.5 | 0.40 / 0.40 | 0.40 / 0.08 |" in lines


def test_one_act_a_level() -> None:
    acts = measure_lids.acts()
    assert len(acts) == len(TURNS) + 3 * len(LEVELS)
    assert acts[-1] == ((0.0, 0.0, 0.0), {"eyeBlink_R": 1.0})
