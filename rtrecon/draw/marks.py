"""Boxes, landmarks, ids and figures drawn on the picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rtrecon.draw.state import Figures
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage

__all__ = ["draw_overlay", "put_large", "put_text", "shrink"]

_BOX = (96, 220, 64)
_MARK = (255, 235, 60)
_TEXT = (255, 255, 255)
_RIM = (0, 0, 0)
_RIM_STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1), (1, 1))


def draw_overlay(
    image: BgrImage,
    faces: Sequence[FaceReconstruction],
    figures: Figures | None = None,
    out: BgrImage | None = None,
    *,
    zoom: float = 1.0,
    mirror: bool = False,
) -> BgrImage:
    """The picture with what was found in it.

    Args:
        image: (H, W, 3) uint8 BGR; stays as it is, unless it is ``out`` too.
        faces: in pixels of the frame they were found in.
        figures: a line of them along the lower edge.
        out: (H, W, 3) uint8 BGR to draw into; default: a copy of ``image``.
        zoom: pixels of ``image`` for a pixel of that frame, where it was resized.
        mirror: ``image`` was mirrored since; text is drawn to be read all the same.

    Returns:
        ``out``.
    """
    if out is None:
        out = image.copy()
    elif out is not image:
        out[:] = image
    scale = max(out.shape[1] / 640.0, 0.8)
    thick = max(1, round(1.5 * scale))
    last = out.shape[1] - 1
    for face in faces:
        x0, y0, x1, y1 = (round(float(v) * zoom) for v in face.box_px)
        if mirror:
            x0, x1 = last - x1, last - x0
        cv2.rectangle(out, (x0, y0), (x1, y1), _BOX, thick, cv2.LINE_AA)
        radius = max(1, round(min(3.0 * scale, 0.025 * (x1 - x0))))
        for x, y in face.landmarks_px:
            column = round(float(x) * zoom)
            at = (last - column if mirror else column, round(float(y) * zoom))
            cv2.circle(out, at, radius + 1, _RIM, -1, cv2.LINE_AA)
            cv2.circle(out, at, radius, _MARK, -1, cv2.LINE_AA)
        distance_m = float(face.T_camera_face[2, 3])
        # Below the box's upper edge where there is no room above it.
        y_text = y0 - round(6 * scale) if y0 > 20 * scale else y0 + round(18 * scale)
        put_text(out, f"#{face.id}  {distance_m:.2f} m", (x0 + 2, y_text), scale)
    if figures is not None:
        put_text(out, figures.line(), (round(8 * scale), out.shape[0] - round(10 * scale)), scale)
    return out


def put_text(image: BgrImage, text: str, at: tuple[int, int], scale: float) -> None:
    """White text on a dark rim, legible on anything; ``at`` is its lower left corner.

    The rim is the text itself moved about: a thicker stroke is set wider by OpenCV 5.
    """
    size = 0.45 * scale
    thick = max(1, round(scale))
    font = cv2.FONT_HERSHEY_SIMPLEX
    x, y = at
    for dx, dy in _RIM_STEPS:
        cv2.putText(image, text, (x + dx, y + dy), font, size, _RIM, thick, cv2.LINE_AA)
    cv2.putText(image, text, at, font, size, _TEXT, thick, cv2.LINE_AA)


def put_large(image: BgrImage, text: str) -> None:
    """Text across the middle, as large as it has room, seven letters half as wide."""
    height, width = image.shape[:2]
    plain = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0]
    seven = plain[0] * max(7 / max(len(text), 1), 0.55)
    scale = min(0.5 * width / seven, 0.55 * height / plain[1])
    size, _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45 * scale, max(1, round(scale)))
    put_text(image, text, ((width - size[0]) // 2, (height + size[1]) // 2), scale)


def shrink(image: BgrImage, size_px: tuple[int, int]) -> BgrImage:
    """The picture (H, W, 3) at ``size_px`` (width, height), at a cost that hardly grows with
    it: of a large one, only every n-th pixel is looked at."""
    step = max(1, image.shape[1] // (3 * size_px[0]))
    return np.asarray(
        cv2.resize(image[::step, ::step], size_px, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
