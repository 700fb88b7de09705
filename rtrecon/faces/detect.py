"""Faces in pictures, by one call."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import overload

import numpy as np

from rtrecon.errors import DataError
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.faces.picture_input import as_picture
from rtrecon.types import BgrImage, Face, PilImage

__all__ = ["detect_faces"]

_of_thread = threading.local()


@overload
def detect_faces(
    image: BgrImage | PilImage,
    min_face_px: float = ...,
    *,
    thresholds: Sequence[float] = ...,
    factor: float = ...,
    keep_all: bool = ...,
    evens_dark: bool = ...,
) -> list[Face]: ...


@overload
def detect_faces(
    image: Sequence[BgrImage | PilImage],
    min_face_px: float = ...,
    *,
    thresholds: Sequence[float] = ...,
    factor: float = ...,
    keep_all: bool = ...,
    evens_dark: bool = ...,
) -> list[list[Face]]: ...


def detect_faces(
    image: BgrImage | PilImage | Sequence[BgrImage | PilImage],
    min_face_px: float = 20,
    *,
    thresholds: Sequence[float] = (0.6, 0.7, 0.7),
    factor: float = 0.709,
    keep_all: bool = True,
    evens_dark: bool = True,
) -> list[Face] | list[list[Face]]:
    """All faces in one picture, largest first, by full MTCNN.

    The networks are loaded at the first call of each thread and kept.

    Args:
        image: (H, W, 3) uint8 BGR, or a PIL picture; or a list of them, which may differ in size,
            or (n, H, W, 3).
        min_face_px: side of the smallest face looked for.
        thresholds: least scores of P-, R- and O-Net, 0 to 1.
        factor: step of the pyramid, 0 to 1.
        keep_all: all faces; off, the largest alone.
        evens_dark: brighten dark pictures for it; off, the answers are facenet-pytorch's in all.

    Returns:
        The faces of the picture; of a list, a list of them for each picture.

    Raises:
        DataError: it is not such a picture, or a parameter is out of range.
    """
    least = tuple(float(value) for value in thresholds)
    if len(least) != 3 or not all(0.0 <= value < 1.0 for value in least):
        raise DataError(f"thresholds must be three numbers from 0 to 1, not {thresholds}")
    detector: Mtcnn | None = getattr(_of_thread, "detector", None)
    if detector is None:
        detector = _of_thread.detector = Mtcnn()

    def find(picture: object) -> list[Face]:
        faces = detector.detect(
            as_picture(picture),
            min_face_px=min_face_px,
            thresholds=(least[0], least[1], least[2]),
            factor=factor,
            evens_dark=evens_dark,
        )
        return faces if keep_all else faces[:1]

    if isinstance(image, list | tuple) or (isinstance(image, np.ndarray) and image.ndim == 4):
        return [find(picture) for picture in image]
    return find(image)
