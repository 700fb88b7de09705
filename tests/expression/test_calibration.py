"""What is neutral and what is much for one person."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.expression.calibration import LEAST_REACH, MOST_NEUTRAL, Calibration

NAMES = ("mouthSmileLeft", "jawOpen")


def taught(series: np.ndarray, rate_hz: float = 30.0) -> Calibration:
    calibration = Calibration.none(NAMES)
    for values in series:
        calibration = calibration.learn(values.astype(np.float32), 1 / rate_hz)
    return calibration


def test_neutral_reads_zero_and_full_stays_full() -> None:
    calibration = Calibration(NAMES, np.array([0.2, 0.0]), np.ones(2))
    rows = np.array([[0.2, 0.5], [1.0, 1.0], [0.6, 0.0], [0.1, 0.2]], dtype=np.float32)
    np.testing.assert_allclose(
        calibration.apply(rows), [[0, 0.5], [1, 1], [0.5, 0], [0, 0.2]], atol=1e-6
    )
    np.testing.assert_allclose(calibration.apply(rows[2]), [0.5, 0], atol=1e-6)
    np.testing.assert_array_equal(Calibration.none(NAMES).apply(rows), rows)


def test_reach_stretches() -> None:
    calibration = Calibration(NAMES, np.array([0.2, 0.0]), np.array([0.5, 0.8]))
    np.testing.assert_allclose(calibration.apply(np.float32([0.6, 0.4])), [1.0, 0.5], atol=1e-6)


def test_a_face_at_rest_is_learnt() -> None:
    rng = np.random.default_rng(0)
    rest = np.clip(np.array([0.25, 0.02]) + rng.normal(0, 0.01, (30 * 300, 2)), 0, 1)
    neutral = taught(rest).neutral
    assert 0.2 < neutral[0] < 0.26
    assert neutral[1] < 0.03


def test_a_long_smile_does_not_become_neutral() -> None:
    smiling = np.tile([0.9, 0.0], (30 * 30, 1))
    assert taught(smiling).neutral[0] < 0.06
    assert taught(np.tile([0.9, 0.0], (30 * 3600, 1))).neutral[0] <= MOST_NEUTRAL


def test_what_is_never_shown_in_full_is_stretched() -> None:
    rng = np.random.default_rng(0)
    jaw = np.abs(rng.normal(0, 0.3, 30 * 600)).clip(0, 0.6)
    series = np.stack([np.full_like(jaw, 0.1), jaw], axis=1)
    reach = taught(series).reach
    assert reach[0] == 1.0  # at rest it learns nothing
    assert LEAST_REACH <= reach[1] < 0.9


def test_learning_gives_a_new_one_and_leaves_gaps_alone() -> None:
    first = Calibration.none(NAMES)
    second = first.learn(np.float32([0.5, np.nan]), 3600.0)
    assert first.neutral[0] == 0.0
    assert 0.0 < second.neutral[0] < 0.01  # an hour away teaches no more than half a second
    assert second.neutral[1] == 0.0


def test_from_a_second_at_rest() -> None:
    samples = np.float32([[0.1, 0.0], [0.2, 0.9], [0.3, np.nan]])
    calibration = Calibration.at_rest(NAMES, samples)
    np.testing.assert_allclose(calibration.neutral, [0.2, MOST_NEUTRAL], atol=1e-6)
    for wrong in (samples[:0], samples[:, :1], samples[0]):
        with pytest.raises(DataError, match="at rest"):
            Calibration.at_rest(NAMES, wrong)


def test_kept_in_a_file() -> None:
    calibration = Calibration(NAMES, np.array([0.125, 0.0]), np.array([1.0, 0.75]))
    data = json.loads(json.dumps(calibration.to_json()))
    again = Calibration.from_json((*NAMES, "tongueOut"), data)
    np.testing.assert_allclose(again.neutral, [0.125, 0, 0])
    np.testing.assert_allclose(again.reach, [1.0, 0.75, 1.0])
    for wrong in ({}, [], {"neutral": 3, "reach": {}}, {"neutral": {"jawOpen": "x"}, "reach": {}}):
        with pytest.raises(DataError, match="not a calibration"):
            Calibration.from_json(NAMES, wrong)  # type: ignore[arg-type]
    for number in (0.9, float("nan")):
        with pytest.raises(DataError, match="not so for jawOpen"):
            Calibration.from_json(NAMES, {"neutral": {"jawOpen": number}, "reach": {}})
