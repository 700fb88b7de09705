"""A mesh seen from any side, orthographic, drawn by numpy alone."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.geometry.mesh import Int32Array, Mesh, UInt8Array
from rtrecon.geometry.rasterize import Fragments, rasterize
from rtrecon.types import BgrImage, Float32Array, Float64Array

__all__ = ["render_views"]

_SUPERSAMPLE = 2
_BACKGROUND = 250.0


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
