"""Boxes, landmarks, ids and figures drawn on the picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage
from rtrecon.views.state import Figures

__all__ = ["draw_overlay", "put_text"]

_BOX = (96, 220, 64)
_MARK = (64, 200, 255)
_TEXT = (255, 255, 255)


def draw_overlay(
    image: BgrImage,
    faces: Sequence[FaceReconstruction],
    figures: Figures | None = None,
    out: BgrImage | None = None,
) -> BgrImage:
    """The picture (H, W, 3) uint8 BGR with what was found in it; ``image`` stays as it is."""
    if out is None:
        out = image.copy()
    else:
        out[:] = image
    scale = max(out.shape[1] / 640.0, 0.4)
    thick = max(1, round(1.5 * scale))
    for face in faces:
        x0, y0, x1, y1 = (round(float(v)) for v in face.box_px)
        cv2.rectangle(out, (x0, y0), (x1, y1), _BOX, thick, cv2.LINE_AA)
        for x, y in face.landmarks_px:
            cv2.circle(
                out,
                (round(float(x)), round(float(y))),
                max(2, round(2.5 * scale)),
                _MARK,
                -1,
                cv2.LINE_AA,
            )
        distance_m = float(face.T_camera_face[2, 3])
        put_text(out, f"{face.id}  {distance_m:.2f} m", (x0, y0 - round(6 * scale)), scale)
    if figures is not None:
        put_text(out, figures.line(), (round(8 * scale), out.shape[0] - round(10 * scale)), scale)
    return out


def put_text(image: BgrImage, text: str, at: tuple[int, int], scale: float) -> None:
    """White text on a dark rim, legible on anything; ``at`` is its lower left corner."""
    size = 0.45 * scale
    thick = max(1, round(scale))
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(image, text, at, font, size, (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.putText(image, text, at, font, size, _TEXT, thick, cv2.LINE_AA)
