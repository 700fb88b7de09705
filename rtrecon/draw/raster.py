"""Meshes as pictures, drawn without a display, a GPU or a driver: the one way for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.geometry.mesh import Int32Array, Mesh, UInt8Array
from rtrecon.geometry.rasterize import Fragments, rasterize
from rtrecon.types import BgrImage, Float32Array, Float64Array

__all__ = ["BACKGROUND", "Painted", "orbit", "paint", "render_views"]

BACKGROUND = 28
"""Of what is drawn live: dark grey."""
_PAPER = 250
_CLAY_RGB = (238.0, 233.0, 226.0)
_SUPERSAMPLE = 2
_LIGHT = (-0.3, -0.5, -0.8)  # toward the viewer's upper left
_AMBIENT, _KEY = 0.78, 0.24  # soft: a picture has its own light


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A surface with colours of its vertices, over which lies a picture where it was seen.

    Attributes:
        vertices: (n, 3) float32 metres; normals: (n, 3) float32, unit.
        triangles: (m, 3) int32, anticlockwise from outside.
        colors: (n, 3) float32 RGB, 0 to 255.
        uv: (n, 2) float32, origin at the texture's top left corner.
        seen: (n,) float32, the picture's share of the colour.
        texture_bgr: (th, tw, 3) uint8.
    """

    vertices: Float32Array
    normals: Float32Array
    triangles: Int32Array
    colors: Float32Array
    uv: Float32Array
    seen: Float32Array
    texture_bgr: BgrImage


def orbit(yaw_deg: float, pitch_deg: float = 0.0) -> Float32Array:
    """(3, 3) rotation of what is looked at: positive yaw shows the side that is right in the
    picture, positive pitch shows it from above."""
    a, b = np.radians(yaw_deg), np.radians(pitch_deg)
    Ry = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    Rx = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return np.asarray(Rx @ Ry, dtype=np.float32)


def paint(
    surface: Painted,
    R: Float32Array,
    size_px: tuple[int, int],
    *,
    center: Float32Array,
    extent_m: float,
    clay: bool = False,
    fine: bool = False,
) -> tuple[BgrImage, UInt8Array]:
    """A surface without perspective, only its outside.

    Args:
        surface: what is drawn.
        R: (3, 3) rotation about ``center``, see `orbit`.
        size_px: width and height.
        center: (3,) in the middle of the picture.
        extent_m: height of the view.
        clay: without its colours, in light.
        fine: four times as many samples, for pictures that stay.

    Returns:
        (height, width, 3) uint8 BGR, dark where nothing is, and (height, width) uint8 how much of
        each pixel is covered.
    """
    zoom = _SUPERSAMPLE if fine else 1
    width, height = size_px[0] * zoom, size_px[1] * zoom
    turned = (surface.vertices - np.asarray(center, dtype=np.float32)) @ R.T
    points_px = turned[:, :2] * np.float32(height / extent_m)
    points_px += np.array([width - 1, height - 1], dtype=np.float32) / 2.0
    triangles = _facing(points_px, surface.triangles)
    at = rasterize(points_px, turned[:, 2], triangles, width, height)
    if clay:
        lit = _interpolate(_shade(surface.normals @ R.T)[:, None], triangles, at)
        color = lit * (np.array(_CLAY_RGB[::-1], dtype=np.float32) / np.float32(238.0))
    else:
        color = _colors(surface, _soft_light(surface.normals @ R.T), triangles, at)
    np.minimum(color, 255.0, out=color)
    picture: BgrImage = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
    picture.reshape(-1, 3)[at.pixel] = color.astype(np.uint8)
    alpha: UInt8Array = np.zeros((height, width), dtype=np.uint8)
    alpha.reshape(-1)[at.pixel] = 255
    if fine:
        return tuple(  # type: ignore[return-value]
            np.asarray(cv2.resize(part, size_px, interpolation=cv2.INTER_AREA), dtype=np.uint8)
            for part in (picture, alpha)
        )
    _soften(picture, alpha)
    return picture, alpha


