"""Depth errors over a face; pure functions of arrays.

The pixels that count are those with measured depth on the face (``scored``) where there is
a prediction; how many of them there are is itself a figure (`FrameScore.coverage`), so that
a model cannot win by leaving out what is hard.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = [
    "MIN_COVERAGE",
    "FrameScore",
    "Jitter",
    "fit_affine",
    "jitter_mm",
    "normal_error_deg",
    "score_frame",
    "shape_error_mm",
    "summarize",
]

BoolArray = npt.NDArray[np.bool_]

MIN_COVERAGE = 0.2
"""With less of the face covered, something else was taken for it: not detected."""

_NORMAL_BASE_M = 0.002  # length over which slopes are measured: below it there is only noise
_EDGE_M = 0.003
_GRAZING = 0.25  # least cosine: pixels on the outline do not count for more
_SHAPE_POINTS, _SHAPE_STEPS, _SHAPE_FLOOR_M = 4000, 6, 0.0005
_JUMP = 6.0  # depth steps over the base that are no surface


@dataclass(frozen=True, slots=True)
class FrameScore:
    """Figures of one frame; NaN where they could not be had (no face found).

    ``mae_mm``, ``rmse_mm``, ``under_2mm`` (and 5, 10; shares of 1): depth error after removing
    its median. ``mae_affine_mm``: after the best scale and shift of the prediction.
    ``shape_mm``: mean distance to the measured surface after the best size and rigid motion: of
    a shape that is right in a wrong place there is none.
    ``normal_deg``: mean angle between the surfaces. ``relief_of_plane``: ``mae_mm`` over what
    a flat plane that faces the camera scores on the same pixels. ``distance_percent``:
    absolute error of the median distance. ``coverage``: share of the face's pixels that have
    a prediction.
    """

    detected: bool
    coverage: float
    mae_mm: float = float("nan")
    mae_affine_mm: float = float("nan")
    rmse_mm: float = float("nan")
    under_2mm: float = float("nan")
    under_5mm: float = float("nan")
    under_10mm: float = float("nan")
    normal_deg: float = float("nan")
    relief_of_plane: float = float("nan")
    distance_percent: float = float("nan")
    shape_mm: float = float("nan")


class Jitter(NamedTuple):
    """Frame-to-frame change in mm: of the depth, of the shape alone, of the distance alone."""

    whole: float
    shape: float
    distance: float


def score_frame(
    predicted_m: Float32Array | None,
    measured_m: Float32Array,
    scored: BoolArray,
    intrinsics: Intrinsics,
) -> FrameScore:
    """Compare one prediction with what was measured.

    Args:
        predicted_m: (H, W) float32 metres, NaN where there is none; None: no face was found.
        measured_m: (H, W) float32 metres, NaN where nothing was measured.
        scored: (H, W) bool, the face's pixels with measured depth.
        intrinsics: of the picture, for the normals.
    """
    if predicted_m is None:
        return FrameScore(False, 0.0)
    both = scored & np.isfinite(predicted_m) & np.isfinite(measured_m)
    count = int(both.sum())
    coverage = count / max(int(scored.sum()), 1)
    if coverage < MIN_COVERAGE or count < 16:
        return FrameScore(False, coverage)
    predicted = predicted_m[both].astype(np.float64)
    measured = measured_m[both].astype(np.float64)
    error_mm = (predicted - measured) * 1e3
    error_mm -= np.median(error_mm)
    size_mm = np.abs(error_mm)
    scale, shift = fit_affine(predicted, measured)
    affine_mm = np.abs(predicted * scale + shift - measured) * 1e3
    plane_mm = np.abs(measured - np.median(measured)) * 1e3
    mae_mm = float(size_mm.mean())
    return FrameScore(
        detected=True,
        coverage=coverage,
        mae_mm=mae_mm,
        mae_affine_mm=float(affine_mm.mean()),
        rmse_mm=float(np.sqrt((error_mm**2).mean())),
        under_2mm=float((size_mm < 2.0).mean()),
        under_5mm=float((size_mm < 5.0).mean()),
        under_10mm=float((size_mm < 10.0).mean()),
        normal_deg=normal_error_deg(predicted_m, measured_m, both, intrinsics),
        relief_of_plane=mae_mm / max(float(plane_mm.mean()), 1e-9),
        distance_percent=abs(float(np.median(predicted) / np.median(measured)) - 1.0) * 100.0,
        shape_mm=shape_error_mm(predicted_m, measured_m, both, intrinsics),
    )


def fit_affine(predicted: Float64Array, measured: Float64Array) -> tuple[float, float]:
    """Scale and shift of ``predicted`` (n,) that fit ``measured`` (n,) best in least squares."""
    centered = predicted - predicted.mean()
    spread = float(centered @ centered)
    if spread < 1e-18:
        return 0.0, float(measured.mean())
    scale = float(centered @ (measured - measured.mean())) / spread
    return scale, float(measured.mean() - scale * predicted.mean())


def normal_error_deg(
    predicted_m: Float32Array, measured_m: Float32Array, both: BoolArray, intrinsics: Intrinsics
) -> float:
    """Mean angle between the surfaces' normals over ``both`` (H, W), in degrees.

    Slopes are differences over about two millimetres, so that measured depth's steps do not
    count as shape. NaN when no pixel has all its neighbours.
    """
    rows, columns = np.nonzero(both)
    if len(rows) == 0:
        return float("nan")
    spacing_m = float(np.median(measured_m[both])) / intrinsics.fx
    reach = max(1, round(_NORMAL_BASE_M / (2.0 * spacing_m)))
    y0, x0 = rows.min(), columns.min()
    box = np.s_[y0 : rows.max() + 1, x0 : columns.max() + 1]
    inside = both[box]
    camera = (intrinsics.cx - x0, intrinsics.cy - y0, intrinsics.fx, intrinsics.fy)
    first, good_first = _normals(predicted_m[box], inside, camera, reach, spacing_m)
    second, good_second = _normals(measured_m[box], inside, camera, reach, spacing_m)
    good = good_first & good_second
    if not good.any():
        return float("nan")
    cosine = np.clip((first[good] * second[good]).sum(axis=1), -1.0, 1.0)
    return float(np.degrees(np.arccos(cosine)).mean())


def shape_error_mm(
    predicted_m: Float32Array, measured_m: Float32Array, both: BoolArray, intrinsics: Intrinsics
) -> float:
    """Mean distance in mm of the prediction from the measured surface, point to plane, after the
    best size and rigid motion; NaN where the surface has no normals. Next to an edge there is
    none: there, depth says where the edge is.

    Each point keeps the pixel that it is compared with: size is taken off along the rays, and
    what turn and shift are left is small.
    """
    rows, columns = np.nonzero(both)
    if len(rows) == 0:
        return float("nan")
    step = max(1, math.isqrt(len(rows) // _SHAPE_POINTS))
    ratio = float(np.median(measured_m[both] / predicted_m[both]))
    spacing_m = float(np.median(measured_m[both])) / intrinsics.fx
    reach = max(1, round(_NORMAL_BASE_M / (2.0 * spacing_m)))
    y0, x0 = rows.min(), columns.min()
    box = np.s_[y0 : rows.max() + 1, x0 : columns.max() + 1]
    camera = (intrinsics.cx - x0, intrinsics.cy - y0, intrinsics.fx, intrinsics.fy)
    normals, good = _normals(measured_m[box], both[box], camera, reach, spacing_m)
    edge_px = 2 * math.ceil(_EDGE_M / spacing_m) + 1
    good = cv2.erode(good.view(np.uint8), np.ones((edge_px, edge_px), np.uint8)) > 0
    rows, columns = np.nonzero(good)
    kept = (rows % step == 0) & (columns % step == 0)
    rows, columns = rows[kept], columns[kept]
    if len(rows) < 16:
        return float("nan")
    n = normals[rows, columns]
    rays = np.column_stack(
        [(columns - camera[0]) / camera[2], (rows - camera[1]) / camera[3], np.ones(len(rows))]
    )
    P = rays * (predicted_m[box][rows, columns].astype(np.float64) * ratio)[:, None]
    Q = rays * measured_m[box][rows, columns].astype(np.float64)[:, None]
    # Pixels count by the surface that they see.
    seen = np.abs((n * rays).sum(axis=1)) / np.linalg.norm(rays, axis=1)
    area = Q[:, 2] ** 2 / np.maximum(seen, _GRAZING)
    middle = Q.mean(axis=0)
    motion = np.concatenate([np.cross(P - middle, n), n], axis=1)
    error = (n * (Q - P)).sum(axis=1)
    left = error
    for _ in range(_SHAPE_STEPS):  # by weights that turn squares into absolute values
        weight = area / np.maximum(np.abs(left), _SHAPE_FLOOR_M)
        system = (motion * weight[:, None]).T @ motion + 1e-12 * np.eye(6)
        left = error - motion @ np.linalg.solve(system, motion.T @ (weight * error))
    return float(np.average(np.abs(left), weights=area)) * 1e3


def jitter_mm(
    predicted_m: Sequence[Float32Array | None],
    measured_m: Sequence[Float32Array],
    scored: Sequence[BoolArray],
) -> Jitter:
    """Frame-to-frame change of the prediction that the measured depth did not make, in mm.

    Returns:
        Over pairs of following frames, means of its size over the pixels; of its size after
        each pair's median was taken away, which is the shape alone; and of that median, which is
        the distance alone. NaN without a pair.
    """
    pairs = []
    for k in range(1, len(predicted_m)):
        before, after = predicted_m[k - 1], predicted_m[k]
        if before is None or after is None:
            continue
        change = (after - before) - (measured_m[k] - measured_m[k - 1])
        change = change[scored[k] & scored[k - 1]]
        change = change[np.isfinite(change)] * 1e3
        if len(change):
            median = float(np.median(change))
            shape = float(np.abs(change - median).mean())
            pairs.append((float(np.abs(change).mean()), shape, abs(median)))
    if not pairs:
        return Jitter(float("nan"), float("nan"), float("nan"))
    return Jitter(*np.mean(pairs, axis=0).tolist())


def summarize(scores: Sequence[FrameScore]) -> dict[str, float]:
    """Means over the frames with a face, under the fields' names, and ``detection_rate``."""
    found = [score for score in scores if score.detected]
    overall = {"detection_rate": len(found) / max(len(scores), 1)}
    for item in fields(FrameScore):
        if item.name == "detected":
            continue
        values = [getattr(score, item.name) for score in found]
        values = [value for value in values if np.isfinite(value)]
        overall[item.name] = float(np.mean(values)) if values else float("nan")
    return overall


