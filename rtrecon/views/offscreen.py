"""Pictures of a cloud from any side, drawn without a display, a GPU or a driver."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.types import BgrImage, Float32Array

__all__ = ["render_points"]

_LIGHT = np.array([-0.35, -0.45, -0.82], dtype=np.float32)
_BACKGROUND = 28


def render_points(
    points_camera: Float32Array,
    colors_rgb: np.ndarray | None,
    normals: Float32Array | None,
    size_px: tuple[int, int],
    *,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    center: Float32Array | None = None,
    extent_m: float | None = None,
) -> BgrImage:
    """A cloud as splats with a depth buffer, orbited about its centre, without perspective.

    Args:
        points_camera: (n, 3) float32 metres, camera frame.
        colors_rgb: (n, 3) uint8; None: grey.
        normals: (n, 3) float32; with them, without colours, the surface is shaded.
        size_px: width and height.
        yaw_deg: positive shows the side of the cloud that is right in the picture.
        pitch_deg: positive shows it from above.
        center: (3,) what is orbited; default: the middle of the points.
        extent_m: height of the view; default: what the points need.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    width, height = size_px
    image = np.full((height, width, 3), _BACKGROUND, dtype=np.uint8)
    if len(points_camera) == 0:
        return image
    if center is None:
        center = 0.5 * (points_camera.min(axis=0) + points_camera.max(axis=0))
    R = _orbit(yaw_deg, pitch_deg)
    turned = (points_camera - center) @ R.T
    if extent_m is None:
        extent_m = 1.15 * float(np.ptp(points_camera[:, 1])) + 1e-6
    scale = height / extent_m
    x = np.round(turned[:, 0] * scale + width / 2).astype(np.int32)
    y = np.round(turned[:, 1] * scale + height / 2).astype(np.int32)
    spacing = _splat_px(len(points_camera), scale, points_camera)
    shown = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if normals is not None:
        facing = (normals @ R.T)[:, 2] < 0.15
        shown &= facing
    x, y, z = x[shown], y[shown], turned[shown, 2]
    tones = _tones(colors_rgb, normals, R, shown)
    # Far to near: of points on one pixel the last one written stays.
    order = np.argsort(-z, kind="stable")
    depth = np.full((height, width), np.inf, dtype=np.float32)
    image[y[order], x[order]] = tones[order]
    depth[y[order], x[order]] = z[order]
    return _fill(image, depth, spacing)


def _orbit(yaw_deg: float, pitch_deg: float) -> Float32Array:
    a, b = np.radians(yaw_deg), np.radians(pitch_deg)
    Ry = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    Rx = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    return (Rx @ Ry).astype(np.float32)


def _splat_px(count: int, scale: float, points: Float32Array) -> int:
    """How many times the gaps between neighbouring points must be grown to close."""
    area = float(np.ptp(points[:, 0]) * np.ptp(points[:, 1])) + 1e-9
    gap_px = scale * np.sqrt(area / count)
    return int(np.clip(np.ceil(gap_px), 1, 6))


def _tones(
    colors_rgb: np.ndarray | None, normals: Float32Array | None, R: Float32Array, shown: np.ndarray
) -> np.ndarray:
    if colors_rgb is not None:
        return colors_rgb[shown][:, ::-1]
    if normals is None:
        return np.full((int(shown.sum()), 3), 200, dtype=np.uint8)
    lit = np.clip((normals[shown] @ R.T) @ _LIGHT, 0, 1)
    grey = (40 + 205 * lit).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)


def _fill(image: BgrImage, depth: Float32Array, steps: int) -> BgrImage:
    """Close pinholes: an empty pixel takes the nearest of its neighbours, ``steps`` times."""
    height, width = depth.shape
    for _ in range(steps):
        padded = np.pad(depth, 1, constant_values=np.inf)
        pixels = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        best = depth.copy()
        filled = image.copy()
        for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
            near = padded[dy : dy + height, dx : dx + width]
            take = np.isinf(depth) & (near < best)
            filled[take] = pixels[dy : dy + height, dx : dx + width][take]
            best[take] = near[take]
        image, depth = filled, best
    return image