def _colors(
    surface: Painted, light: Float32Array, triangles: Int32Array, at: Fragments
) -> Float32Array:
    """(k, 3) BGR of the fragments."""
    values = np.empty((len(light), 7), dtype=np.float32)
    values[:, :2], values[:, 2] = surface.uv, surface.seen
    values[:, 3:6], values[:, 6] = surface.colors[:, ::-1], light
    values = _interpolate(values, triangles, at)
    color = np.ascontiguousarray(values[:, 3:6])
    over = np.flatnonzero(values[:, 2] > 1 / 255)
    picked = values.take(over, axis=0)
    sampled = _sample(surface.texture_bgr, picked[:, :2])
    sampled -= picked[:, 3:6]
    sampled *= picked[:, 2:3]
    sampled += picked[:, 3:6]
    color[over] = sampled
    color *= values[:, 6:7]
    return color


def _soften(picture: BgrImage, alpha: UInt8Array) -> None:
    """Let the outline's pixels fade by how much of their surroundings is covered."""
    around = cv2.blur(alpha, (3, 3)).reshape(-1)
    edge = np.flatnonzero((around < 255) & (alpha.reshape(-1) > 0))
    share = np.clip((around[edge].astype(np.float32) - 70.0) / 130.0, 0.1, 1.0)
    flat = picture.reshape(-1, 3)
    faded = share[:, None] * flat[edge] + (1.0 - share[:, None]) * np.float32(BACKGROUND)
    flat[edge] = faded.astype(np.uint8)
    alpha.reshape(-1)[edge] = (share * 255.0).astype(np.uint8)


def _facing(points_px: Float32Array, triangles: Int32Array) -> Int32Array:
    """Those whose outside is seen."""
    a, b, c = points_px.take(triangles.T, axis=0)
    b -= a
    c -= a
    return np.asarray(triangles.compress(b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0] < 0.0, axis=0))


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
        mesh: in the camera frame; both sides of it are drawn.
        yaw_deg: turn of the viewer around the head; positive shows the side that is right in
            the picture.
        width: of the views.
        height: of the views.
        span_m: metres that the height of the view shows.
        center_camera: (3,) the point in the middle of the view.

    Returns:
        Two (height, width, 3) uint8 BGR pictures.
    """
    w, h = width * _SUPERSAMPLE, height * _SUPERSAMPLE
    turn = orbit(yaw_deg)
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
    corners = triangles.take(at.triangle, axis=0)
    result: Float32Array = values.take(corners[:, 0], axis=0)
    result *= at.weights[:, :1]
    for k in (1, 2):
        part = values.take(corners[:, k], axis=0)
        part *= at.weights[:, k : k + 1]
        result += part
    return result


def _soft_light(normals: Float32Array) -> Float32Array:
    toward = np.array(_LIGHT, dtype=np.float32) / np.float32(np.linalg.norm(_LIGHT))
    return np.asarray(_AMBIENT + _KEY * np.maximum(normals @ toward, 0.0), dtype=np.float32)


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
    np.multiply(uv, np.array([width, height], dtype=np.float32), out=at[:count])
    at -= np.float32(0.5)
    grid = at.reshape(side, side, 2)
    sampled = cv2.remap(texture, grid, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    result: Float32Array = sampled.reshape(-1, 3)[:count].astype(np.float32)
    return result


def _compose(values: Float32Array, pixel: Int32Array, width: int, height: int) -> BgrImage:
    picture = np.full((height * width, 3), _PAPER, dtype=np.float32)
    picture[pixel] = values
    small = cv2.resize(
        picture.reshape(height, width, 3),
        (width // _SUPERSAMPLE, height // _SUPERSAMPLE),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(np.clip(small + 0.5, 0, 255), dtype=np.uint8)
