"""What a virtual camera shows: a picture of any shape on one of a device's size."""

from __future__ import annotations

from typing import Literal

import cv2

from rtrecon.draw.marks import draw_overlay, shrink
from rtrecon.draw.raster import BACKGROUND
from rtrecon.draw.state import ViewFrame
from rtrecon.draw.turning import TurningHead
from rtrecon.types import BgrImage

__all__ = ["Content", "draw_camera_frame", "put_in_middle"]

Content = Literal["picture", "mesh", "avatar"]
"""The camera's picture with its overlay, the person's head, turned to and fro, or an avatar."""

_BLACK = 0  # beside the picture
_MOST_PX = 480  # of a head that is drawn; larger ones are enlarged, to keep the rate


def draw_camera_frame(
    view: ViewFrame,
    content: Literal["picture", "mesh"],
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
        small = min(side, _MOST_PX)
        head = (turning or TurningHead()).draw(view.faces, (small, small), t_s)
        # Without a face there is text.
        return put_in_middle(head[:, ::-1] if mirror and view.faces else head, out)
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


def put_in_middle(square: BgrImage, out: BgrImage) -> BgrImage:
    """Fill ``out`` with a square (n, n, 3) as large as fits, its background beside it."""
    side = min(out.shape[:2])
    inside = _inside(out, side, side, BACKGROUND)
    if square.shape[0] == side:
        inside[:] = square
    else:
        inside[:] = cv2.resize(square, (side, side), interpolation=cv2.INTER_LINEAR)
    return out


def _inside(out: BgrImage, width: int, height: int, level: int) -> BgrImage:
    """The middle of ``out``, with all around it filled."""
    top, left = (out.shape[0] - height) // 2, (out.shape[1] - width) // 2
    out[:top], out[top + height :] = level, level
    out[:, :left], out[:, left + width :] = level, level
    return out[top : top + height, left : left + width]
