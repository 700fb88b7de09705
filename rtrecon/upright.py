"""A second opinion on which way up a face is.

MTCNN finds some faces that stand on their head or lie on their side, with a high score and eyes
where the mouth is. The depth network's own landmarks do not agree with it then, and in the picture
turned upright the detector is surer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage, Face, Float32Array

__all__ = [
    "ODD_DISAGREEMENT",
    "TURNS_DEG",
    "Opinion",
    "disagreement",
    "second_opinion",
    "turn_picture",
]

logger = logging.getLogger(__name__)

TURNS_DEG = (180, 90, 270)
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
# Upright faces of pictures have scores of 0.999 and more and landmarks that agree to 0.02 of the
# crop's side; turned ones 0.71 to 0.98 and 0.024 to 0.13.
_SURE, _DOUBTFUL = 0.99, 0.97
_AGREEING = 0.03
ODD_DISAGREEMENT = 0.06
"""Of the crop's side: beyond it a face is turned, or not whole."""
_CHECKED_PX = 2_000_000
_LEAST_FACE_PX = 12


@dataclass(frozen=True, slots=True)
class Opinion:
    """``faces`` to be believed; ``turn_deg`` clockwise, 0, 90, 180 or 270, brings the picture
    upright: more faces are found in it then."""

    faces: list[FaceReconstruction]
    turn_deg: int


def turn_picture(image: BgrImage, turn_deg: int) -> BgrImage:
    """``image`` turned clockwise by 0, 90, 180 or 270 degrees."""
    if turn_deg == 0:
        return image
    return np.asarray(cv2.rotate(image, _TURNS[turn_deg]), dtype=np.uint8)


def disagreement(face: FaceReconstruction) -> float | None:
    """How far the detector's landmarks are from the network's, as a share of the crop's side; None
    where the model gives none."""
    marks = face.landmarks68_px
    if marks is None:
        return None
    five = np.stack([marks[36:42].mean(axis=0), marks[42:48].mean(axis=0), *marks[[30, 48, 54]]])
    apart = np.linalg.norm(five - face.landmarks_px, axis=1)
    return float(apart.mean()) / face.crop.side_px


def second_opinion(
    image: BgrImage, faces: Sequence[FaceReconstruction], detector: Mtcnn, min_face_px: float
) -> Opinion:
    """Look at a picture from its other sides where its faces are doubtful or none.

    A face that the detector is surer of in the turned picture is left out, and that is said.

    Args:
        image: (H, W, 3) uint8 BGR.
        faces: found in it as it is.
        detector: that found them.
        min_face_px: smallest face looked for.
    """
    doubted = [face for face in faces if _is_doubtful(face)]
    if faces and not doubted:
        return Opinion(list(faces), 0)
    height, width = image.shape[:2]
    shrink = max(1.0, math.sqrt(width * height / _CHECKED_PX))
    small = image
    if shrink > 1.0:
        size = max(1, round(width / shrink)), max(1, round(height / shrink))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    least_px = max(_LEAST_FACE_PX, min_face_px / shrink)
    turned: dict[int, list[Face]] = {}
    left_out: set[int] = set()
    for turn_deg in TURNS_DEG:
        found = detector.detect(turn_picture(small, turn_deg), least_px, evens_dark=True)
        sure = turned[turn_deg] = [face for face in found if face.score >= _SURE]
        for face in doubted:
            if any(
                other.score > face.score and _same_place(other, turn_deg, face, small, shrink)
                for other in sure
            ):
                left_out.add(face.id)
    best_deg = max(TURNS_DEG, key=lambda turn_deg: len(turned[turn_deg]))
    is_turned = len(turned[best_deg]) > len(faces) - len(doubted)
    kept = [face for face in faces if face.id not in left_out]
    for face in kept:
        if (disagreement(face) or 0.0) > ODD_DISAGREEMENT:
            logger.warning(
                "the landmarks of the face at %s do not fit what the depth model sees: is the "
                "picture upright, and the face whole?",
                np.round(face.box_px).astype(int).tolist(),
            )
    if left_out or is_turned:
        count = max(len(left_out), len(turned[best_deg]) if is_turned else 0)
        logger.warning(
            "%s in this picture %s: is the picture upright?",
            "a face" if count == 1 else f"{count} faces",
            f"would be upright if it were turned by {best_deg} degrees clockwise"
            if is_turned
            else "stands on its head or lies on its side, and is left out",
        )
    return Opinion(kept, best_deg if is_turned else 0)


def _is_doubtful(face: FaceReconstruction) -> bool:
    return face.score < _DOUBTFUL or (disagreement(face) or 0.0) > _AGREEING


def _same_place(
    other: Face, turn_deg: int, face: FaceReconstruction, small: BgrImage, shrink: float
) -> bool:
    """Whether ``other``, found in the turned and shrunk picture, is where ``face`` is."""
    x, y = _middle(other.box_px)
    height, width = small.shape[:2]
    back = {90: (y, height - 1 - x), 180: (width - 1 - x, height - 1 - y), 270: (width - 1 - y, x)}
    apart = np.hypot(*(np.multiply(back[turn_deg], shrink) - _middle(face.box_px)))
    return bool(apart < 0.5 * np.max(face.box_px[2:] - face.box_px[:2]))


def _middle(box_px: Float32Array) -> tuple[float, float]:
    return float(box_px[0] + box_px[2]) / 2.0, float(box_px[1] + box_px[3]) / 2.0
