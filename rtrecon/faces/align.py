"""The square crop of a face, as a similarity between crop and picture.

Two kinds, named in a model's manifest. ``landmarks``: centre, roll and size come from
the five landmarks, so that the crop is steady under box noise and upright under head
roll. ``box``: an upright square on the detector's box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from rtrecon.types import BgrImage, Face, Float32Array, Float64Array

__all__ = ["Crop", "CropSpec", "crop_face"]

# Lengths in units of the distance from the middle of the eyes to the middle of the mouth.
_CENTER_BELOW_EYES = 0.25
_EYES_APART = 1.0  # that unit over the eye distance, on a frontal adult face


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How a model wants its crops: ``kind`` and the side as a multiple of the kind's unit."""

    kind: Literal["landmarks", "box"] = "landmarks"
    side: float = 3.8


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A square crop of ``size_px`` pixels whose side is ``side_px`` picture pixels.

    ``M_picture_crop`` (2, 3) float64 maps crop pixels to picture pixels.
    """

    M_picture_crop: Float64Array
    size_px: int
    side_px: float

    @property
    def M_crop_picture(self) -> Float64Array:
        """(2, 3) float64, maps picture pixels to crop pixels."""
        return np.asarray(cv2.invertAffineTransform(self.M_picture_crop), dtype=np.float64)

    def to_crop(self, points_picture: Float32Array) -> Float32Array:
        """(n, 2) picture pixels to (n, 2) crop pixels."""
        M = self.M_crop_picture
        return (points_picture @ M[:, :2].T + M[:, 2]).astype(np.float32)

    def warp(self, image: BgrImage, out: BgrImage | None = None) -> BgrImage:
        """Sample the crop from ``image`` (H, W, C); outside the picture is black.

        A crop much smaller than its region is sampled from a shrunken region, so that
        fine texture does not alias.
        """
        size = (self.size_px, self.size_px)
        shrink = self.side_px / self.size_px
        M = self.M_picture_crop
        if shrink <= 2.0:
            warped = cv2.warpAffine(
                image, M, size, dst=out, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            )
            return np.asarray(warped, dtype=image.dtype)
        corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]], dtype=np.float64)
        corners[:, :2] *= self.size_px - 1
        corners_picture = corners @ M.T
        x0, y0 = np.maximum(np.floor(corners_picture.min(axis=0)).astype(int) - 2, 0)
        x1, y1 = np.ceil(corners_picture.max(axis=0)).astype(int) + 3
        region = image[y0:y1, x0:x1]
        if region.shape[0] < 2 or region.shape[1] < 2:
            return np.zeros((self.size_px, self.size_px, *image.shape[2:]), dtype=image.dtype)
        width = max(1, round(region.shape[1] / shrink))
        height = max(1, round(region.shape[0] / shrink))
        small = cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA)
        scale_x, scale_y = width / region.shape[1], height / region.shape[0]
        # Pixel centres: small = (region + 0.5) * scale - 0.5.
        M_small = M.copy()
        M_small[0, 2] -= x0
        M_small[1, 2] -= y0
        M_small[0] *= scale_x
        M_small[1] *= scale_y
        M_small[0, 2] += 0.5 * scale_x - 0.5
        M_small[1, 2] += 0.5 * scale_y - 0.5
        warped = cv2.warpAffine(
            small, M_small, size, dst=out, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        return np.asarray(warped, dtype=image.dtype)


def crop_face(face: Face, spec: CropSpec, size_px: int) -> Crop:
    """The crop of ``face`` that ``spec`` asks for, ``size_px`` pixels wide and high."""
    if spec.kind == "box":
        x0, y0, x1, y1 = (float(v) for v in face.box_px)
        center = np.array([(x0 + x1) / 2.0, (y0 + y1) / 2.0])
        side_px = spec.side * max(x1 - x0, y1 - y0)
        down = np.array([0.0, 1.0])
    else:
        center, down, unit_px = _landmark_frame(face.landmarks_px)
        side_px = spec.side * unit_px
    side_px = max(side_px, 1.0)
    right = np.array([down[1], -down[0]])
    scale = side_px / size_px
    M = np.empty((2, 3), dtype=np.float64)
    M[:, 0] = right * scale
    M[:, 1] = down * scale
    M[:, 2] = center - (size_px - 1) / 2.0 * (M[:, 0] + M[:, 1])
    return Crop(M, size_px, side_px)


def _landmark_frame(landmarks_px: Float32Array) -> tuple[Float64Array, Float64Array, float]:
    """Crop centre, unit vector down the face, and the unit of length, all in pixels.

    Roll is the mean of the eye line's and the eyes-to-mouth direction; the unit is the
    larger of the eyes-to-mouth distance and the scaled eye distance, because turning
    shortens the one and nodding the other.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = landmarks_px.astype(np.float64)
    eyes, mouth = (left_eye + right_eye) / 2.0, (left_mouth + right_mouth) / 2.0
    across, along = right_eye - left_eye, mouth - eyes
    across_down = np.array([-across[1], across[0]])
    down = along / max(float(np.linalg.norm(along)), 1e-6)
    down += across_down / max(float(np.linalg.norm(across_down)), 1e-6)
    down /= max(float(np.linalg.norm(down)), 1e-6)
    right = np.array([down[1], -down[0]])
    unit_px = max(float(np.linalg.norm(along)), _EYES_APART * float(np.linalg.norm(across)))
    center = eyes + _CENTER_BELOW_EYES * unit_px * down
    # Turned sideways, the nose leads and the rest of the head is behind it.
    middle = 0.5 * (eyes + mouth)
    center -= 0.5 * float((nose - middle) @ right) * right
    return center, down, unit_px
