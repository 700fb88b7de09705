from __future__ import annotations

import math

import numpy as np
import pytest

from rtrecon.evaluate.metrics import (
    fit_affine,
    jitter_mm,
    normal_error_deg,
    score_frame,
    shape_error_mm,
    summarize,
)
from rtrecon.types import Float32Array, Intrinsics

CAMERA = Intrinsics(400.0, 400.0, 79.5, 59.5, 160, 120)
FULL = np.ones((120, 160), dtype=bool)


def sphere(radius_m: float = 0.1, distance_m: float = 0.5) -> tuple[Float32Array, np.ndarray]:
    """Depth of a sphere by ray casting, and where it is."""
    x = (np.arange(160) - CAMERA.cx)[None, :] / CAMERA.fx
    y = (np.arange(120) - CAMERA.cy)[:, None] / CAMERA.fy
    a, b, c = 1 + x**2 + y**2, distance_m, distance_m**2 - radius_m**2
    discriminant = b**2 - a * c
    hit = discriminant > 0.002
    z = (b - np.sqrt(np.where(hit, discriminant, 0.0))) / a
    return np.where(hit, z, np.nan).astype(np.float32), hit


def slanted(slope: float) -> Float32Array:
    """A plane through (0, 0, 0.5) whose depth grows by ``slope`` a metre to the right."""
    x = (np.arange(160) - CAMERA.cx)[None, :] / CAMERA.fx + np.zeros((120, 1))
    return (0.5 / (1 - slope * x)).astype(np.float32)


def test_perfect_prediction() -> None:
    depth, hit = sphere()
    score = score_frame(depth, depth, hit, CAMERA)
    assert score.detected
    assert score.coverage == 1.0
    assert (score.mae_mm, score.rmse_mm, score.distance_percent) == (0.0, 0.0, 0.0)
    assert score.mae_affine_mm == pytest.approx(0.0, abs=1e-6)
    assert score.normal_deg == pytest.approx(0.0, abs=1e-3)
    assert (score.under_2mm, score.under_5mm, score.under_10mm) == (1.0, 1.0, 1.0)


def test_offset_is_distance_and_not_shape() -> None:
    depth, hit = sphere()
    score = score_frame(depth + 0.05, depth, hit, CAMERA)
    assert score.mae_mm == pytest.approx(0.0, abs=1e-3)
    expected = 5.0 / float(np.median(depth[hit]))
    assert score.distance_percent == pytest.approx(expected, rel=1e-4)


def test_half_the_relief_is_mended_by_the_affine_fit_alone() -> None:
    depth, hit = sphere()
    flat = np.float32(0.45) + (depth - np.float32(0.45)) / 2
    score = score_frame(flat, depth, hit, CAMERA)
    assert score.relief_of_plane == pytest.approx(0.5, abs=0.01)
    assert score.mae_affine_mm == pytest.approx(0.0, abs=1e-3)
    assert score.mae_mm > 1.0


def test_plane_scores_one_of_plane() -> None:
    depth, hit = sphere()
    plane = np.full_like(depth, 0.7)
    assert score_frame(plane, depth, hit, CAMERA).relief_of_plane == pytest.approx(1.0)


def test_error_of_known_size() -> None:
    depth = np.full((120, 160), 0.5, dtype=np.float32)
    predicted = depth.copy()
    predicted[:, :40] += 0.003  # a quarter of it 3 mm off: the median is of the rest
    predicted[:, 40:60] += 0.008
    score = score_frame(predicted, depth, FULL, CAMERA)
    assert score.mae_mm == pytest.approx(3 / 4 + 8 / 8, rel=1e-3)
    assert score.rmse_mm == pytest.approx(math.sqrt(9 / 4 + 64 / 8), rel=1e-3)
    assert score.under_2mm == pytest.approx(0.625)
    assert score.under_5mm == pytest.approx(0.875)
    assert score.under_10mm == 1.0


def test_only_scored_pixels_with_a_prediction_count() -> None:
    depth, hit = sphere()
    predicted = depth.copy()
    predicted[:, 80:] = np.nan
    predicted[~hit] = 99.0
    score = score_frame(predicted, depth, hit, CAMERA)
    assert score.mae_mm == 0.0
    assert score.coverage == pytest.approx(0.5, abs=0.02)


