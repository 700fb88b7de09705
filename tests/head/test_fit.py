"""A head of known shape is found again in what is seen of it."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.head import fit
from rtrecon.head.fit import fit_head, placed_head
from tests.head.seen_heads import head_of, person, seen, shape_error_m


def angle_deg(A: np.ndarray, B: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(A.T @ B) - 1) / 2, -1, 1))))


@pytest.mark.parametrize("turn", [(0, 0, 0), (25, 5, 3), (-35, -5, 0)])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_shape_is_found(turn, seed) -> None:
    truth = head_of(person(seed), turn)
    face = seen(truth, turn_error=(3, -2, 1))
    fitted, mean = fit_head(face), placed_head(face)
    assert angle_deg(fitted.R, truth.R) < 2.0
    assert shape_error_m(fitted, truth) < 0.0015
    assert shape_error_m(fitted, truth) < 0.4 * shape_error_m(mean, truth)


def test_the_size_of_a_child_is_its_own() -> None:
    truth = head_of(person(3, 0.5), scale=0.85)
    fitted = fit_head(seen(truth), ipd_m=0.85 * truth.model.ipd_m)
    assert shape_error_m(fitted, truth) < 0.002
    assert fitted.scale == pytest.approx(0.85, rel=0.05)


def test_a_face_without_landmarks_or_expression_is_fitted_to_its_depth() -> None:
    truth = head_of(person(4))
    face = seen(truth, landmarks=False, expression=False)
    fitted = fit_head(face)
    assert shape_error_m(fitted, truth) < 0.7 * shape_error_m(placed_head(face), truth)
    assert fitted.coefficients.max() < 0.5


def test_too_little_depth_gives_the_mean_head_and_says_so(caplog, monkeypatch) -> None:
    monkeypatch.setattr(fit, "_said", set())
    face = seen(head_of(person(5)))
    face.grid.valid[:] = False
    with caplog.at_level(logging.WARNING, "rtrecon"):
        fitted = [fit_head(face) for _ in range(2)][1]
    assert caplog.text.count("too little") == 1
    assert len(fitted.identity) == 0
    np.testing.assert_allclose(fitted.vertices_camera(), placed_head(face).vertices_camera())


def test_a_face_without_a_pose_is_refused() -> None:
    face = seen(head_of(person(5)))
    face.T_camera_face[:] = np.nan
    with pytest.raises(DataError, match="T_camera_face"):
        fit_head(face)
