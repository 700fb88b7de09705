"""Inverse depth without scale or shift becomes relief, by a fit to the posed mean face."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.faces.align import Crop
from rtrecon.geometry.mean_face import mean_face
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["InverseMemory", "inverse_to_depth_ratio"]

_ITERATIONS = 8
_HUBER = 1.345  # in robust standard deviations: 95 percent efficient for Gaussian noise
_TAU_S = 0.5
_MIN_POINTS = 30
_FACING = 0.3  # points turned further from the camera are near their silhouette
_MIN_RATIO, _MAX_RATIO = 0.5, 3.0


@dataclass(slots=True)
class InverseMemory:
    """Slope and offset of one face's last fit, for values normalised over the face."""

    slope: float = 0.0
    offset: float = 1.0
    known: bool = False


def inverse_to_depth_ratio(
    value: Float32Array,
    valid: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    crop: Crop,
    intrinsics: Intrinsics,
    T_camera_face: Float64Array,
    ipd_m: float,
    memory: InverseMemory | None,
    dt_s: float,
    out: Float32Array,
) -> bool:
    """Turn values that are affine in 1/z into depth over the depth of the face's origin.

    The mean face is posed by ``T_camera_face`` and its visible points are looked up in the
    crop; ``z_face / z`` is then linear in the value there, with slope and offset by iteratively
    reweighted least squares (Huber). Values are first normalised by their median and spread
    over those points, since the network's own scale and shift may change with every picture;
    what is left is steady for a person and filtered over time.

    Args:
        value: (h, w) float32.
        valid: (h, w) bool, where the values are of the head.
        crop, intrinsics: of the picture.
        T_camera_face: (4, 4) pose of the mean face.
        ipd_m: pupils' distance that the mean face is scaled to.
        memory: of this face; updated. None: no memory of earlier frames.
        dt_s: time since the frame before.
        out: (h, w) float32, becomes depth over the origin's depth, 0.5 to 3.

    Returns:
        Whether the values could be used: False leaves the face flat (a constant value).
    """
    samples, targets = _pairs(value, valid, crop, intrinsics, T_camera_face, ipd_m)
    if len(samples) < _MIN_POINTS:
        out.fill(1.0)
        return False
    middle = float(np.median(samples))
    spread = 1.4826 * float(np.median(np.abs(samples - middle)))
    if not spread > 1e-9 * max(1.0, abs(middle)):
        out.fill(1.0)
        return False
    slope, offset = _fit((samples - middle) / spread, targets)
    if slope <= 0.0:  # the network sees no face here; a hollow one would be worse than a flat one
        slope = memory.slope if memory is not None and memory.known else 0.0
    if not math.isfinite(slope) or not math.isfinite(offset):
        out.fill(1.0)
        return False
    if memory is not None:
        gain = 1.0 - math.exp(-dt_s / _TAU_S) if memory.known else 1.0
        memory.slope += gain * (slope - memory.slope)
        memory.offset += gain * (offset - memory.offset)
        memory.known = True
        slope, offset = memory.slope, memory.offset
    np.multiply(value, np.float32(slope / spread), out=out)
    np.add(out, np.float32(offset - slope * middle / spread), out=out)
    np.clip(out, 1.0 / _MAX_RATIO, 1.0 / _MIN_RATIO, out=out)
    np.reciprocal(out, out=out)
    return True


def _pairs(
    value: Float32Array,
    valid: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    crop: Crop,
    intrinsics: Intrinsics,
    T_camera_face: Float64Array,
    ipd_m: float,
) -> tuple[Float64Array, Float64Array]:
    """The network's value and ``z_face / z`` at the posed mean face's visible points."""
    face = mean_face()
    R, t = T_camera_face[:3, :3], T_camera_face[:3, 3]
    points = (face.points * (ipd_m / face.ipd_m)) @ R.T + t
    normals = face.normals @ R.T
    facing = -np.einsum("ij,ij->i", normals, points) / np.linalg.norm(points, axis=1)
    points = points[(facing > _FACING) & (points[:, 2] > 0.05)]
    picture = _project(points, intrinsics)
    at = np.rint(crop.to_crop(picture.astype(np.float32))).astype(np.intp)
    inside = ((at >= 0) & (at < crop.size_px)).all(axis=1)
    at, points = at[inside], points[inside]
    seen = valid[at[:, 1], at[:, 0]]
    at, points = at[seen], points[seen]
    return value[at[:, 1], at[:, 0]].astype(np.float64), t[2] / points[:, 2]


def _project(points: Float64Array, intrinsics: Intrinsics) -> Float64Array:
    if intrinsics.dist:
        picture, _ = cv2.projectPoints(
            points.reshape(-1, 1, 3),
            np.zeros(3),
            np.zeros(3),
            intrinsics.matrix(),
            np.array(intrinsics.dist),
        )
        return np.asarray(picture, dtype=np.float64).reshape(-1, 2)
    focal, center = (intrinsics.fx, intrinsics.fy), (intrinsics.cx, intrinsics.cy)
    return np.asarray(points[:, :2] / points[:, 2:] * focal + center, dtype=np.float64)


def _fit(x: Float64Array, y: Float64Array) -> tuple[float, float]:
    """Slope and offset of ``y`` over ``x``, robustly."""
    weight = np.ones_like(x)
    slope = offset = 0.0
    for _ in range(_ITERATIONS):
        total = weight.sum()
        x_mean, y_mean = float(weight @ x / total), float(weight @ y / total)
        dx, dy = x - x_mean, y - y_mean
        slope = float((weight * dx) @ dy / max(float((weight * dx) @ dx), 1e-12))
        offset = y_mean - slope * x_mean
        error = np.abs(y - slope * x - offset)
        sigma = max(1.4826 * float(np.median(error)), 1e-6)
        weight = np.minimum(1.0, _HUBER * sigma / np.maximum(error, 1e-12))
    return slope, offset
