"""A head of known shape is found again in what is seen of it."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.head import fit
from rtrecon.head.fit import fit_head, fit_heads, fit_known, new_person, placed_head
from rtrecon.types import Expression
from tests.head.seen_heads import CAMERA, CROP, SIZE, head_of, person, seen, shape_error_m


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


def test_other_pictures_of_the_person_help() -> None:
    """With depth that errs by itself in each, and a face that is never the same."""
    truth = person(6)
    known = new_person()
    views = [(0, 0, 0), (20, 5, 0), (-25, 0, 0), (45, 0, 0), (-10, -10, 0), (5, 8, 0)]
    errors = {"alone": [], "known": []}
    for k, turn in enumerate(views):
        head = head_of(truth, turn, jawOpen=0.15 * k)
        face = seen(head, noise_m=0.004, seed=k)
        errors["alone"].append(shape_error_m(fit_head(face), head))
        errors["known"].append(shape_error_m(fit_known(face, known), head))
    assert known.frames == len(views)
    assert np.mean(errors["known"][2:]) < np.mean(errors["alone"][2:])


def test_a_jaw_that_opens_more_than_the_network_says_is_not_a_longer_face() -> None:
    head = head_of(person(7), jawOpen=0.6)
    face = seen(head)
    said = head_of(person(7), jawOpen=0.4)
    face.expression = Expression(head.model.expression_names, said.coefficients)
    fitted = fit_head(face)
    rest = dataclasses.replace(head, coefficients=np.zeros_like(head.coefficients))
    chin = head.model.landmarks[8]
    longer = fitted.at_rest()[chin, 1] - rest.at_rest()[chin, 1]
    opened = head.vertices_head()[chin, 1] - head.at_rest()[chin, 1]
    assert abs(longer) < 0.25 * opened
    jaw = head.model.expression_names.index("jawOpen")
    assert fitted.coefficients[jaw] > 0.45


@pytest.mark.parametrize("seed", range(4))
def test_holes_and_outliers_make_no_worse_than_the_mean_head(seed) -> None:
    truth = head_of(person(20 + seed), (15 * seed, 0, 0))
    face = seen(truth, noise_m=0.003, seed=seed)
    rng = np.random.default_rng(seed)
    points, valid = face.grid.points_camera, face.grid.valid
    for _ in range(6):  # holes, and things before the face
        y, x = rng.integers(20, 150, 2)
        valid[y : y + 25, x : x + 25] = False
        y, x = rng.integers(20, 150, 2)
        points[y : y + 15, x : x + 15] *= np.float32(rng.uniform(0.8, 0.97))
    assert shape_error_m(fit_head(face), truth) < shape_error_m(placed_head(face), truth)


def test_the_head_stays_within_the_outline() -> None:
    """A narrow face whose depth says nothing: cheeks and jaw come in to where it ends."""
    truth = head_of(person(8))
    face = seen(truth, landmarks=False)
    pixels = np.arange(SIZE)
    middle = 92
    face.grid.valid[:, abs(pixels - middle) > 42] = False
    outline_m = 42 * CROP.side_px / SIZE / CAMERA.fx * 0.55
    widths = []
    for head in (placed_head(face), fit_head(face)):
        X = head.vertices_camera()[:6706]
        cheeks = X[abs(X[:, 1] - 0.03) < 0.02]
        widths.append(float(np.abs(cheeks[:, 0] - head.t[0]).max()))
    assert widths[1] - outline_m < 0.5 * (widths[0] - outline_m)


def test_values_that_are_not_finite_are_left_out() -> None:
    head = head_of(person(9))
    face, clean = seen(head), seen(head)
    assert face.landmarks68_px is not None
    face.landmarks68_px[3] = np.nan
    values = head.coefficients.copy()
    values[5] = np.nan
    face.expression = Expression(head.model.expression_names, values)
    fitted = fit_head(face)
    assert np.isfinite(fitted.vertices_camera()).all()
    assert shape_error_m(fitted, head) < 2.0 * shape_error_m(fit_head(clean), head) + 0.001


def test_pictures_of_one_person_have_one_identity() -> None:
    truth = person(10)
    heads = [head_of(truth, turn) for turn in [(0, 0, 0), (25, 0, 0), (-20, 5, 0)]]
    faces = [seen(head, noise_m=0.003, seed=k) for k, head in enumerate(heads)]
    fitted = fit_heads(faces)
    for found, head, face in zip(fitted, heads, faces, strict=True):
        np.testing.assert_array_equal(found.identity, fitted[0].identity)
        assert angle_deg(found.R, head.R) < 2.0
        assert shape_error_m(found, head) < 0.5 * shape_error_m(placed_head(face), head)


@pytest.mark.parametrize(
    ("turn", "hidden", "landmarks"),
    [
        ((75, 0, 0), None, True),
        ((0, 0, 0), np.s_[:, :96], True),  # half a face
        ((0, 0, 0), np.s_[110:, :], True),  # a mask over mouth and chin
        ((0, 0, 0), np.s_[:80, :], False),
    ],
)
def test_profiles_and_parts_of_faces(turn, hidden, landmarks) -> None:
    truth = head_of(person(50), turn)
    face = seen(truth, landmarks=landmarks, noise_m=0.002, turn_error=(3, 2, 0))
    if hidden is not None:
        face.grid.valid[hidden] = False
    assert shape_error_m(fit_head(face), truth) < 0.7 * shape_error_m(placed_head(face), truth)


def test_a_strip_of_skin_moves_the_head_nowhere() -> None:
    truth = head_of(person(50))
    face = seen(truth, landmarks=False, noise_m=0.002, turn_error=(3, 2, 0))
    face.grid.valid[:, :130] = False
    fitted, placed = fit_head(face), placed_head(face)
    assert shape_error_m(fitted, truth) < 1.3 * shape_error_m(placed, truth)
    assert fitted.scale == pytest.approx(1.0, abs=0.05)
