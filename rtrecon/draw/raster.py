"""Triangles to pixels in numpy: orthographic, z-buffered, for meshes of small triangles."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.geometry.mesh import Int32Array, Mesh, UInt8Array
from rtrecon.types import BgrImage, Float32Array, Float64Array

__all__ = ["Fragments", "rasterize", "render_views"]

_SUPERSAMPLE = 2
_CHUNK = 1 << 20  # fragments at once; bounds memory for meshes of few, large triangles
_BACKGROUND = 250.0
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


def render_views(
    mesh: Mesh,
    yaw_deg: float,
    width: int,
    height: int,
    *,
    span_m: float,
    center_camera: Float64Array | Float32Array,
) -> tuple[BgrImage, BgrImage]:
    """The mesh turned about its vertical axis: shaded without colour, and textured.

    Args:
        mesh: in the camera frame.
        yaw_deg: turn of the viewer around the head; positive shows the side at the left of
            the picture.
        width: of the views.
        height: of the views.
        span_m: metres that the height of the view shows.
        center_camera: (3,) the point in the middle of the view.

    Returns:
        Two (height, width, 3) uint8 BGR pictures.
    """
    w, h = width * _SUPERSAMPLE, height * _SUPERSAMPLE
    yaw = np.radians(yaw_deg)
    turn = np.array(
        [[np.cos(yaw), 0.0, np.sin(yaw)], [0.0, 1.0, 0.0], [-np.sin(yaw), 0.0, np.cos(yaw)]],
        dtype=np.float32,
    )
    turned = (mesh.vertices - np.asarray(center_camera, dtype=np.float32)) @ turn.T
    scale = h / span_m
    points_px = turned[:, :2] * scale + np.array([w - 1, h - 1], dtype=np.float32) / 2.0
    fragments = rasterize(points_px.astype(np.float32), turned[:, 2], mesh.triangles, w, h)
    # Triangles are about as small as pixels: light and colours are the vertices' own.
    light = _shade(mesh.normals @ turn.T)
    gray = _interpolate(light[:, None], mesh.triangles, fragments)
    shaded = gray * np.array([0.95, 0.98, 1.0], dtype=np.float32)
    if mesh.uv is not None and mesh.texture is not None:
        color = _sample(mesh.texture, _interpolate(mesh.uv, mesh.triangles, fragments))
    else:
        color = _interpolate(mesh.colors.astype(np.float32), mesh.triangles, fragments)
    textured = color[:, ::-1] * (0.75 + 0.25 / 255.0 * gray)
    return tuple(  # type: ignore[return-value]
        _compose(values, fragments.pixel, w, h) for values in (shaded, textured)
    )


def _interpolate(values: Float32Array, triangles: Int32Array, at: Fragments) -> Float32Array:
    """Vertices' (n, c) values at the fragments."""
    corners = triangles[at.triangle]
    result: Float32Array = values[corners[:, 0]] * at.weights[:, :1]
    result += values[corners[:, 1]] * at.weights[:, 1:2]
    result += values[corners[:, 2]] * at.weights[:, 2:]
    return result


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


def _shade(normals: Float32Array) -> Float32Array:
    """Two lights from the viewer's upper left and right, and a little from everywhere."""
    key = np.array([-0.45, -0.55, -0.70]) / np.linalg.norm([0.45, 0.55, 0.70])
    fill = np.array([0.75, 0.05, -0.60]) / np.linalg.norm([0.75, 0.05, 0.60])
    light = 0.14 + 0.68 * np.maximum(normals @ key, 0.0) + 0.22 * np.maximum(normals @ fill, 0.0)
    shaded: Float32Array = (np.minimum(light, 1.0) * 238.0).astype(np.float32)
    return shaded


def _sample(texture: UInt8Array, uv: Float32Array) -> Float32Array:
    height, width = texture.shape[:2]
    # cv2.remap takes no more than 32767 rows: fold the list of points into a square.
    count = len(uv)
    side = max(1, int(np.ceil(np.sqrt(count))))
    at = np.zeros((side * side, 2), dtype=np.float32)
    at[:count] = uv * (width, height) - 0.5
    grid = at.reshape(side, side, 2)
    sampled = cv2.remap(texture, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    result: Float32Array = sampled.reshape(-1, 3)[:count].astype(np.float32)
    return result


def _compose(values: Float32Array, pixel: Int32Array, width: int, height: int) -> BgrImage:
    picture = np.full((height * width, 3), _BACKGROUND, dtype=np.float32)
    picture[pixel] = values
    small = cv2.resize(
        picture.reshape(height, width, 3),
        (width // _SUPERSAMPLE, height // _SUPERSAMPLE),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(np.clip(small + 0.5, 0, 255), dtype=np.uint8)
