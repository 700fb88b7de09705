"""A face at a glance: what was seen, how far it is, what shape it has. One picture, no camera."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.types import BgrImage, Float32Array

__all__ = ["depth_colors", "portrait"]

_SIDE_PX = 240
_PAPER = 250
_OFF = (32, 32, 32)
_LIGHT = np.array([-0.45, -0.55, -0.70], dtype=np.float32)  # from the viewer's upper left
_AMBIENT, _KEY = 0.25, 0.75


def depth_colors(
    depth: Float32Array, low: float, high: float, off: tuple[int, int, int] = _OFF
) -> BgrImage:
    """(H, W, 3) BGR in Viridis: ``low`` is dark, ``high`` bright, what is not finite ``off``."""
    share = (depth - low) / max(high - low, 1e-9)
    nothing = ~np.isfinite(share)
    index = (np.clip(np.where(nothing, 0.0, share), 0.0, 1.0) * 255.0).astype(np.uint8)
    colored = np.asarray(cv2.applyColorMap(index, cv2.COLORMAP_VIRIDIS), dtype=np.uint8)
    colored[nothing] = off
    return colored


def portrait(
    colors: npt.NDArray[np.uint8],
    depth_m: Float32Array,
    normals: Float32Array,
    valid: npt.NDArray[np.bool_],
) -> BgrImage:
    """Colours, depth (near is bright) and shape of a face's grid, side by side.

    Args:
        colors: (h, w, 3) uint8 RGB.
        depth_m: (h, w) camera depth.
        normals: (h, w, 3) unit, toward the camera.
        valid: (h, w) where these mean something.

    Returns:
        (240, 720, 3) uint8 BGR.
    """
    seen = colors[:, :, ::-1]
    on_face = depth_m[valid]
    far, near = np.percentile(on_face, (99.0, 1.0)) if on_face.size else (1.0, 0.0)
    depth = depth_colors(-depth_m, -float(far), -float(near))
    toward = _LIGHT / np.linalg.norm(_LIGHT)
    light = 255.0 * (_AMBIENT + _KEY * np.clip(normals @ toward, 0.0, 1.0))
    shape = np.repeat(light.astype(np.uint8)[:, :, None], 3, axis=2)
    row = np.full((_SIDE_PX, 3 * _SIDE_PX, 3), _PAPER, dtype=np.uint8)
    for k, panel in enumerate((seen, depth, shape)):
        panel = np.where(valid[:, :, None], panel, np.uint8(_PAPER))
        row[:, k * _SIDE_PX : (k + 1) * _SIDE_PX] = cv2.resize(panel, (_SIDE_PX, _SIDE_PX))
    return row
