"""Which crop pixels are the face."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.types import Float32Array, Float64Array

__all__ = ["clean_mask", "ellipse_mask", "mask_outside_picture"]

BoolArray = npt.NDArray[np.bool_]
UInt8Array = npt.NDArray[np.uint8]

_COMPONENT = 2  # what flood filling writes

# Head ellipse in units of the distance from the eyes' middle to the mouth's, in the crop.
_ELLIPSE_CENTER, _ELLIPSE_WIDE, _ELLIPSE_TALL = 0.25, 1.15, 1.65


def mask_outside_picture(mask: BoolArray, crop: Crop, width: int, height: int) -> None:
    """Clear pixels of ``mask`` (h, w) whose centre lies off a picture of the given size."""
    size, M = crop.size_px, crop.M_picture_crop
    last = size - 1
    corners = np.array([[0, 0, 1], [last, 0, 1], [0, last, 1], [last, last, 1]]) @ M.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    if low[0] >= 0 and low[1] >= 0 and high[0] <= width - 1 and high[1] <= height - 1:
        return
    steps = _steps(size)
    for row, limit in zip(M, (width - 1, height - 1), strict=True):
        at = (row[0] * steps)[None, :] + (row[1] * steps + row[2])[:, None]
        mask &= (at >= 0.0) & (at <= limit)


def clean_mask(mask: BoolArray, landmarks_crop: Float32Array, scratch: UInt8Array) -> None:
    """Keep the part of ``mask`` that hangs together with the landmarks; else the largest.

    Args:
        mask: (h, w) bool, changed in place.
        landmarks_crop: (5, 2) crop pixels.
        scratch: (h + 2, w + 2) uint8.
    """
    seed = _seed(mask, landmarks_crop)
    if seed is None:
        seed = _largest(mask)
        if seed is None:
            return
    # The border of the scratch is a wall, so that nothing flows along the edge.
    scratch.fill(1)
    inner = scratch[1:-1, 1:-1]
    np.logical_not(mask, out=inner.view(np.bool_))
    cv2.floodFill(
        mask.view(np.uint8),
        scratch,
        seed,
        1,
        flags=4 | cv2.FLOODFILL_MASK_ONLY | (_COMPONENT << 8),
    )
    np.equal(inner, _COMPONENT, out=mask)


def ellipse_mask(landmarks_crop: Float32Array, size: int, out: UInt8Array) -> None:
    """A head-shaped ellipse for models without a mask; ``out`` (h, w) uint8 becomes 0 or 1."""
    points = landmarks_crop.astype(np.float64)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    along = mouth - eyes
    unit = max(float(np.linalg.norm(along)), float(np.linalg.norm(points[1] - points[0])), 1.0)
    down: Float64Array = along / max(float(np.linalg.norm(along)), 1e-6)
    center = eyes + _ELLIPSE_CENTER * unit * down
    angle_deg = float(np.degrees(np.arctan2(-down[0], down[1])))
    out.fill(0)
    axes = (2.0 * _ELLIPSE_WIDE * unit, 2.0 * _ELLIPSE_TALL * unit)
    limit = 4.0 * size
    if not (np.abs(center) < limit).all() or max(axes) > 8.0 * size:
        return
    cv2.ellipse(out, (tuple(center.tolist()), axes, angle_deg), 1, thickness=-1)


def _seed(mask: BoolArray, landmarks_crop: Float32Array) -> tuple[int, int] | None:
    """A landmark on the mask, the nose first: it is the middle of the face."""
    height, width = mask.shape
    for index in (2, 0, 1, 3, 4):
        column, row = (round(float(v)) for v in landmarks_crop[index])
        if 0 <= row < height and 0 <= column < width and mask[row, column]:
            return column, row
    return None


def _largest(mask: BoolArray) -> tuple[int, int] | None:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    if count < 2:
        return None
    label = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    row, column = np.unravel_index(int(np.argmax(labels == label)), mask.shape)
    return int(column), int(row)


@lru_cache(maxsize=8)
def _steps(size: int) -> Float64Array:
    return np.arange(size, dtype=np.float64)
