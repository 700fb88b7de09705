"""The mean head as an avatar: nobody's, painted as a plain puppet."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.head.layout import Layout, layout_of
from rtrecon.head.model import HeadModel, head_model
from rtrecon.head.paint import paint_inner
from rtrecon.head.rig import RiggedHead
from rtrecon.head.rigging import rig_head
from rtrecon.types import Float32Array

__all__ = ["mean_rigged_head"]

# RGB.
_SKIN = np.array([206.0, 160.0, 136.0])
_IRIS = np.array([92.0, 62.0, 44.0])
_LIPS, _BROWS, _HAIR = (184.0, 112.0, 102.0), (88.0, 64.0, 52.0), (82.0, 62.0, 52.0)
_BLUSH = (214.0, 142.0, 124.0)
_BROW_M, _SOFT_M = 0.0038, 0.0022
_CHEEK_M = ((0.048, 0.045), 0.024)  # place beside and below the eyes' middle, and size
_PLANE_M, _PER_M = 0.12, 4000.0  # half of a square before the face, and its pixels a metre


def mean_rigged_head(texture_px: int = 1024) -> RiggedHead:
    """The head model's mean with joints and ARKit's shapes, in colours of our own.

    Args:
        texture_px: side of the texture.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """
    model = head_model()
    layout = layout_of(model, texture_px // 2)
    painted = _paint_skin(model, layout)
    size = (texture_px, texture_px)
    texture = np.asarray(cv2.resize(painted, size, interpolation=cv2.INTER_LINEAR), np.float32)
    paint_inner(texture, model, layout, _SKIN, _IRIS)
    return rig_head(model, model.vertices, texture.clip(0, 255).astype(np.uint8))


def _paint_skin(model: HeadModel, layout: Layout) -> Float32Array:
    """(size, size, 3) float32 RGB: skin, lips, brows, cheeks and short hair."""
    at = layout.spread(model.vertices)
    x, y, z = at[..., 0], at[..., 1], at[..., 2]
    marks = model.vertices[model.landmarks]
    front = z < 0.02
    texture = np.empty((layout.size, layout.size, 3), dtype=np.float32)
    texture[:] = _SKIN
    for side in (-1.0, 1.0):
        away = np.hypot(x - side * _CHEEK_M[0][0], y - _CHEEK_M[0][1])
        _mix(texture, 0.5 * _ramp(_CHEEK_M[1] - away, 0.0, _CHEEK_M[1]) * (z < 0.05), _BLUSH)
    _mix(texture, _within(marks[48:60], x, y) * front, _LIPS)
    for brow in (marks[17:22], marks[22:27]):
        away = _distance(brow, x, y)
        _mix(texture, 0.85 * _ramp(_BROW_M - away, -_SOFT_M, _SOFT_M) * front, _BROWS)
    hairline = -0.062 - y + 0.9 * np.clip(z - 0.02, -0.02, 0.1)
    _mix(texture, _ramp(hairline, 0.0, 0.012) * _ramp(0.075 - y, 0.0, 0.02), _HAIR)
    return texture


def _within(outline: Float32Array, x: Float32Array, y: Float32Array) -> Float32Array:
    """Share of the inside of an outline (k, 3), as seen from the front."""
    plane = _plane()
    cv2.fillPoly(plane, [_pixels(outline)], 255)
    soft = cv2.GaussianBlur(plane, (0, 0), 0.0008 * _PER_M)
    return _look_up(soft.astype(np.float32) / 255.0, x, y)


def _distance(line: Float32Array, x: Float32Array, y: Float32Array) -> Float32Array:
    """Metres from a line (k, 3), as seen from the front."""
    plane = 255 - _plane()
    cv2.polylines(plane, [_pixels(line)], isClosed=False, color=0)
    away = cv2.distanceTransform(plane, cv2.DIST_L2, 5) / _PER_M
    return _look_up(away.astype(np.float32), x, y)


def _plane() -> np.ndarray:
    side = round(2 * _PLANE_M * _PER_M)
    return np.zeros((side, side), dtype=np.uint8)


def _pixels(points: Float32Array) -> np.ndarray:
    return np.round((points[:, :2] + _PLANE_M) * _PER_M).astype(np.int32)


def _look_up(plane: Float32Array, x: Float32Array, y: Float32Array) -> Float32Array:
    columns, rows = ((v + _PLANE_M) * np.float32(_PER_M) for v in (x, y))
    found = cv2.remap(
        plane,
        columns.astype(np.float32),
        rows.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found, dtype=np.float32)


def _mix(texture: Float32Array, share: Float32Array, color: tuple[float, float, float]) -> None:
    texture += share[..., None] * (np.array(color, dtype=np.float32) - texture)


def _ramp(value: Float32Array, low: float, high: float) -> Float32Array:
    return np.asarray(np.clip((value - low) / (high - low), 0.0, 1.0), dtype=np.float32)