def test_nothing_found_and_something_else_found() -> None:
    depth, hit = sphere()
    assert not score_frame(None, depth, hit, CAMERA).detected
    elsewhere = np.full_like(depth, np.nan)
    elsewhere[:12, :12] = 0.3
    assert not score_frame(elsewhere, depth, hit, CAMERA).detected


@pytest.mark.parametrize("slope", [0.2, -0.6])
def test_angle_between_planes(slope: float) -> None:
    flat = np.full((120, 160), 0.5, dtype=np.float32)
    angle = normal_error_deg(slanted(slope), flat, FULL, CAMERA)
    assert angle == pytest.approx(math.degrees(math.atan(abs(slope))), abs=0.05)


def test_normals_do_not_see_the_sensors_steps() -> None:
    depth, hit = sphere()
    stepped = (np.round(depth * 1e4) / 1e4).astype(np.float32)  # 0.1 mm
    assert normal_error_deg(stepped, depth, hit, CAMERA) < 2.5


def test_affine_fit() -> None:
    values = np.linspace(1, 2, 50)
    scale, shift = fit_affine(values, 3 * values - 1)
    assert (scale, shift) == pytest.approx((3.0, -1.0))
    assert fit_affine(np.full(5, 2.0), np.arange(5.0)) == (0.0, 2.0)


def test_jitter_is_what_the_head_did_not_do() -> None:
    depth, hit = sphere()
    still = [depth, depth, depth]
    scored = [hit] * 3
    assert jitter_mm(still, still, scored) == (0.0, 0.0, 0.0)
    moved = [depth, depth + np.float32(0.004), depth]
    whole, shape, distance = jitter_mm(moved, still, scored)
    assert whole == pytest.approx(4.0, abs=1e-3)
    assert shape == pytest.approx(0.0, abs=1e-3)
    assert distance == pytest.approx(4.0, abs=1e-3)
    assert jitter_mm(moved, moved, scored)[0] == pytest.approx(0.0, abs=1e-3)
    assert math.isnan(jitter_mm([depth, None, depth], still, scored)[0])


def test_summary_leaves_missed_frames_out_of_means() -> None:
    depth, hit = sphere()
    scores = [
        score_frame(depth, depth, hit, CAMERA),
        score_frame(None, depth, hit, CAMERA),
    ]
    overall = summarize(scores)
    assert overall["detection_rate"] == 0.5
    assert overall["coverage"] == 1.0
    assert overall["mae_mm"] == 0.0
    assert math.isnan(summarize(scores[1:])["mae_mm"])


def test_shape_does_not_mind_size_and_rigid_motion() -> None:
    """A bowl, moved and drawn larger, is the same bowl; a flatter one is another."""
    camera = Intrinsics(500.0, 500.0, 99.5, 99.5, 200, 200)
    x, y = np.meshgrid((np.arange(200) - 99.5) / 500, (np.arange(200) - 99.5) / 500)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)

    def bowl(turn: float, aside: float, size: float, flat: float = 1.0) -> np.ndarray:
        """Depth of an ellipsoid, turned about the vertical."""
        c, s = np.cos(turn), np.sin(turn)
        R = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        axes = np.array([0.08, 0.1, 0.07 * flat]) * size
        d = rays @ R / axes
        o = -np.array([aside, 0, 0.6 * size]) @ R / axes
        a, b, cc = (d**2).sum(-1), 2 * (d * o).sum(-1), (o**2).sum() - 1
        root = b**2 - 4 * a * cc
        with np.errstate(invalid="ignore"):
            return ((-b - np.sqrt(root)) / (2 * a)).astype(np.float32)

    truth = bowl(0.0, 0.0, 1.0)
    moved, flat = bowl(0.04, 0.002, 1.07), bowl(0.0, 0.0, 1.0, flat=0.8)
    scored = np.isfinite(truth) & np.isfinite(moved) & np.isfinite(flat)
    errors = [shape_error_mm(said, truth, scored, camera) for said in (truth, moved, flat)]
    assert errors[0] < 1e-3
    assert errors[1] < 0.4
    assert errors[2] > 1.0
    assert score_frame(moved, truth, scored, camera).mae_mm > 3 * errors[1]
