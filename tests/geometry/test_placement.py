"""Distance and pose by the mean head: from every side, over time, and when it cannot be placed."""

from __future__ import annotations

import dataclasses
import itertools
import logging

import numpy as np
import pytest

from rtrecon.depth.model import DepthPrediction
from rtrecon.geometry.pose import camera_rotation
from rtrecon.geometry.rays import undistort
from rtrecon.geometry.stage import GeometryStage
from tests.geometry import scenes
from tests.geometry.scenes import SIZE, Scene, rotation
from tests.geometry.test_head_fit import angle_deg

FRAME_NS = 33_333_333


def crop_rotation(R: np.ndarray, scene: Scene) -> np.ndarray:
    """What a perfect network says of the rotation ``R`` to the picture's camera."""
    crop = scene.crop()
    M = crop.M_picture_crop
    ray = undistort(np.full((1, 2), (SIZE - 1) / 2) @ M[:, :2].T + M[:, 2], scene.camera)[0]
    forward = np.array([*ray, 1.0]) / np.linalg.norm([*ray, 1.0])
    axis = np.cross(forward, [0.0, 0.0, 1.0])
    turn = axis / np.linalg.norm(axis) * np.arccos(forward[2])
    roll = np.eye(3)
    roll[:2, :2] = M[:, :2] / np.sqrt(np.linalg.det(M[:, :2]))
    return roll.T @ scenes.turned(turn) @ R


def answer(
    scene: Scene, R: np.ndarray, off_deg: tuple[float, float, float] = (0, 0, 0)
) -> DepthPrediction:
    """Of a network that gives landmarks and rotation too, the rotation off by some degrees."""
    crop = scene.crop()
    pixels = scenes.project(scene.landmarks68, scene.camera)
    shares = (crop.to_crop(pixels.astype(np.float32)) + 0.5) / SIZE
    said = crop_rotation(rotation(*off_deg) @ R, scene).astype(np.float32)
    return dataclasses.replace(
        scene.relief(crop), landmarks68=shares.astype(np.float32), rotation=said
    )


def stage_for(scene: Scene, *, temporal: bool = True) -> GeometryStage:
    return GeometryStage(ipd_mm=scene.ipd_m * 1e3, temporal=temporal)


@pytest.mark.parametrize("turn", [(0, 0, 0), (-50, 5, 0), (15, -15, 25)])
@pytest.mark.parametrize("camera", [scenes.CAMERA, scenes.OFF_CENTRE])
def test_pose_and_distance_in_one_picture(turn, camera) -> None:
    scene, R = scenes.average_head(turn, camera=camera), rotation(*turn)
    face = scene.reconstruct(answer(scene, R, (2, -2, 1)), stage=stage_for(scene, temporal=False))
    T = face.T_camera_face
    assert angle_deg(T[:3, :3], R) < 1.5
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    eyes = scene.landmarks68[36:48].mean(axis=0)
    np.testing.assert_allclose(T[:3, 3], eyes, atol=0.01 * eyes[2])
    assert face.z_ref_m == pytest.approx(scene.z_ref_m, rel=0.012)


def test_the_networks_rotation_is_read_in_the_camera_of_the_picture() -> None:
    scene = scenes.average_head((10, 5, 20), camera=scenes.OFF_CENTRE)
    R = rotation(10, 5, 20)
    said = crop_rotation(R, scene).astype(np.float32)
    found = camera_rotation(said, scene.crop(), scene.camera)
    assert found is not None
    np.testing.assert_allclose(found, R, atol=1e-6)
    assert angle_deg(said, R) > 15.0


def test_the_eyes_of_the_user_scale_everything() -> None:
    scene, R = scenes.average_head((20, 0, 0)), rotation(20)
    near, far = (
        scene.reconstruct(
            answer(scene, R), stage=GeometryStage(ipd_mm=scene.ipd_m * 1e3 * k, temporal=False)
        )
        for k in (0.95, 1.05)
    )
    np.testing.assert_allclose(far.points_camera * 0.95, near.points_camera * 1.05, rtol=1e-5)
    np.testing.assert_allclose(
        far.T_camera_face[:3, 3] * 0.95, near.T_camera_face[:3, 3] * 1.05, rtol=1e-5
    )


