"""Reconstruction of analytic shapes: metres out of a perfect network's answer."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.faces.align import Crop
from rtrecon.geometry.stage import GeometryStage
from tests.geometry import scenes
from tests.geometry.scenes import CAMERA, DISTORTED, OFF_CENTRE, Scene, rotation

MM = 1e-3
TURNS = [(0, 0, 0), (45, 0, 0), (-45, 0, 0), (20, 15, 10), (0, -25, 30)]


def in_picture(scene: Scene, crop) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(scenes.SIZE), np.arange(scenes.SIZE))
    M = crop.M_picture_crop
    x, y = np.tensordot(M, np.stack([columns, rows, np.ones_like(rows)]), 1)
    return (x >= 0) & (y >= 0) & (x < scene.camera.width) & (y < scene.camera.height)


def depth_error(scene: Scene, face, crop) -> np.ndarray:
    """(n,) absolute depth errors in metres over the face."""
    truth = scene.depth(crop)
    truth[~in_picture(scene, crop)] = np.nan
    both = np.isfinite(face.depth_m) & np.isfinite(truth)
    assert both.sum() > 0.95 * np.isfinite(truth).sum()
    return np.abs(face.depth_m[both] - truth[both])


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("kind", ["landmarks", "box"])
def test_ellipsoid_head_is_exact(turn, kind) -> None:
    scene = scenes.ellipsoid(0.6, rotation(*turn))
    crop = scene.crop(kind, 3.8 if kind == "landmarks" else 1.4)
    face = scene.reconstruct(crop=crop)
    assert depth_error(scene, face, crop).max() < 0.1 * MM
    assert face.z_ref_m == pytest.approx(scene.z_ref_m, abs=0.1 * MM)


@pytest.mark.parametrize("yaw_deg", [30, -30, 45, -45])
def test_narrow_round_head(yaw_deg) -> None:
    """At 45 degrees an eye of this head lies on its silhouette, and its depth is not exact: a
    known limit of a single frame, held here so that it does not grow."""
    scene = scenes.ellipsoid(0.6, rotation(yaw_deg), semi_axes_m=(0.075, 0.11, 0.095))
    crop = scene.crop()
    face = scene.reconstruct(crop=crop)
    if abs(yaw_deg) < 40:
        assert depth_error(scene, face, crop).max() < 0.1 * MM
    else:
        assert face.z_ref_m == pytest.approx(scene.z_ref_m, rel=0.065)


@pytest.mark.parametrize("distance_m", [0.3, 0.6, 2.0])
def test_sphere_is_exact(distance_m) -> None:
    scene = scenes.ellipsoid(distance_m, rotation(10, 5), semi_axes_m=(0.1, 0.1, 0.1))
    crop = scene.crop()
    assert depth_error(scene, scene.reconstruct(crop=crop), crop).max() < 0.1 * MM


@pytest.mark.parametrize("turn", [(0, 0, 0), (30, 0, 0), (0, -30, 15)])
def test_plane_is_exact_and_its_normals_are_one(turn) -> None:
    scene = scenes.plane(0.7, rotation(*turn))
    crop = scene.crop()
    face = scene.reconstruct(crop=crop)
    assert depth_error(scene, face, crop).max() < 0.1 * MM
    toward_camera = -rotation(*turn)[:, 2]
    angles = np.degrees(np.arccos(np.clip(face.normals @ toward_camera, -1, 1)))
    assert np.median(angles) < 0.1
    assert angles.max() < 1.5


def test_relief_along_its_ray_does_not_depend_on_the_place_in_the_picture() -> None:
    """A sphere looks the same from every side: along the ray its relief has no slope."""
    slopes = []
    for at in ((0.0, 0.0), (0.2, -0.12)):
        scene = scenes.ellipsoid(0.6, rotation(0), semi_axes_m=(0.1, 0.1, 0.1), at=at)
        crop = scene.crop()
        rows, columns = np.nonzero(np.isfinite(scene.depth(crop)))
        design = np.stack([np.ones(len(rows)), columns, rows], axis=1)
        for prediction in (scene.relief(crop), scene.relief_along_ray(crop)):
            values = prediction.value[rows, columns]
            fit = np.linalg.lstsq(design, values, rcond=None)[0]
            slopes.append(float(np.linalg.norm(fit[1:])) * scenes.SIZE)
    _, middle, across, along = slopes
    assert across > 0.25
    assert abs(along - middle) < 0.1 * across


@pytest.mark.parametrize("camera", [OFF_CENTRE, DISTORTED])
@pytest.mark.parametrize("at", [(0.0, 0.0), (-0.12, 0.08)])
def test_any_camera(camera, at) -> None:
    scene = scenes.ellipsoid(0.55, rotation(15, -10, 5), camera, at=at)
    crop = scene.crop()
    face = scene.reconstruct(crop=crop)
    assert depth_error(scene, face, crop).max() < 0.1 * MM
    along_ray = scene.reconstruct(scene.relief_along_ray(crop), crop)
    assert depth_error(scene, along_ray, crop).max() < 0.1 * MM
    pixels = scenes.project(face.points_camera.astype(np.float64), camera)
    rows, columns = np.nonzero(np.isfinite(face.depth_m))
    M = crop.M_picture_crop
    expected = np.stack([columns, rows], axis=1) @ M[:, :2].T + M[:, 2]
    np.testing.assert_allclose(pixels, expected, atol=2e-3)


@pytest.mark.parametrize("turn", [(0, 0, 0), (30, 0, 0), (-30, 0, 0), (20, 15, 10)])
def test_normals_of_a_sphere(turn) -> None:
    scene = scenes.ellipsoid(0.6, rotation(*turn), semi_axes_m=(0.1, 0.1, 0.1))
    face = scene.reconstruct()
    center = np.array([0.02, -0.03, 0.6])
    truth = (face.points_camera - center) / np.linalg.norm(
        face.points_camera - center, axis=1, keepdims=True
    )
    np.testing.assert_allclose(np.linalg.norm(face.normals, axis=1), 1.0, atol=1e-5)
    facing = (truth * face.points_camera).sum(axis=1) < -0.4 * face.points_camera[:, 2]
    angles = np.degrees(np.arccos(np.clip((face.normals * truth).sum(axis=1), -1, 1)))
    assert angles[facing].max() < 2.0
    assert np.median(angles[facing]) < 0.1


def test_normals_with_distortion() -> None:
    scene = scenes.ellipsoid(0.5, rotation(), DISTORTED, (0.1, 0.1, 0.1), at=(0.1, -0.08))
    face = scene.reconstruct()
    truth = (face.points_camera - (0.1, -0.08, 0.5)) / 0.1
    facing = (truth * face.points_camera).sum(axis=1) < -0.4 * face.points_camera[:, 2]
    angles = np.degrees(np.arccos(np.clip((face.normals * truth).sum(axis=1), -1, 1)))
    assert np.median(angles[facing]) < 0.1


def test_depth_in_frame_is_depth_and_nothing_else() -> None:
    scene = scenes.ellipsoid(0.6, rotation(20, 5, 12))
    face = scene.reconstruct()
    depth = face.depth_in_frame((480, 640, 3))
    assert depth.shape == (480, 640)
    assert depth.dtype == np.float32
    truth = scene.picture_depth()
    known = np.isfinite(depth)
    # Half a pixel of the crop may stick out at the silhouette; no more.
    assert (known & np.isfinite(truth)).sum() > 0.97 * np.isfinite(truth).sum()
    assert (known & ~np.isfinite(truth)).sum() < 0.01 * known.sum()
    error = np.abs(depth - truth)[known & np.isfinite(truth)]
    assert np.median(error) < 0.05 * MM
    assert np.percentile(error, 95) < 0.5 * MM
    with pytest.raises(DataError, match="640x480"):
        face.depth_in_frame((720, 1280, 3))


@pytest.mark.parametrize("shift", [(200, 100), (-30, -20), (520, 350)])
def test_depth_in_frame_covers_the_crops_pixels_and_no_other(shift) -> None:
    """A crop that lies on the picture's own pixels gives back its own, to the last of its edge."""
    scene = scenes.ellipsoid(0.6, rotation(20, 5, 12))
    face = scene.reconstruct()
    face.crop = Crop(np.array([[1.0, 0, shift[0]], [0, 1.0, shift[1]]]), scenes.SIZE, scenes.SIZE)
    face.grid.valid[:] = False
    face.grid.valid[10:150, 0:70] = True
    face.grid.valid[100:, 60:] = True
    expected = np.full((480 + 400, 640 + 400), np.nan, dtype=np.float32)
    x, y = shift[0] + 200, shift[1] + 200
    expected[y : y + scenes.SIZE, x : x + scenes.SIZE] = np.where(
        face.grid.valid, face.grid.points_camera[:, :, 2], np.nan
    )
    expected = expected[200:680, 200:840]
    depth = face.depth_in_frame((480, 640))
    np.testing.assert_array_equal(np.isfinite(depth), np.isfinite(expected))
    np.testing.assert_allclose(depth, expected, atol=1e-6)


