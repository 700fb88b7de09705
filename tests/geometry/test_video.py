"""What the memory of a face does: noise goes, movement does not lag."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtrecon.geometry.stage import GeometryStage
from tests.geometry import scenes
from tests.geometry.scenes import Scene, rotation

MM = 1e-3
FRAME_NS = 33_333_333


def follow(stage: GeometryStage, scene: Scene, k: int, **noise):
    crop = scene.crop()
    prediction = scene.relief(crop)
    if noise:
        prediction.value += noise["relief"]
    return scene.reconstruct(prediction, crop, stage, k * FRAME_NS), crop


def relief_noise(rng: np.random.Generator, std: float) -> np.ndarray:
    """Spatially correlated, as a network's noise is."""
    noise = cv2.GaussianBlur(rng.normal(size=(192, 192)).astype(np.float32), (0, 0), 2.0)
    return noise * np.float32(std / noise.std())


def test_still_face_in_noise_stands_still() -> None:
    rng = np.random.default_rng(0)
    scene = scenes.ellipsoid(0.6, rotation())
    stage = GeometryStage(ipd_mm=63.0)
    depths, raw = [], []
    for k in range(40):
        noise = relief_noise(rng, 0.003)
        face, crop = follow(stage, scene, k, relief=noise)
        depths.append(face.depth_m)
        raw.append(noise)
    width_m = crop.side_px * scene.z_ref_m / 620.0
    before = np.median(np.abs(np.diff(raw, axis=0))) * width_m
    after = np.nanmedian(np.abs(np.diff(depths[10:], axis=0)))
    assert before > 0.5 * MM
    assert after < 0.4 * MM
    truth = scene.depth(crop)
    assert np.nanmedian(np.abs(depths[-1] - truth)) < 1.5 * MM


def test_walking_up_to_the_camera_does_not_lag() -> None:
    stage = GeometryStage(ipd_mm=63.0)
    for k in range(45):
        scene = scenes.ellipsoid(1.0 - 0.015 * k, rotation())  # 0.45 m/s
        face, crop = follow(stage, scene, k)
        error = np.abs(face.depth_m - scene.depth(crop))
        assert np.nanmedian(error) < 3.0 * MM, k  # a fifth of one frame's step


def test_turning_does_not_lag() -> None:
    stage = GeometryStage(ipd_mm=63.0)
    for k in range(31):
        scene = scenes.ellipsoid(0.6, rotation(-30 + 2.0 * k))  # 60 degrees a second
        face, crop = follow(stage, scene, k)
        error = np.abs(face.depth_m - scene.depth(crop))
        assert np.nanmedian(error) < 3.5 * MM, k  # one frame's turn moves a cheek by as much


def test_expression_shows_at_once() -> None:
    scene = scenes.ellipsoid(0.6, rotation())
    stage = GeometryStage(ipd_mm=63.0)
    for k in range(10):
        face, crop = follow(stage, scene, k)
    before = face.depth_m
    prediction = scene.relief(crop)
    prediction.value[125:150, 75:115] -= np.float32(0.04)  # the mouth opens by 10 mm
    after = scene.reconstruct(prediction, crop, stage, 10 * FRAME_NS).depth_m
    wanted = 0.04 * crop.side_px * scene.z_ref_m / 620.0
    moved = (after - before)[130:145, 82:108]
    assert np.median(moved) > 0.9 * wanted
    assert np.nanmax(np.abs(after - before)[30:90, 60:130]) < 0.05 * MM


def test_hidden_eye_keeps_the_distance() -> None:
    scene = scenes.ellipsoid(0.6, rotation(10))
    stage = GeometryStage(ipd_mm=63.0)
    for k in range(10):
        seen, crop = follow(stage, scene, k)
    left_eye = crop.to_crop(scene.face().landmarks_px)[0]
    prediction = scene.relief(crop)
    assert prediction.mask_logit is not None
    column, row = np.rint(left_eye).astype(int)
    for k in range(10, 20):
        prediction.mask_logit[row - 12 : row + 13, column - 12 : column + 13] = -8.0
        hidden = scene.reconstruct(prediction, crop, stage, k * FRAME_NS)
    assert not hidden.grid.valid[row, column]
    assert hidden.z_ref_m == pytest.approx(seen.z_ref_m, rel=0.003)