def wide_eyed(scene: Scene, prediction: DepthPrediction, by: float) -> DepthPrediction:
    """The same head with its eyes' landmarks ``by`` of their distance further apart."""
    crop = scene.crop()
    marks = scene.landmarks68.copy()
    across = 0.5 * by * (marks[42:48].mean(axis=0) - marks[36:42].mean(axis=0))
    marks[36:42] -= across
    marks[42:48] += across
    pixels = scenes.project(marks, scene.camera).astype(np.float32)
    shares = (crop.to_crop(pixels) + 0.5) / SIZE
    return dataclasses.replace(prediction, landmarks68=shares.astype(np.float32))


def test_a_person_with_eyes_wide_apart_is_learnt_and_keeps_the_distance_when_turned() -> None:
    """The eyes are 63 mm apart; the head is small for them, and so nearer than its size says."""
    stage, seen = GeometryStage(ipd_mm=63.0), []
    yaws = [0.0] * 30 + [10.0, 20.0, 30.0, 35.0, 40.0] + [45.0] * 30
    for k, yaw in enumerate(yaws):
        scene, R = scenes.average_head((yaw, 0, 0)), rotation(yaw)
        prediction = wide_eyed(scene, answer(scene, R), 0.05)
        face = scene.reconstruct(prediction, stage=stage, t_ns=k * FRAME_NS)
        seen.append(face.T_camera_face[2, 3] / scene.landmarks68[36:48, 2].mean())
    ratio = np.array(seen)
    assert ratio[29] == pytest.approx(1.0 / 1.05, rel=0.015)
    assert np.abs(ratio[30:] / ratio[29] - 1.0).max() < 0.012


def test_a_person_first_seen_turned_is_learnt_later_without_a_jump() -> None:
    stage, seen = GeometryStage(ipd_mm=63.0), []
    for k, yaw in enumerate([58.0] * 5 + [45.0, 35.0, 20.0, 10.0] + [0.0] * 60):
        scene, R = scenes.average_head((yaw, 0, 0)), rotation(yaw)
        prediction = wide_eyed(scene, answer(scene, R), 0.05)
        face = scene.reconstruct(prediction, stage=stage, t_ns=k * FRAME_NS)
        seen.append(face.T_camera_face[2, 3] / scene.landmarks68[36:48, 2].mean())
    assert seen[-1] == pytest.approx(1.0 / 1.05, rel=0.015)
    assert np.abs(np.diff(seen)).max() < 0.01


def test_a_still_head_whose_landmarks_tremble_stands_still() -> None:
    rng = np.random.default_rng(0)
    scene, R = scenes.average_head((10, 0, 0)), rotation(10)
    stage, clean = stage_for(scene), answer(scenes.average_head((10, 0, 0)), rotation(10))
    assert clean.landmarks68 is not None
    distances, turns, raw = [], [], []
    for k in range(60):
        trembling = dataclasses.replace(
            clean,
            landmarks68=clean.landmarks68 + rng.normal(0, 0.002, (68, 2)).astype(np.float32),
            rotation=crop_rotation(rotation(*rng.normal(0, 0.5, 3)) @ R, scene).astype(np.float32),
        )
        face = scene.reconstruct(trembling, stage=stage, t_ns=k * FRAME_NS)
        alone = scene.reconstruct(trembling, stage=stage_for(scene, temporal=False))
        distances.append(face.T_camera_face[2, 3])
        raw.append(alone.T_camera_face[2, 3])
        turns.append(face.T_camera_face[:3, :3])
    assert np.abs(np.diff(distances[15:])).mean() < 0.00015
    assert np.abs(np.diff(raw)).mean() > 0.0004
    turned = [angle_deg(a, b) for a, b in itertools.pairwise(turns[15:])]
    assert np.mean(turned) < 0.06


def test_walking_up_to_the_camera_does_not_lag() -> None:
    stage, behind = None, []
    for k, z_m in enumerate([0.7] * 15 + list(0.7 - 0.5 / 30 * np.arange(1, 8)) + [0.58] * 5):
        scene = scenes.average_head((5, 0, 0), distance_m=round(float(z_m), 4))
        stage = stage or stage_for(scene)
        face = scene.reconstruct(answer(scene, rotation(5)), stage=stage, t_ns=k * FRAME_NS)
        alone = scene.reconstruct(
            answer(scene, rotation(5)), stage=stage_for(scene, temporal=False)
        )
        behind.append(abs(face.z_ref_m - alone.z_ref_m))
    assert max(behind) < 0.003


