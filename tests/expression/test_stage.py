"""Coefficients as the caller gets them."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from rtrecon.depth.model import DepthPrediction
from rtrecon.expression.stage import ExpressionStage

NAMES = ("jawOpen", "browInnerUp")
STEP_NS = 33_000_000


def said(*values: float, names: tuple[str, ...] = NAMES) -> DepthPrediction:
    return DepthPrediction(
        np.zeros((4, 4), np.float32),
        None,
        "relief",
        expression=np.array(values, dtype=np.float32),
        expression_names=names,
    )


def test_pictures_are_raw_and_video_is_filtered() -> None:
    still, live = ExpressionStage(temporal=False), ExpressionStage()
    for stage in (still, live):
        stage.update(0, said(0.0, 0.0), 0)
    picture, frame = (
        still.update(0, said(0.8, 1.2), STEP_NS),
        live.update(0, said(0.8, 1.2), STEP_NS),
    )
    np.testing.assert_allclose(picture, [0.8, 1.0])
    assert frame is not None
    assert 0.0 < frame["jawOpen"] < 0.8
    assert frame.names == NAMES


def test_each_face_by_itself_and_anew_after_a_loss() -> None:
    stage = ExpressionStage()
    stage.update(0, said(0.0, 0.0), 0)
    stage.update(1, said(1.0, 1.0), 0)
    other = stage.update(1, said(1.0, 1.0), STEP_NS)
    np.testing.assert_array_equal(other, [1.0, 1.0])
    stage.forget([1])
    np.testing.assert_array_equal(stage.update(0, said(1.0, 0.5), STEP_NS), [1.0, 0.5])


def test_without_coefficients() -> None:
    prediction = DepthPrediction(np.zeros((4, 4), np.float32), None, "relief")
    assert ExpressionStage().update(0, prediction, 0) is None


@pytest.mark.parametrize("temporal", [True, False])
def test_what_is_not_finite_is_dropped_said_once_and_counted(temporal, caplog) -> None:
    caplog.set_level(logging.WARNING, "rtrecon")
    stage = ExpressionStage(temporal)
    first = stage.update(0, said(np.nan, 0.2), 0)
    np.testing.assert_allclose(first, [0.0, 0.2])
    stage.update(0, said(0.4, 0.2), STEP_NS)
    bad = stage.update(0, said(np.inf, np.nan), 2 * STEP_NS)
    assert np.isfinite(np.asarray(bad)).all()
    after = [stage.update(0, said(0.4, 0.2), k * STEP_NS) for k in range(3, 60)][-1]
    np.testing.assert_allclose(after, [0.4, 0.2], atol=1e-3)
    assert stage.dropped == 3
    assert len(caplog.records) == 1
    assert "not finite (jawOpen)" in caplog.text


def test_calibration_is_switched_on_and_outlives_a_loss() -> None:
    plain, learning = ExpressionStage(), ExpressionStage(calibrate=True)
    for k in range(3000):
        for stage in (plain, learning):
            stage.update(7, said(0.3, 0.0), k * STEP_NS)
    learning.forget([])
    t_ns = 3001 * STEP_NS
    assert plain.calibration(7) is None
    calibration = learning.calibration(7)
    assert calibration is not None
    assert calibration.neutral[0] > 0.1
    answer = learning.update(7, said(0.3, 0.0), t_ns)
    assert answer is not None
    assert answer["jawOpen"] < 0.25
    np.testing.assert_allclose(plain.update(7, said(0.3, 0.0), t_ns), [0.3, 0.0], atol=1e-3)


def test_no_end_of_people() -> None:
    stage = ExpressionStage(calibrate=True)
    for person in range(200):
        stage.update(person, said(0.3, 0.0), person * STEP_NS)
        stage.forget([person])
    assert stage.calibration(0) is None
    assert stage.calibration(199) is not None
