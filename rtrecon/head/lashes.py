"""Lashes as files show them: strokes on cards that are clear between."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.geometry.mesh import UInt8Array
from rtrecon.head.rig import RiggedHead
from rtrecon.types import Float32Array

__all__ = ["lash_texture", "lash_uv"]

# Twelve cards in two columns and six rows, roots above; the lower rows are the lower lids'.
_COLUMNS, _ROWS = 2, 6
_CARD = (512, 48)  # pixels
_STROKES = 46
_TILE = (0.625, 0.9375, 0.375, 0.0625)  # of the head's texture: x, y, width, height


def lash_uv(uv: Float32Array) -> Float32Array:
    """(k, 2) places in the head's texture to those in the lashes' own."""
    x, y, width, height = _TILE
    own = (uv - np.array([x, y], dtype=np.float32)) / np.array([width, height], dtype=np.float32)
    return np.clip(own, 0.0, 1.0).astype(np.float32)


def lash_texture(rigged: RiggedHead) -> UInt8Array:
    """(256, 1024, 4) uint8 RGBA, of the colour that the head's texture has for lashes."""
    side = rigged.texture.shape[0]
    x, y, width, height = (np.array(_TILE) * side).astype(int)
    color = np.median(rigged.texture[y : y + height, x : x + width].reshape(-1, 3), axis=0)
    picture = np.empty((_ROWS * _CARD[1], _COLUMNS * _CARD[0], 4), dtype=np.uint8)
    picture[..., :3] = np.minimum(color, 90)  # the skin's, where nobody painted any
    rng = np.random.default_rng(7)  # the same each time
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            alpha = _card(rng, reach=0.85 if row < _ROWS // 2 else 0.6)
            at = np.s_[row * _CARD[1] :, column * _CARD[0] :, 3]
            picture[at][: _CARD[1], : _CARD[0]] = alpha
    return np.asarray(cv2.resize(picture, (1024, 256), interpolation=cv2.INTER_AREA))


def _card(rng: np.random.Generator, *, reach: float) -> UInt8Array:
    """Alpha of one card: strokes that lean, taper and end at different lengths."""
    width, height = _CARD
    along = np.linspace(0.0, 1.0, height)[:, None]  # from root to tip
    across = np.arange(width)[None, :] + 0.5
    alpha = np.zeros((height, width))
    for k in range(_STROKES):
        root = (k + rng.uniform(0.2, 0.8)) / _STROKES * width
        lean = rng.normal(0.0, 7.0) + 22.0 * (root / width - 0.5)
        length = reach * rng.uniform(0.65, 1.0)
        t = along / length
        center = root + lean * t**1.5
        wide = 2.1 * np.clip(1.0 - t, 0.0, 1.0) + 0.15
        stroke = np.clip(wide - np.abs(across - center) + 0.5, 0.0, 1.0) * (t <= 1.0)
        alpha = np.maximum(alpha, stroke * (1.0 - 0.5 * np.clip(t, 0.0, 1.0)))
    alpha[:2] = np.maximum(alpha[:2], 0.5)  # the line of the roots
    return np.asarray(np.round(alpha * 255.0), dtype=np.uint8)