def test_depth_in_frame_ends_halfway_to_the_next_pixel_of_the_crop() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    face = scene.reconstruct()
    face.crop = Crop(np.array([[3.0, 0, 0], [0, 3.0, 0]]), scenes.SIZE, 3 * scenes.SIZE)
    face.grid.valid[:] = False
    face.grid.valid[60:100, 70:110] = True
    rows, columns = np.nonzero(np.isfinite(face.depth_in_frame((480, 640))))
    # Pixel 70 of the crop is at 210 of the picture, and reaches a pixel and a half to each side.
    assert (columns.min(), columns.max()) == (209, 328)
    assert (rows.min(), rows.max()) == (179, 298)


def test_face_at_the_edge_of_the_picture() -> None:
    scene = scenes.ellipsoid(0.6, rotation(), at=(0.02, 0.19))
    crop = scene.crop()
    face = scene.reconstruct(crop=crop)
    rows, columns = np.nonzero(face.grid.valid)
    M = crop.M_picture_crop
    pixels = np.stack([columns, rows], axis=1) @ M[:, :2].T + M[:, 2]
    assert (pixels[:, 1] <= 479.0).all()
    assert 0.2 < face.grid.valid.sum() / np.isfinite(scene.depth(crop)).sum() < 0.9
    truth = scene.depth(crop)[face.grid.valid]
    np.testing.assert_allclose(face.points_camera[:, 2], truth, atol=0.1 * MM)
    assert (face.mesh().uv <= 1.0).all()


