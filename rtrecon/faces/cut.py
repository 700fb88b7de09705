"""Faces cut out along their boxes, as networks that recognise them want them."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from rtrecon.errors import DataError
from rtrecon.faces.picture_input import as_picture
from rtrecon.types import BgrImage, Face, PilImage

__all__ = ["crop_faces"]


def crop_faces(
    image: BgrImage | PilImage, faces: Iterable[Face], size_px: int = 160, margin_px: int = 0
) -> BgrImage:
    """Each face's box as a square picture, stretched to it, as facenet-pytorch's ``extract_face``.

    Upright and steady squares for a depth model are another matter (`rtrecon.Crop`).

    Args:
        image: (H, W, 3) uint8 BGR or a PIL picture, which ``faces`` were found in.
        faces: of `detect_faces`.
        size_px: width and height of each.
        margin_px: of the result, how much is around the box, both sides together.

    Returns:
        (n, size_px, size_px, 3) uint8 BGR.

    Raises:
        DataError: it is no picture, or the margin leaves no room for the face.
    """
    picture = as_picture(image)
    if not 0 <= margin_px < size_px:
        raise DataError(
            f"margin_px must be 0 or more and less than size_px, not {margin_px} of {size_px}"
        )
    height, width = picture.shape[:2]
    boxes = [face.box_px.astype(np.float64) for face in faces]
    crops = np.zeros((len(boxes), size_px, size_px, 3), dtype=np.uint8)
    for crop, (x0, y0, x1, y1) in zip(crops, boxes, strict=True):
        across, along = (margin_px * side / (size_px - margin_px) for side in (x1 - x0, y1 - y0))
        left, top = int(max(x0 - across / 2, 0)), int(max(y0 - along / 2, 0))
        right, bottom = int(min(x1 + across / 2, width)), int(min(y1 + along / 2, height))
        if right > left and bottom > top:  # else it lies off the picture: black
            part = picture[top:bottom, left:right]
            crop[:] = cv2.resize(part, (size_px, size_px), interpolation=cv2.INTER_AREA)
    return crops
