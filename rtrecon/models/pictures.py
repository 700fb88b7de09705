"""Real face crops, on which precisions are calibrated and compared."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from rtrecon.errors import DataError
from rtrecon.faces.align import CropSpec, crop_face
from rtrecon.types import BgrImage, Float32Array

__all__ = ["face_crops", "normalise"]

logger = logging.getLogger(__name__)


def face_crops(source: str | Path, spec: CropSpec, size_px: int, count: int = 24) -> list[BgrImage]:
    """Crops (size_px, size_px, 3) uint8 of the faces in a clip, picture or folder of pictures.

    Frames are taken evenly until there are ``count`` crops.

    Raises:
        SourceError: the source cannot be read.
        DataError: no face is found in it.
    """
    from rtrecon.capture import open_source
    from rtrecon.faces.mtcnn import Mtcnn

    with open_source(source if str(source) == "demo" else str(source)) as opened:
        frames = [frame.image.copy() for k, frame in enumerate(opened) if k < 600]
    mtcnn = Mtcnn()
    crops: list[BgrImage] = []
    looked_at = np.unique(np.linspace(0, len(frames) - 1, num=min(len(frames), 2 * count)))
    # Every other one first, so that few crops are still spread over the whole clip.
    for index in (*looked_at[::2], *looked_at[1::2]):
        image = frames[int(index)]
        crops += [
            crop_face(face, spec, size_px).warp(image)
            for face in mtcnn.detect(image, min_face_px=40)[:2]
        ]
        if len(crops) >= count:
            break
    if not crops:
        raise DataError(f"no face in {source}: give --pictures with faces to compare on")
    logger.info("comparing on %d face crops from %s", len(crops[:count]), source)
    return crops[:count]


def normalise(
    crop_bgr: BgrImage, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Float32Array:
    """(h, w, 3) uint8 BGR to (1, 3, h, w) float32 RGB: ``(value / 255 - mean) / std``."""
    rgb = crop_bgr[:, :, ::-1].astype(np.float32) / np.float32(255.0)
    rgb -= np.array(mean, dtype=np.float32)
    rgb /= np.array(std, dtype=np.float32)
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None], dtype=np.float32)