def test_face_wholly_beside_the_picture() -> None:
    scene = scenes.ellipsoid(0.6, rotation(), at=(-2.0, 0.0))
    face = scene.reconstruct()
    assert face.points_camera.shape == (0, 3)
    assert np.isnan(face.depth_in_frame((480, 640))).all()
    assert face.mesh().triangles.shape == (0, 3)
    assert np.isfinite(face.T_camera_face).all()


def test_pose_of_the_average_head() -> None:
    for turn in TURNS:
        scene = scenes.average_head(turn)
        crop = scene.crop()
        T = scene.reconstruct(crop=crop).T_camera_face
        off = T[:3, :3].T @ rotation(*turn)
        angle = np.degrees(np.arccos(np.clip((np.trace(off) - 1) / 2, -1, 1)))
        assert angle < (6.0 if abs(turn[0]) > 40 else 3.0), turn
        np.testing.assert_allclose(T[:3, 3], scene.landmarks[:2].mean(axis=0), atol=0.3 * MM)
        np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
        np.testing.assert_array_equal(T[3], (0, 0, 0, 1))


def test_pose_axes_of_a_frontal_face() -> None:
    scene = scenes.average_head((0, 0, 0))
    np.testing.assert_allclose(
        scene.reconstruct().T_camera_face[:3, :3], np.eye(3), atol=np.radians(3)
    )


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (350.0, -120.0), (0.01, 5.0)])
@pytest.mark.parametrize("turn", [(0, 0, 0), (25, 0, 5), (-15, 10, 0)])
def test_inverse_depth_of_unknown_scale_and_shift(scale, shift, turn) -> None:
    scene = scenes.average_head(turn)
    crop = scene.crop()
    face = scene.reconstruct(scene.inverse(crop, scale, shift), crop)
    error = face.depth_m - scene.depth(crop)
    error = error[np.isfinite(error)]
    # The pose comes from five points alone: two degrees are a percent of the distance.
    assert abs(np.median(error)) < 0.02 * scene.z_ref_m
    assert np.abs(error - np.median(error)).mean() < 1.0 * MM


