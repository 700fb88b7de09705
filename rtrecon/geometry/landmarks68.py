"""A network's 68 landmarks in the picture, steady over time, and in metres through the depth."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.faces.filters import OneEuroFilter
from rtrecon.geometry.landmarks import sample
from rtrecon.geometry.rays import undistort
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["landmarks_filter", "landmarks_in_camera", "landmarks_in_picture"]

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=np.uint8)
# First of jaw line, brows, nose, eyes, mouth: each opens by its own speed, so that a mouth that
# talks is not late and the rest of the face does not tremble with it.
_PARTS = (0, 17, 27, 36, 48)


def landmarks_in_picture(shares: Float32Array, crop: Crop) -> Float64Array:
    """(68, 2) shares of ``crop`` to picture pixels."""
    M = crop.M_picture_crop
    crop_px = shares.astype(np.float64) * crop.size_px - 0.5
    return np.asarray(crop_px @ M[:, :2].T + M[:, 2])


def landmarks_filter() -> OneEuroFilter:
    """A filter for the 68 landmarks of one face, in pixels of the picture.

    Not of the crop: the crop follows landmarks that are filtered themselves, and what the
    network says within it makes good for that.
    """
    return OneEuroFilter(still_hz=1.2, opening=14.0, parts=_PARTS)


def landmarks_in_camera(
    points_px: Float32Array,
    z: Float32Array,
    valid: npt.NDArray[np.bool_],
    crop: Crop,
    intrinsics: Intrinsics,
) -> Float32Array:
    """(68, 3) metres: each on its own ray, at the depth of the surface seen there.

    A point that falls off the face, as those of the jaw line do, takes the depth of the face's
    nearest pixel. All NaN where no pixel is of the face.

    Args:
        points_px: (68, 2) picture pixels.
        z: (h, w) camera depth of the crop's pixels, meaningful where ``valid`` (h, w) is.
        crop, intrinsics: of the depth.
    """
    crop_px = crop.to_crop(points_px)
    depth = sample(z, crop_px, valid)
    beside = ((crop_px < 0.0) | (crop_px > len(z) - 1.0)).any(axis=1)
    off = np.flatnonzero(beside | ~np.isfinite(depth))
    if len(off):
        rows, columns = _rim(valid)
        if len(rows) == 0:
            return np.full((len(points_px), 3), np.nan, dtype=np.float32)
        x, y = crop_px[off, 0, None], crop_px[off, 1, None]
        nearest = np.argmin((columns - x) ** 2 + (rows - y) ** 2, axis=1)
        depth[off] = z[rows[nearest], columns[nearest]]
    rays = undistort(points_px, intrinsics)
    return (np.column_stack([rays, np.ones(len(rays))]) * depth[:, None]).astype(np.float32)


def _rim(valid: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of the pixels of ``valid`` that have a neighbour which is none.

    The nearest to a point off the face is one of them: of any other a neighbour is nearer.
    """
    inside = cv2.erode(
        valid.view(np.uint8), _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0.0
    )
    rim = np.flatnonzero(valid.view(np.uint8) > inside)  # twice as fast as by rows and columns
    return rim // valid.shape[1], rim % valid.shape[1]
