"""Whatever a decoder gives, as (H, W, 3) uint8 BGR."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.types import BgrImage

__all__ = ["to_bgr"]


def to_bgr(image: npt.NDArray[Any] | None) -> BgrImage | None:
    """Grey, grey with alpha, BGRA, 16-bit and float pictures as uint8 BGR; None if empty.

    Pictures that already fit are returned as they are, without a copy.
    """
    if image is None or image.size == 0 or image.ndim not in (2, 3):
        return None
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    elif image.dtype != np.uint8:
        scale = 255.0 if image.dtype.kind == "f" else 1.0
        image = np.clip(image.astype(np.float32) * scale, 0, 255).astype(np.uint8)
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels == 1:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    if channels == 2:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image[..., 0]), cv2.COLOR_GRAY2BGR))
    if channels == 4:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2BGR))
    if channels != 3:
        return None
    return np.ascontiguousarray(image)
