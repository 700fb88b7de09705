"""Triangles to pixels in numpy: z-buffered, for meshes of small triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import Int32Array
from rtrecon.types import Float32Array

__all__ = ["Fragments", "rasterize"]

_CHUNK = 1 << 20  # fragments at once; bounds memory for meshes of few, large triangles
_EXACT = 8  # pixels a side
_EDGE = 1e-5  # a pixel on an edge belongs to both triangles rather than to none


@dataclass(frozen=True, slots=True, eq=False)
class Fragments:
    """The nearest triangle at each covered pixel.

    ``pixel`` (k,) flat indices, ``triangle`` (k,), ``weights`` (k, 3) barycentric.
    """

    pixel: Int32Array
    triangle: Int32Array
    weights: Float32Array


def rasterize(
    points_px: Float32Array, depth: Float32Array, triangles: Int32Array, width: int, height: int
) -> Fragments:
    """Which triangle is nearest at each pixel centre.

    Args:
        points_px: (n, 2) vertices in pixels.
        depth: (n,) smaller is nearer.
        triangles: (m, 3); both windings are drawn.
        width: of the picture.
        height: of the picture.
    """
    corners = points_px.astype(np.float32).take(triangles.T, axis=0)
    low = np.ceil(corners.min(axis=0)).astype(np.int32)
    high = np.floor(corners.max(axis=0)).astype(np.int32)
    np.maximum(low, 0, out=low)
    np.minimum(high, (width - 1, height - 1), out=high)
    span = (high - low + 1).T
    planes = _planes(corners, low)
    drawn = np.flatnonzero((span[0] > 0) & (span[1] > 0) & ~np.isnan(planes[:, 0]))
    side = span.max(axis=0)
    # Exact for the small ones: squares that are half empty cost as much as full ones.
    large = side > _EXACT
    side[large] = 1 << np.ceil(np.log2(side[large])).astype(np.int32)
    first, spread = float(depth.min()), float(np.ptp(depth)) or 1.0
    code = ((depth - np.float32(first)) * np.float32(((1 << 24) - 1) / spread)).astype(np.float32)
    codes = code.take(triangles.T)
    codes[1:] -= codes[0]
    # Depth above, triangle below: the least integer is the nearest triangle.
    buffer = np.full(width * height, np.iinfo(np.int64).max, dtype=np.int64)
    for size in np.unique(side[drawn]).tolist():
        members = drawn[side[drawn] == size]
        at_once = max(1, _CHUNK // int(size * size))
        for begin in range(0, len(members), at_once):
            _draw(members[begin : begin + at_once], size, planes, codes, low, high, width, buffer)
    pixel = np.flatnonzero(buffer != np.iinfo(np.int64).max).astype(np.int32)
    triangle = buffer.take(pixel).astype(np.int32)  # its lower half
    y, x = np.divmod(pixel, np.int32(width))
    corner, plane = low.take(triangle, axis=0), planes.take(triangle, axis=0)
    x, y = x - corner[:, 0], y - corner[:, 1]
    weights = np.empty((len(pixel), 3), dtype=np.float32)
    for k in (0, 1):
        weights[:, k + 1] = plane[:, 3 * k] + plane[:, 3 * k + 1] * x + plane[:, 3 * k + 2] * y
    weights[:, 0] = 1.0 - weights[:, 1] - weights[:, 2]
    return Fragments(pixel, triangle, weights)


def _planes(corners: Float32Array, low: Int32Array) -> Float32Array:
    """(m, 6) weights of the second and the third corner of triangles (3, m, 2): at the pixel
    ``low`` (m, 2), and what a column and a row add; NaN for a triangle without area."""
    a, ab, ac = corners[0], corners[1] - corners[0], corners[2] - corners[0]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    inverse = np.full_like(area, np.nan)
    np.divide(1.0, area, out=inverse, where=np.abs(area) >= 1e-12)
    x, y = (low - a).T
    planes = np.empty((len(area), 6), dtype=np.float32)
    planes[:, 1], planes[:, 2] = ac[:, 1] * inverse, -ac[:, 0] * inverse
    planes[:, 4], planes[:, 5] = -ab[:, 1] * inverse, ab[:, 0] * inverse
    planes[:, 0] = planes[:, 1] * x + planes[:, 2] * y
    planes[:, 3] = planes[:, 4] * x + planes[:, 5] * y
    return planes


def _draw(
    chosen: npt.NDArray[np.intp],
    size: int,
    planes: Float32Array,
    codes: Float32Array,
    low: Int32Array,
    high: Int32Array,
    width: int,
    buffer: npt.NDArray[np.int64],
) -> None:
    """Lower the buffer where triangles of up to ``size`` pixels a side are nearer."""
    steps = np.arange(size, dtype=np.float32)
    plane = planes.take(chosen, axis=0)
    v, w = (
        (plane[:, k, None] + plane[:, k + 2, None] * steps)[:, :, None]
        + (plane[:, k + 1, None] * steps)[:, None, :]
        for k in (0, 3)
    )
    inside = v >= -_EDGE
    inside &= w >= -_EDGE
    inside &= v + w <= 1.0 + _EDGE
    hit = np.flatnonzero(inside)
    member, at = np.divmod(hit, size * size)
    triangle = chosen.take(member)
    rows, columns = np.divmod(at, size)
    corner = low.take(triangle, axis=0)
    x, y = corner[:, 0] + columns, corner[:, 1] + rows
    key = codes[0].take(triangle)
    key += codes[1].take(triangle) * v.ravel().take(hit)
    key += codes[2].take(triangle) * w.ravel().take(hit)
    keys = np.maximum(key, 0.0).astype(np.int64)
    keys <<= 32
    keys |= triangle
    where = y * width + x
    end = high.take(triangle, axis=0)
    beyond = (x > end[:, 0]) | (y > end[:, 1])
    if beyond.any():
        where, keys = where[~beyond], keys[~beyond]
    np.minimum.at(buffer, where, keys)
