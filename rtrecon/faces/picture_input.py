"""What a caller may give as a picture: a uint8 BGR array, or a picture of Pillow's."""

from __future__ import annotations

import logging
import sys
from typing import Any, TypeGuard

import cv2
import numpy as np

from rtrecon.errors import DataError
from rtrecon.types import BgrImage, PilImage

__all__ = ["as_picture", "check_picture", "is_pil"]

logger = logging.getLogger(__name__)

_EXIF_ORIENTATION = 0x0112
_WIDE_MODES = ("I", "F")  # of more than eight bits, as are those that begin with "I;"

_said: set[str] = set()


def is_pil(image: object) -> TypeGuard[PilImage]:
    """Whether it is a picture of Pillow's; Pillow is not imported for it."""
    pillow: Any = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def as_picture(image: object) -> BgrImage:
    """``image`` as (H, W, 3) uint8 BGR.

    An array must be that already, since nobody can see in which order its channels are. A picture
    of Pillow's may be of any mode of eight bits; it is taken as it lies, so that boxes are in its
    own pixels.

    Raises:
        DataError: it is neither; says how to convert it.
    """
    if not is_pil(image):
        return check_picture(image)
    if image.mode in _WIDE_MODES or image.mode.startswith("I;"):
        raise DataError(
            f"a PIL picture of mode {image.mode} has more than eight bits: scale it to 0..255 and "
            'convert it with picture.convert("L")'
        )
    if image.getexif().get(_EXIF_ORIENTATION, 1) != 1 and "turned" not in _said:
        _said.add("turned")
        logger.warning(
            "a PIL picture says in its EXIF that it lies turned or mirrored, and is taken as it "
            "lies: give PIL.ImageOps.exif_transpose(picture)"
        )
    return check_picture(cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR))


def check_picture(image: object) -> BgrImage:
    """``image``, which is refused where it is not a (H, W, 3) uint8 picture.

    Raises:
        DataError: says what it is and how to convert it.
    """
    if not isinstance(image, np.ndarray):
        # cv2.imread answers None for a file that it cannot read.
        raise DataError(
            f"a picture must be a uint8 array or a PIL picture, not {type(image).__name__}"
        )
    if image.dtype != np.uint8:
        raise DataError(f"a picture must be a uint8 array, not {image.dtype}: scale it to 0..255")
    if image.ndim != 3 or image.shape[2] != 3:
        remedy = {
            (2, None): "cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)",
            (3, 1): "cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)",
            (3, 4): "cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)",
        }.get((image.ndim, image.shape[2] if image.ndim == 3 else None), "cv2.cvtColor")
        raise DataError(
            f"a picture must be (height, width, 3) BGR, not {image.shape}: convert it with {remedy}"
        )
    if image.size == 0:
        raise DataError(f"the picture is empty: {image.shape}")
    return image
