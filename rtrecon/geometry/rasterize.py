"""Triangles to pixels in numpy: z-buffered, for meshes of small triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.geometry.mesh import Int32Array
from rtrecon.types import Float32Array

__all__ = ["Fragments", "rasterize"]

_CHUNK = 1 << 20  # fragments at once; bounds memory for meshes of few, large triangles
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
    corners = points_px[triangles].astype(np.float32)
    low = np.ceil(corners.min(axis=1)).astype(np.int32)
    high = np.floor(corners.max(axis=1)).astype(np.int32)
    np.maximum(low, 0, out=low)
    np.minimum(high, (width - 1, height - 1), out=high)
    span = high - low + 1
    drawn = np.flatnonzero((span > 0).all(axis=1))
    spread = np.float64(depth.max() - depth.min()) or 1.0
    code = ((depth - depth.min()) / spread * ((1 << 24) - 1)).astype(np.float32)
    # Depth above, triangle below: the least integer is the nearest triangle.
    buffer = np.full(width * height, np.iinfo(np.int64).max, dtype=np.int64)
    side = np.ones(len(triangles), dtype=np.int32)
    side[drawn] = 1 << np.ceil(np.log2(span[drawn].max(axis=1))).astype(np.int32)
    for size in np.unique(side[drawn]):
        members = drawn[side[drawn] == size]
        steps = np.arange(size, dtype=np.int32)
        at_once = max(1, _CHUNK // int(size * size))
        for first in range(0, len(members), at_once):
            chosen = members[first : first + at_once]
            # (t, rows, columns) by broadcasting: no array of pixel pairs is built.
            x = (low[chosen, :1] + steps)[:, None, :]
            y = (low[chosen, 1:] + steps)[:, :, None]
            v, w = _barycentric(corners[chosen], x, y)
            u = 1.0 - v - w
            inside = (v >= -_EDGE) & (w >= -_EDGE) & (u >= -_EDGE)
            inside &= (x <= high[chosen, :1, None]) & (y <= high[chosen, 1:, None])
            members_hit, rows, columns = np.nonzero(inside)
            hit = chosen[members_hit]
            z = code[triangles[hit]]
            depth_code = z[:, 0] * u[inside] + z[:, 1] * v[inside] + z[:, 2] * w[inside]
            key = (np.maximum(depth_code, 0.0).astype(np.int64) << 32) | hit
            where = (low[hit, 1] + rows) * width + low[hit, 0] + columns
            np.minimum.at(buffer, where, key)
    pixel = np.flatnonzero(buffer != np.iinfo(np.int64).max).astype(np.int32)
    triangle = (buffer[pixel] & 0xFFFFFFFF).astype(np.int32)
    v, w = _barycentric(
        corners[triangle], (pixel % width)[:, None, None], (pixel // width)[:, None, None]
    )
    v, w = v.reshape(-1), w.reshape(-1)
    return Fragments(pixel, triangle, np.stack([1.0 - v - w, v, w], axis=1))


def _barycentric(
    corners: Float32Array, x: Int32Array, y: Int32Array
) -> tuple[Float32Array, Float32Array]:
    """Weights of the second and third corner of triangles (t, 3, 2) at pixels x (t, 1, k) and
    y (t, r, 1); a triangle without area gives -1."""
    a, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    flat = np.abs(area) < 1e-12
    inverse = np.where(flat, 0.0, 1.0 / np.where(flat, 1.0, area)).astype(np.float32)
    px = x.astype(np.float32) - a[:, 0, None, None]
    py = y.astype(np.float32) - a[:, 1, None, None]
    scaled_ab, scaled_ac = ab * inverse[:, None], ac * inverse[:, None]
    v = px * scaled_ac[:, 1, None, None] - py * scaled_ac[:, 0, None, None]
    w = py * scaled_ab[:, 0, None, None] - px * scaled_ab[:, 1, None, None]
    v[flat] = -1.0
    return v, w
