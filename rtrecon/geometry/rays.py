"""The viewing ray of every crop pixel, with lens distortion and any principal point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from rtrecon.faces.align import Crop
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["CropRays", "crop_rays", "ray_slope", "undistort"]

# Distortion is smooth over a crop: a polynomial through so many Chebyshev nodes an axis
# follows it to a thousandth of a pixel.
_NODES = 8
_CRITERIA = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-9)


@dataclass(slots=True, eq=False)
class CropRays:
    """Rays (x, y, 1) of crop pixels: a point at camera depth ``z`` is ``z * (x, y, 1)``.

    ``x``, ``y`` (h, w) float32. ``x_column`` and so on are the derivatives of the ray by
    crop column and row: floats, or (h, w) float32 where the lens distorts. ``span`` is the
    crop's width in metres at a depth of one metre, the mean of across and down its middle.
    """

    x: Float32Array
    y: Float32Array
    x_column: float | Float32Array
    x_row: float | Float32Array
    y_column: float | Float32Array
    y_row: float | Float32Array
    span: float

    @property
    def spacing(self) -> float:
        """Distance of neighbouring crop pixels in metres at a depth of one metre."""
        return float(self.span / self.x.shape[1])


def ray_slope(ray: Float64Array) -> Float64Array:
    """Slope (2,) across the view of a relief along the optical axis over one along a ray.

    A crop does not show where in the picture it was cut: its pixels show, to first order, the
    face as seen along the ray through their middle, and a network can know depth along that ray
    alone. A point at the offset r from a point on the ray appears at u = r_xy - ray r_z beside it,
    and r_z = (r . d) / |d|^2 - u . ray / |d|^2 with d = (ray, 1): the two depths differ by a plane.

    Args:
        ray: (2,) x, y of the middle ray at depth one.

    Returns:
        Gain of relief a unit of u, both in the same unit of length, in the axes of ``ray``.
    """
    return np.asarray(ray / (1.0 + ray @ ray))


def undistort(points_px: Float32Array | Float64Array, intrinsics: Intrinsics) -> Float64Array:
    """(n, 2) picture pixels to (n, 2) float64 ray coordinates x, y at depth one."""
    points = np.asarray(points_px, dtype=np.float64)
    if intrinsics.dist:
        K, dist = intrinsics.matrix(), np.array(intrinsics.dist)
        flat = (
            cv2.undistortPointsIter(points.reshape(-1, 1, 2), K, dist, None, None, _CRITERIA)
            if hasattr(cv2, "undistortPointsIter")
            else cv2.undistortPoints(points.reshape(-1, 1, 2), K, dist, criteria=_CRITERIA)
        )
        return np.asarray(flat, dtype=np.float64).reshape(-1, 2)
    return (points - (intrinsics.cx, intrinsics.cy)) / (intrinsics.fx, intrinsics.fy)


def crop_rays(crop: Crop, intrinsics: Intrinsics, x: Float32Array, y: Float32Array) -> CropRays:
    """Fill ``x`` and ``y`` (h, w) float32 with the rays of ``crop``."""
    size, M = crop.size_px, crop.M_picture_crop
    if not intrinsics.dist:
        M = M - np.array([[0, 0, intrinsics.cx], [0, 0, intrinsics.cy]])
        M /= np.array([[intrinsics.fx], [intrinsics.fy]])
        steps = _steps(size)
        for row, out in zip(M, (x, y), strict=True):
            np.add(
                (row[0] * steps + row[2]).astype(np.float32),
                (row[1] * steps).astype(np.float32)[:, None],
                out=out,
            )
        (x_column, x_row, _), (y_column, y_row, _) = M.tolist()
        focal = 0.5 * (intrinsics.fx + intrinsics.fy)
        return CropRays(x, y, x_column, x_row, y_column, y_row, crop.side_px / focal)
    nodes, value, slope, middle = _interpolation(size)
    grid = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    rays = undistort(grid @ M[:, :2].T + M[:, 2], intrinsics).reshape(_NODES, _NODES, 2)
    derivatives = []
    for axis, out in enumerate((x, y)):
        out[:] = value @ rays[:, :, axis] @ value.T
        derivatives.append((value @ rays[:, :, axis] @ slope.T).astype(np.float32))
        derivatives.append((slope @ rays[:, :, axis] @ value.T).astype(np.float32))
    lines = np.stack([np.tensordot(middle, rays, 1), np.tensordot(middle, rays, (0, 1))])
    ends = value[[0, -1]] @ lines
    widths = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) * size / (size - 1)
    x_column, x_row, y_column, y_row = derivatives
    return CropRays(x, y, x_column, x_row, y_column, y_row, float(widths.mean()))


@lru_cache(maxsize=8)
def _steps(size: int) -> Float64Array:
    return np.arange(size, dtype=np.float64)


@lru_cache(maxsize=8)
def _interpolation(
    size: int,
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Chebyshev nodes (k,), matrices (size, k) from node values to values and slopes, and
    weights (k,) of the value in the middle."""
    half = (size - 1) / 2.0
    unit = np.cos((2 * np.arange(_NODES) + 1) * np.pi / (2 * _NODES))
    at = np.arange(size) / half - 1.0
    to_nodes = np.linalg.inv(np.polynomial.chebyshev.chebvander(unit, _NODES - 1))
    value = np.polynomial.chebyshev.chebvander(at, _NODES - 1) @ to_nodes
    derivative = np.polynomial.chebyshev.chebder(np.eye(_NODES))
    slope = np.polynomial.chebyshev.chebvander(at, _NODES - 2) @ derivative @ to_nodes / half
    middle = np.polynomial.chebyshev.chebvander(np.zeros(1), _NODES - 1)[0] @ to_nodes
    return half * (unit + 1.0), value, slope, middle
