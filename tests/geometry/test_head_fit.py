"""The mean head finds itself in a depth that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.geometry.head_fit import HeadFitter, Surface
from rtrecon.geometry.mean_head import LANDMARK_COUNT, mean_head
from rtrecon.geometry.rays import crop_rays, undistort
from rtrecon.geometry.surface import MAX_SLOPE, SurfaceScratch, surface_normals
from tests.geometry import scenes
from tests.geometry.scenes import SIZE, Scene, rotation


def angle_deg(A: np.ndarray, B: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip((np.trace(A.T @ B) - 1) / 2, -1, 1))))


def seen(scene: Scene, unit: float = 1.0) -> Surface:
    """What a perfect network shows of a scene, in ``unit`` a metre."""
    crop = scene.crop()
    rays = crop_rays(crop, scene.camera, *np.empty((2, SIZE, SIZE), dtype=np.float32))
    depth = scene.depth(crop)
    valid = np.isfinite(depth)
    z = np.where(valid, depth * unit, unit).astype(np.float32)
    normals = np.empty((SIZE, SIZE, 3), dtype=np.float32)
    step = MAX_SLOPE * rays.spacing * unit * 0.6
    surface_normals(z, valid, rays, step, normals, SurfaceScratch.create(SIZE))
    return Surface(z, valid, normals, crop, scene.camera)


def marks_rays(scene: Scene) -> np.ndarray:
    return undistort(scenes.project(scene.landmarks68, scene.camera), scene.camera)


@pytest.mark.parametrize("turn", [(0, 0, 0), (40, 0, 0), (-40, 5, 10), (20, -15, 0)])
def test_average_head_is_found(turn) -> None:
    scene, head = scenes.average_head(turn), mean_head()
    R = rotation(*turn)
    fit = HeadFitter(head).fit(seen(scene), marks_rays(scene), rotation(2, -2, 1) @ R)
    assert fit is not None
    assert angle_deg(fit.R, R) < 1.5
    assert fit.scale * head.ipd_m == pytest.approx(scene.ipd_m, rel=0.01)
    placed = head.points[:LANDMARK_COUNT] @ fit.R.T * fit.scale + fit.t
    np.testing.assert_allclose(placed, scene.landmarks68, atol=0.004)
    assert fit.points > 70
    assert fit.depth_m < 0.002
    assert fit.landmark_m < 0.002


def test_the_scale_of_the_depth_is_found() -> None:
    scene = scenes.average_head((20, 5, 0))
    fitter, rays, R = HeadFitter(mean_head()), marks_rays(scene), rotation(20, 5, 0)
    one, other = (fitter.fit(seen(scene, unit), rays, R) for unit in (1.0, 1.0 / 0.37))
    assert one is not None
    assert other is not None
    assert other.scale == pytest.approx(one.scale / 0.37, rel=1e-3)
    np.testing.assert_allclose(other.t, one.t / 0.37, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(other.R, one.R, atol=1e-3)


def test_a_network_that_is_ten_degrees_off_is_put_right_by_the_most_of_it() -> None:
    scene = scenes.average_head((15, 0, 0))
    fit = HeadFitter(mean_head()).fit(seen(scene), marks_rays(scene), rotation(21, -6, 5))
    assert fit is not None
    assert angle_deg(fit.R, rotation(15)) < 5.0
    assert fit.scale * mean_head().ipd_m == pytest.approx(scene.ipd_m, rel=0.03)


@pytest.mark.parametrize("camera", [scenes.OFF_CENTRE, scenes.DISTORTED])
def test_any_camera(camera) -> None:
    scene = scenes.average_head((25, 0, 0), camera=camera)
    fit = HeadFitter(mean_head()).fit(seen(scene), marks_rays(scene), rotation(23, 2))
    assert fit is not None
    assert angle_deg(fit.R, rotation(25)) < 1.5
    assert fit.scale * mean_head().ipd_m == pytest.approx(scene.ipd_m, rel=0.01)


def test_a_hand_before_the_cheek_is_not_the_head() -> None:
    scene = scenes.average_head((0, 0, 0))
    surface = seen(scene)
    surface.z[95:150, 40:85] -= np.float32(0.04)
    fit = HeadFitter(mean_head()).fit(surface, marks_rays(scene), rotation(2, 2))
    assert fit is not None
    assert angle_deg(fit.R, np.eye(3)) < 2.0
    assert fit.scale * mean_head().ipd_m == pytest.approx(scene.ipd_m, rel=0.02)


def test_the_networks_rotation_has_a_say() -> None:
    """Landmarks and depth that lean to opposite sides are settled by it."""
    scene, fitter = scenes.average_head((0, 0, 0)), HeadFitter(mean_head())
    surface, rays = seen(scene), marks_rays(scene)
    tilts = []
    for pitch_deg in (-6.0, 6.0):
        fit = fitter.fit(surface, rays, rotation(0, pitch_deg))
        assert fit is not None
        tilts.append(np.degrees(np.arcsin(fit.R[2, 1])))
    assert 0.2 < tilts[1] - tilts[0] < 6.0


def test_an_open_jaw_and_a_smile_are_read() -> None:
    scene, head = scenes.average_head((0, 0, 0)), mean_head()
    fitter, surface = HeadFitter(head), seen(scene)
    scale = scene.ipd_m / head.ipd_m
    for name in ("jawOpen", "mouthSmileLeft", "browInnerUp"):
        k = head.expression_names.index(name)
        moved = scene.landmarks68 + head.expression[k, :LANDMARK_COUNT] * scale
        rays = undistort(scenes.project(moved, scene.camera), scene.camera)
        fit = fitter.fit(surface, rays, np.eye(3))
        assert fit is not None
        assert int(np.argmax(fit.coefficients)) == k, name
        assert fit.coefficients[k] > 0.25
    neutral = fitter.fit(surface, marks_rays(scene), np.eye(3))
    assert neutral is not None
    assert neutral.coefficients.max() < 0.15


def test_no_frame_is_remembered() -> None:
    first, second = scenes.average_head((30, 0, 0)), scenes.average_head((-20, 5, 0))
    fitter = HeadFitter(mean_head())
    alone = fitter.fit(seen(second), marks_rays(second), np.eye(3))
    fitter.fit(seen(first), marks_rays(first), np.eye(3))
    again = fitter.fit(seen(second), marks_rays(second), np.eye(3))
    assert alone is not None
    assert again is not None
    np.testing.assert_array_equal(alone.R, again.R)
    assert alone.scale == again.scale


@pytest.mark.parametrize("moved_deg", [1.0, 5.0, 25.0])
def test_from_the_frame_before_it_comes_to_the_same_head(moved_deg) -> None:
    """One step from near; from far, where one would not do, as without it."""
    scene, fitter = scenes.average_head((20, 0, 0)), HeadFitter(mean_head())
    rays, R = marks_rays(scene), rotation(18, 1)
    earlier = scenes.average_head((20 - moved_deg, 0, 0))
    before = fitter.fit(seen(earlier), marks_rays(earlier), rotation(20 - moved_deg))
    assert before is not None
    alone = fitter.fit(seen(scene), rays, R)
    after = fitter.fit(seen(scene), rays, R, before)
    assert alone is not None
    assert after is not None
    assert angle_deg(after.R, alone.R) < 0.5
    assert angle_deg(after.R, rotation(20)) < 1.5
    assert after.scale == pytest.approx(alone.scale, rel=0.01)
    assert (after.R == alone.R).all() == (moved_deg > 8.0)


def test_depth_that_shows_no_head() -> None:
    scene, fitter = scenes.average_head((0, 0, 0)), HeadFitter(mean_head())
    surface, rays = seen(scene), marks_rays(scene)
    assert fitter.fit(surface, rays + 3.0, np.eye(3)) is None
    turned_away = rotation(180) @ np.eye(3)
    assert fitter.fit(surface, rays, turned_away) is None
    surface.valid[:] = False
    assert fitter.fit(surface, rays, np.eye(3)) is None


def test_the_head_is_the_one_it_says() -> None:
    head = mean_head()
    assert head.ipd_m == pytest.approx(0.06394, abs=1e-5)
    left, right = head.points[36:42].mean(axis=0), head.points[42:48].mean(axis=0)
    np.testing.assert_allclose(left * (-1, 1, 1), right, atol=5e-4)
    np.testing.assert_allclose(right[0] - left[0], head.ipd_m, atol=0.002)
    np.testing.assert_allclose(np.linalg.norm(head.normals, axis=1), 1.0)
    assert (head.normals[LANDMARK_COUNT:, 2] < 0).mean() > 0.7
    assert head.points[30, 2] == head.points[:LANDMARK_COUNT, 2].min()  # the nose tip
    jaw = head.expression[head.expression_names.index("jawOpen")]
    assert jaw[8, 1] > 0.01  # the chin goes down by more than a centimetre
