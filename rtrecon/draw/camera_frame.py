"""What a virtual camera shows: a picture of any shape on one of a device's size."""

from __future__ import annotations

from typing import Literal

import cv2

from rtrecon.draw.overlay import draw_overlay, shrink
from rtrecon.draw.raster import BACKGROUND
from rtrecon.draw.state import ViewFrame
from rtrecon.draw.turning import TurningHead
from rtrecon.types import BgrImage

__all__ = ["Content", "draw_camera_frame"]

Content = Literal["picture", "mesh"]
"""The camera's picture with its overlay, or the face alone, turned to and fro."""

_BLACK = 0  # beside the picture


def draw_camera_frame(
    view: ViewFrame,
    content: Content,
    t_s: float,
    out: BgrImage,
    *,
    turning: TurningHead | None = None,
    mirror: bool = False,
) -> BgrImage:
    """Fill ``out``: as large as fits, in the middle, dark beside it.

    Args:
        view: picture and faces.
        content: what is shown of it.
        t_s: since the first, for what turns.
        out: (H, W, 3) uint8 BGR of the device's size; what was in it is lost.
        turning: what remembers the head from frame to frame; None: one that knows nothing.
        mirror: as in a mirror, but for text.

    Returns:
        ``out``.
    """
    height, width = out.shape[:2]
    if content == "mesh":
        side = min(width, height)
        face = (turning or TurningHead()).draw(view.faces, (side, side), t_s)
        # Without a face there is nothing but text.
        _inside(out, side, side, BACKGROUND)[:] = face[:, ::-1] if mirror and view.faces else face
        return out
    high, wide = view.image.shape[:2]
    zoom = min(width / wide, height / high)
    size = max(1, min(width, round(wide * zoom))), max(1, min(height, round(high * zoom)))
    inside = _inside(out, *size, _BLACK)
    if size == (wide, high):
        inside[:] = view.image
    elif zoom < 1.0:
        inside[:] = shrink(view.image, size)
    else:
        inside[:] = cv2.resize(view.image, size, interpolation=cv2.INTER_LINEAR)
    if mirror:
        inside[:] = cv2.flip(inside, 1)
    draw_overlay(inside, view.faces, view.figures, out=inside, zoom=zoom, mirror=mirror)
    return out


def _inside(out: BgrImage, width: int, height: int, level: int) -> BgrImage:
    """The middle of ``out``, with all around it filled."""
    top, left = (out.shape[0] - height) // 2, (out.shape[1] - width) // 2
    out[:top], out[top + height :] = level, level
    out[:, :left], out[:, left + width :] = level, level
    return out[top : top + height, left : left + width]