def test_inverse_depth_does_not_depend_on_scale_and_shift() -> None:
    scene = scenes.average_head((25, 0, 5))
    crop = scene.crop()
    first = scene.reconstruct(scene.inverse(crop, 1.0, 0.0), crop).depth_m
    second = scene.reconstruct(scene.inverse(crop, 40.0, 7.0), crop).depth_m
    np.testing.assert_allclose(first, second, atol=0.1 * MM)


def test_metric_depth_is_kept() -> None:
    scene = scenes.ellipsoid(0.8, rotation(20))
    crop = scene.crop()
    wrong_ipd = GeometryStage(ipd_mm=54.0, temporal=False)
    face = scene.reconstruct(scene.metric(crop), crop, wrong_ipd)
    assert depth_error(scene, face, crop).max() < 0.1 * MM
    assert face.z_ref_m == pytest.approx(scene.z_ref_m, abs=0.1 * MM)


def test_ipd_scales_everything() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    near = scene.reconstruct(stage=GeometryStage(ipd_mm=60.0, temporal=False))
    far = scene.reconstruct(stage=GeometryStage(ipd_mm=66.0, temporal=False))
    np.testing.assert_allclose(far.points_camera, near.points_camera * 1.1, rtol=1e-5)


def test_model_without_mask_keeps_the_head_alone() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    crop = scene.crop()
    prediction = dataclasses.replace(scene.metric(crop), mask_logit=None)
    face = scene.reconstruct(prediction, crop)
    truth = np.isfinite(scene.depth(crop))
    assert not (face.grid.valid & ~truth).any()
    assert face.grid.valid.sum() > 0.7 * truth.sum()


def test_network_that_says_nan(caplog) -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    crop = scene.crop()
    stage = GeometryStage(temporal=True)
    prediction = scene.relief(crop)
    prediction.value[:40] = np.nan
    prediction.value[150:] = np.inf
    with caplog.at_level(logging.WARNING, "rtrecon"):
        for k in range(3):
            face = scene.reconstruct(prediction, crop, stage, t_ns=k * 33_000_000)
            assert np.isfinite(face.points_camera).all()
            assert np.isfinite(face.normals).all()
    assert len([r for r in caplog.records if "not finite" in r.message]) == 1
    after = scene.reconstruct(scene.relief(crop), crop, stage, t_ns=900_000_000)
    assert np.isfinite(after.points_camera).all()


def test_masks_of_nothing() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    prediction = scene.relief(scene.crop())
    assert prediction.mask_logit is not None
    prediction.mask_logit[:] = -5.0
    face = scene.reconstruct(prediction)
    assert len(face.points_camera) == 0
    assert len(face.grid.triangles) == 0
    assert np.isfinite(face.z_ref_m)


def test_only_the_piece_with_the_face_is_kept() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    prediction = scene.relief(scene.crop())
    assert prediction.mask_logit is not None
    prediction.mask_logit[:8, :] = 5.0
    assert not scene.reconstruct(prediction).grid.valid[:8].any()


def test_arguments_that_do_not_belong_together() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    crop = scene.crop()
    small = dataclasses.replace(scene.relief(crop), value=np.zeros((64, 64), dtype=np.float32))
    with pytest.raises(DataError, match="192"):
        scene.reconstruct(small, crop)
    with pytest.raises(DataError, match="scaled"):
        GeometryStage().reconstruct(
            scenes.gray(100, 100), CAMERA, scene.tracked(), crop, scene.relief(crop), 0
        )
    with pytest.raises(DataError, match="ipd_mm"):
        GeometryStage(ipd_mm=0.0)
