"""Pictures of a cloud from any side, drawn without a display, a GPU or a driver."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.types import BgrImage, Float32Array

__all__ = ["render_points"]

UInt8Array = npt.NDArray[np.uint8]

_LIGHT = np.array([-0.35, -0.45, -0.82], dtype=np.float32)
_BACKGROUND = 28
_AWAY = 0.15  # z of a turned normal beyond which its surface is seen from behind
_LEVELS = 65535
_SEE_THROUGH_M = 0.006  # a point so far behind its neighbours shines through a gap of theirs


def render_points(
    points_camera: Float32Array,
    colors_rgb: UInt8Array | None,
    normals: Float32Array | None,
    size_px: tuple[int, int],
    *,
    yaw_deg: float = 0.0,
    pitch_deg: float = 0.0,
    center: Float32Array | None = None,
    extent_m: float | None = None,
) -> BgrImage:
    """A cloud with a depth buffer, orbited about its centre, without perspective.

    Gaps between neighbouring points are closed; its outline stays where it is.

    Args:
        points_camera: (n, 3) float32 metres, camera frame.
        colors_rgb: (n, 3) uint8; None: grey.
        normals: (n, 3) float32, toward the camera; with them what is seen from behind is left
            out, and without colours the surface is shaded.
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
        extent_m = 1.15 * float(max(np.ptp(turned[:, 1]), np.ptp(turned[:, 0]) * height / width))
    scale = height / max(extent_m, 1e-6)
    x = np.rint(turned[:, 0] * scale + width / 2).astype(np.int32)
    y = np.rint(turned[:, 1] * scale + height / 2).astype(np.int32)
    shown = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if normals is not None:
        shown &= normals @ R[2] < _AWAY
    index = np.flatnonzero(shown)
    if len(index) == 0:
        return image
    z = turned[index, 2]
    # Far to near: of the points on one pixel the last one written stays. Sixteen bits are
    # sorted in linear time.
    span = max(float(np.ptp(z)), 1e-6)
    order = np.argsort(((z.max() - z) * (_LEVELS / span)).astype(np.uint16), kind="stable")
    index, z = index[order], z[order]
    # Rank 0 is nothing; a higher rank is nearer.
    rank = np.zeros((height, width), dtype=np.float32)
    rank[y[index], x[index]] = np.arange(1, len(index) + 1, dtype=np.float32)
    rank_closed = _close(rank, _gap_px(points_camera, scale)).astype(np.int32)
    own = rank.astype(np.int32)
    z_of = np.concatenate([[np.float32(np.inf)], z])
    through = z_of[own] > z_of[rank_closed] + _SEE_THROUGH_M
    np.copyto(own, rank_closed, where=through)
    tones = np.concatenate(
        [
            np.full((1, 3), _BACKGROUND, dtype=np.uint8),
            _tones(colors_rgb, normals, R, index),
        ]
    )
    return np.asarray(tones.take(own, axis=0), dtype=np.uint8)


def _orbit(yaw_deg: float, pitch_deg: float) -> Float32Array:
    a, b = np.radians(yaw_deg), np.radians(pitch_deg)
    Ry = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    Rx = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return np.asarray(Rx @ Ry, dtype=np.float32)


def _gap_px(points: Float32Array, scale: float) -> int:
    """How far apart neighbouring points lie in the view, rounded up."""
    area = float(np.ptp(points[:, 0]) * np.ptp(points[:, 1])) + 1e-9
    return int(np.clip(np.ceil(scale * np.sqrt(area / len(points))), 1, 8))


def _close(rank: Float32Array, gap_px: int) -> Float32Array:
    """Grey-scale closing: each pixel takes a near neighbour's rank, gaps and pits vanish."""
    side = 2 * gap_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (side, side))
    border = cv2.BORDER_CONSTANT
    grown = cv2.dilate(rank, kernel, borderType=border, borderValue=0.0)
    return np.asarray(cv2.erode(grown, kernel, borderType=border, borderValue=np.inf), np.float32)


def _tones(
    colors_rgb: UInt8Array | None,
    normals: Float32Array | None,
    R: Float32Array,
    index: npt.NDArray[np.intp],
) -> UInt8Array:
    if colors_rgb is not None:
        return np.asarray(colors_rgb.take(index, axis=0)[:, ::-1])
    if normals is None:
        return np.full((len(index), 3), 200, dtype=np.uint8)
    lit = np.clip(normals.take(index, axis=0) @ (_LIGHT @ R), 0, 1)
    grey = (40 + 205 * lit).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)