@pytest.mark.parametrize(
    ("landmarks", "R", "counted"),
    [
        (np.nan, None, 0),  # counted where landmarks are given out
        (7.0, None, 1),
        (None, np.full((3, 3), np.nan), 1),
        (None, np.zeros((3, 3)), 1),
        (None, np.diag([1.0, 1.0, -1.0]), 1),
    ],
)
def test_what_cannot_be_used_is_dropped_said_once_and_does_not_stick(
    landmarks, R, counted, caplog
) -> None:
    scene, turn = scenes.average_head((20, 0, 0)), rotation(20)
    good = answer(scene, turn)
    assert good.landmarks68 is not None
    bad = dataclasses.replace(
        good,
        landmarks68=good.landmarks68
        if landmarks is None
        else np.full_like(good.landmarks68, landmarks),
        rotation=good.rotation if R is None else R.astype(np.float32),
    )
    stage = stage_for(scene)
    before = [scene.reconstruct(good, stage=stage, t_ns=k * FRAME_NS) for k in range(5)]
    with caplog.at_level(logging.WARNING, "rtrecon"):
        during = [scene.reconstruct(bad, stage=stage, t_ns=k * FRAME_NS) for k in range(5, 8)]
    after = scene.reconstruct(good, stage=stage, t_ns=8 * FRAME_NS)
    for face in [*during, after]:
        assert np.isfinite(face.points_camera).all()
        assert face.z_ref_m == pytest.approx(before[-1].z_ref_m, rel=0.01)
        assert angle_deg(face.T_camera_face[:3, :3], turn) < 6.0
    assert angle_deg(after.T_camera_face[:3, :3], turn) < 2.0
    assert stage.rotations_dropped + stage.landmarks_dropped == 3
    assert stage.rotations_dropped == 3 * counted
    assert len(caplog.records) == 1
    alone = scene.reconstruct(bad, stage=stage_for(scene, temporal=False))
    assert np.isfinite(alone.T_camera_face).all()


def test_a_mask_of_nothing_leaves_the_line_of_the_eyes() -> None:
    scene = scenes.average_head((0, 0, 0))
    prediction = answer(scene, np.eye(3))
    assert prediction.mask_logit is not None
    prediction.mask_logit[:] = -5.0
    face = scene.reconstruct(prediction, stage=stage_for(scene))
    assert np.isfinite(face.z_ref_m)
    assert np.isfinite(face.T_camera_face).all()


def test_the_distance_by_the_head_stays_near_that_by_the_eyes() -> None:
    """A fit that is wrong by half is held."""
    scene = scenes.average_head((0, 0, 0))
    half = GeometryStage(ipd_mm=63.0, temporal=False)
    prediction = answer(scene, np.eye(3))
    assert prediction.landmarks68 is not None
    shrunk = (prediction.landmarks68 - 0.5) * 0.5 + 0.5
    face = scene.reconstruct(dataclasses.replace(prediction, landmarks68=shrunk), stage=half)
    assert 0.55 * scene.z_ref_m < face.z_ref_m < 1.35 * scene.z_ref_m


def test_metric_depth_keeps_its_scale_and_takes_the_rotation() -> None:
    scene, R = scenes.average_head((30, 0, 0)), rotation(30)
    extra = answer(scene, R)
    prediction = dataclasses.replace(
        scene.metric(scene.crop()), landmarks68=extra.landmarks68, rotation=extra.rotation
    )
    stage = GeometryStage(ipd_mm=54.0, temporal=False)
    face = scene.reconstruct(prediction, stage=stage)
    truth = scene.depth(scene.crop())
    assert np.nanmax(np.abs(face.depth_m - truth)) < 0.0005
    assert angle_deg(face.T_camera_face[:3, :3], R) < 1.5
    eyes = scene.landmarks68[36:48].mean(axis=0)
    np.testing.assert_allclose(face.T_camera_face[:3, 3], eyes, atol=0.006)