def test_profile_uses_what_was_learnt() -> None:
    learnt, fresh = GeometryStage(ipd_mm=63.0), GeometryStage(ipd_mm=63.0)
    for k in range(75):
        scene = scenes.ellipsoid(0.6, rotation(-float(k)), semi_axes_m=(0.3, 0.3, 0.1))
        face, _ = follow(learnt, scene, k)
    alone, _ = follow(fresh, scene, 0)
    assert face.z_ref_m == pytest.approx(scene.z_ref_m, rel=0.02)
    assert abs(alone.z_ref_m - scene.z_ref_m) > 2 * abs(face.z_ref_m - scene.z_ref_m)


def test_faces_do_not_share_a_memory_and_can_be_forgotten() -> None:
    stage = GeometryStage(ipd_mm=63.0)
    flat, round_ = (
        scenes.ellipsoid(0.6, rotation(), semi_axes_m=axes)
        for axes in ((0.095, 0.12, 0.06), (0.095, 0.12, 0.061))
    )
    crop = flat.crop()
    for k in range(5):
        flat.reconstruct(None, crop, stage, k * FRAME_NS, face_id=1)
    other = round_.reconstruct(round_.relief(crop), crop, stage, 5 * FRAME_NS, face_id=2)
    assert np.nanmax(np.abs(other.depth_m - round_.depth(crop))) < 0.1 * MM
    same = round_.reconstruct(round_.relief(crop), crop, stage, 5 * FRAME_NS, face_id=1)
    assert np.nanmax(np.abs(same.depth_m - round_.depth(crop))) > 0.1 * MM
    stage.forget([2])
    anew = round_.reconstruct(round_.relief(crop), crop, stage, 6 * FRAME_NS, face_id=1)
    assert np.nanmax(np.abs(anew.depth_m - round_.depth(crop))) < 0.1 * MM


def test_long_gap_starts_anew() -> None:
    stage = GeometryStage(ipd_mm=63.0)
    first = scenes.ellipsoid(0.6, rotation(), semi_axes_m=(0.095, 0.12, 0.06))
    second = scenes.ellipsoid(0.6, rotation(), semi_axes_m=(0.095, 0.12, 0.061))
    crop = first.crop()
    first.reconstruct(None, crop, stage, 0)
    face = second.reconstruct(second.relief(crop), crop, stage, 2_000_000_000)
    relief = (face.depth_m - face.z_ref_m) / face.z_ref_m
    truth = (second.depth(crop) - second.z_ref_m) / second.z_ref_m
    np.testing.assert_allclose(relief[80:110, 80:110], truth[80:110, 80:110], atol=1e-4)


def test_results_may_be_kept_and_memory_is_used_again() -> None:
    stage = GeometryStage(ipd_mm=63.0)
    kept, copies = [], []
    for k in range(12):
        scene = scenes.ellipsoid(0.6 + 0.02 * k, rotation())
        face, _ = follow(stage, scene, k)
        if k < 6:
            arrays = (
                face.depth_m,
                face.points_camera,
                face.colors,
                face.normals,
                face.grid.points_camera[:, :, 2],  # a view, without its owner
                face.grid.valid,
            )
            kept.append(arrays)
            copies.append([a.copy() for a in arrays])
    for arrays, before in zip(kept, copies, strict=True):
        for array, copy in zip(arrays, before, strict=True):
            np.testing.assert_array_equal(array, copy)
    allocated = stage._pool.allocated
    for k in range(12, 40):
        follow(stage, scenes.ellipsoid(0.8, rotation()), k)
    assert stage._pool.allocated <= allocated + 4