def _normals(
    depth_m: Float32Array,
    inside: BoolArray,
    camera: tuple[float, float, float, float],
    reach: int,
    spacing_m: float,
) -> tuple[Float64Array, BoolArray]:
    cx, cy, fx, fy = camera
    height, width = depth_m.shape
    z = depth_m.astype(np.float64)
    x = (np.arange(width) - cx)[None, :] / fx * z
    y = (np.arange(height) - cy)[:, None] / fy * z
    points = np.stack([x, y, z], axis=-1)
    along_x, good_x = _difference(points, inside, reach, axis=1)
    along_y, good_y = _difference(points, inside, reach, axis=0)
    limit = _JUMP * 2 * reach * spacing_m
    good = good_x & good_y
    with np.errstate(invalid="ignore"):
        good &= (np.abs(along_x[..., 2]) < limit) & (np.abs(along_y[..., 2]) < limit)
    normals = np.cross(along_y, along_x)
    normals[~good] = (0.0, 0.0, -1.0)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals / np.maximum(length, 1e-12), good


def _difference(
    points: Float64Array, inside: BoolArray, reach: int, axis: int
) -> tuple[Float64Array, BoolArray]:
    change = np.zeros_like(points)
    good = np.zeros_like(inside)
    size = points.shape[axis]
    if size > 2 * reach:
        middle = [slice(None)] * 2
        ahead, behind = middle.copy(), middle.copy()
        middle[axis] = slice(reach, size - reach)
        ahead[axis], behind[axis] = slice(2 * reach, size), slice(0, size - 2 * reach)
        m, a, b = tuple(middle), tuple(ahead), tuple(behind)
        change[m] = points[a] - points[b]
        good[m] = inside[a] & inside[b] & inside[m]
    return change, good
