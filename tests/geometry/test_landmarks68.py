"""68 landmarks: where they are in the picture, over time, and in metres."""

from __future__ import annotations

import dataclasses
import logging

import cv2
import numpy as np
import pytest

from rtrecon.faces.align import Crop
from rtrecon.geometry.landmarks68 import landmarks_filter, landmarks_in_camera
from rtrecon.geometry.stage import GeometryStage
from rtrecon.types import Intrinsics
from tests.geometry import scenes
from tests.geometry.scenes import CAMERA, DISTORTED, project, rotation

RATE_HZ = 30.0
LENGTH_PX = 100.0


def shape() -> np.ndarray:
    """(68, 2) about the origin, as large as a face of `LENGTH_PX`."""
    return np.random.default_rng(5).uniform(-LENGTH_PX, LENGTH_PX, (68, 2))


def run(series: np.ndarray) -> np.ndarray:
    smooth = landmarks_filter()
    return np.stack([smooth(points, LENGTH_PX, 1 / RATE_HZ) for points in series])


def with_landmarks(scene, crop, points_picture: np.ndarray):
    shares = (crop.to_crop(points_picture.astype(np.float32)) + 0.5) / scenes.SIZE
    return dataclasses.replace(scene.relief(crop), landmarks68=shares.astype(np.float32))


@pytest.mark.parametrize("camera", [CAMERA, DISTORTED])
def test_points_of_the_surface_come_back_in_metres(camera) -> None:
    scene = scenes.ellipsoid(0.6, rotation(20, 5, 8), camera)
    crop = scene.crop()
    rng = np.random.default_rng(0)
    middle = scene.face().landmarks_px.mean(axis=0)
    points = middle + rng.uniform(-35, 35, (68, 2))
    rays = scenes.rays_of(points, camera)
    truth = np.column_stack([rays, np.ones(68)]) * scene.shape(rays)[:, None]
    face = scene.reconstruct(with_landmarks(scene, crop, points), crop)
    assert face.landmarks68_px is not None
    assert face.landmarks68_px.dtype == np.float32
    np.testing.assert_allclose(face.landmarks68_px, points, atol=1e-3)
    assert face.landmarks68_camera is not None
    assert face.landmarks68_camera.dtype == np.float32
    np.testing.assert_allclose(face.landmarks68_camera, truth, atol=2e-4)
    assert face.landmarks68_camera is face.landmarks68_camera  # made once


def test_points_off_the_face_take_the_nearest_surface() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    crop = scene.crop()
    middle = scene.face().landmarks_px.mean(axis=0)
    points = np.tile(middle, (68, 1))
    points[0] += (-160, 0)  # beside the head
    points[1] += (0, 4000)  # beside the crop
    face = scene.reconstruct(with_landmarks(scene, crop, points), crop)
    marks = face.landmarks68_camera
    assert marks is not None
    assert np.isfinite(marks).all()
    rim = face.points_camera[np.argmin(project(face.points_camera, CAMERA)[:, 0])]
    assert marks[0, 2] == pytest.approx(rim[2], abs=0.015)  # the rim falls away steeply
    # Each stays on its own ray.
    np.testing.assert_allclose(project(marks.astype(np.float64), CAMERA), points, atol=1e-2)


def test_the_nearest_is_the_nearest_of_all_pixels() -> None:
    rng = np.random.default_rng(3)
    valid = cv2.blur(rng.random((40, 40)), (7, 7)) > 0.5  # a ragged face with holes
    valid[:3, 20:] = True  # up to the edge
    z = rng.uniform(0.4, 0.6, valid.shape).astype(np.float32)
    points = rng.uniform(-30.0, 70.0, (68, 2)).astype(np.float32)
    crop = Crop(np.eye(2, 3), 40, 40.0)
    marks = landmarks_in_camera(points, z, valid, crop, Intrinsics(50.0, 50.0, 20.0, 20.0, 40, 40))
    rows, columns = np.nonzero(valid)
    for (x, y), depth in zip(points, marks[:, 2], strict=True):
        beside = not (0 <= x <= 39 and 0 <= y <= 39)
        around = valid[max(int(y), 0) : int(y) + 2, max(int(x), 0) : int(x) + 2]
        if beside or not around.any():
            k = np.argmin((columns - x) ** 2 + (rows - y) ** 2)
            assert depth == z[rows[k], columns[k]]


def test_without_a_face_there_is_no_depth() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    face = scene.reconstruct(with_landmarks(scene, scene.crop(), np.full((68, 2), 200.0)))
    face.grid.valid[:] = False
    assert face.landmarks68_camera is not None
    assert np.isnan(face.landmarks68_camera).all()


def test_model_without_landmarks() -> None:
    face = scenes.ellipsoid(0.6, rotation()).reconstruct()
    assert face.landmarks68_px is face.landmarks68_camera is None


def test_not_finite_is_dropped_said_once_and_counted(caplog) -> None:
    caplog.set_level(logging.WARNING, "rtrecon")
    scene = scenes.ellipsoid(0.6, rotation())
    crop = scene.crop()
    stage = GeometryStage(ipd_mm=scene.ipd_m * 1e3)
    points = np.full((68, 2), 300.0)
    good, bad = with_landmarks(scene, crop, points), with_landmarks(scene, crop, points)
    assert bad.landmarks68 is not None
    bad.landmarks68[3, 1] = np.nan
    answers = [
        scene.reconstruct(prediction, crop, stage, k * 33_000_000)
        for k, prediction in enumerate((good, bad, bad, good))
    ]
    assert answers[1].landmarks68_px is answers[2].landmarks68_px is None
    assert answers[3].landmarks68_px is not None
    np.testing.assert_allclose(answers[3].landmarks68_px, points, atol=1e-3)
    assert stage.landmarks_dropped == 2
    assert len(caplog.records) == 1


def test_a_still_face_is_steadier() -> None:
    rng = np.random.default_rng(1)
    series = shape() + rng.normal(0, 0.3, (200, 68, 2))
    out = run(series)
    raw, smooth = (np.abs(np.diff(s[30:], axis=0)).mean() for s in (series, out))
    assert smooth < 0.35 * raw
    assert np.abs(out[50:].mean(axis=0) - shape()).max() < 0.15


def test_a_face_that_moves_is_not_left_behind() -> None:
    t = np.arange(60) / RATE_HZ
    series = shape() + np.stack([200.0 * t, 0 * t], axis=1)[:, None]  # two lengths a second
    behind = (series - run(series))[20:, :, 0]
    assert behind.max() < 0.015 * LENGTH_PX


def test_a_mouth_that_talks_leaves_the_jaw_line_still() -> None:
    rng = np.random.default_rng(1)
    t = np.arange(150) / RATE_HZ
    series = shape() + rng.normal(0, 0.3, (150, 68, 2))
    lift = 8.0 * np.sin(2 * np.pi * 2.5 * t)
    series[:, 48:, 1] += lift[:, None]
    out = run(series)
    jaw = np.abs(np.diff(out[30:, :17], axis=0)).mean()
    assert jaw < 0.35 * np.abs(np.diff(series[30:, :17], axis=0)).mean()
    mouth = out[30:, 48:, 1].mean(axis=1)
    assert np.ptp(mouth) > 0.8 * np.ptp(lift[30:])
