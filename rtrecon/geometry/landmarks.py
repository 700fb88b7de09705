"""The five landmarks where geometry needs them: in the crop, as rays, with their depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.geometry.rays import undistort
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["Landmarks", "sample"]

_OFFSETS = np.arange(-1, 3)


@dataclass(slots=True, eq=False)
class _View:
    ratio: Float32Array
    valid: npt.NDArray[np.bool_]
    limit: float
    guess: Float64Array

    def depths(self, crop_px: Float32Array) -> tuple[Float64Array, Float64Array]:
        size = len(self.ratio)
        at = np.rint(crop_px).astype(np.intp)
        inside = ((at >= 0) & (at < size)).all(axis=1)
        at = np.clip(at, 0, size - 1)
        seen = inside & self.valid[at[:, 1], at[:, 0]]
        read = sample(self.ratio, crop_px, self.valid)
        seen &= np.abs(read - 1.0) < self.limit
        return np.where(seen, read, self.guess), seen.astype(np.float64)


@dataclass(slots=True, eq=False)
class Landmarks:
    """``crop_px`` (5, 2) float32 crop pixels; ``rays`` (5, 2) float64 x, y at depth one.

    Their depths are looked up when first asked for: where the head itself is found, nobody asks.
    """

    crop_px: Float32Array
    rays: Float64Array
    _view: _View | None = None
    _depths: tuple[Float64Array, Float64Array] | None = None

    @classmethod
    def of(cls, landmarks_px: Float32Array, crop: Crop, intrinsics: Intrinsics) -> Landmarks:
        """From (5, 2) picture pixels; depths are not known yet."""
        return cls(crop.to_crop(landmarks_px), undistort(landmarks_px, intrinsics))

    def look_in(
        self,
        ratio: Float32Array,
        valid: npt.NDArray[np.bool_],
        limit: float,
        guess: Float64Array,
    ) -> None:
        """Where the depths will be looked up: ``ratio`` (h, w), over the reference depth.

        Those not on ``valid``, or further than ``limit`` from one, take ``guess`` (5,): they
        are read off something else.
        """
        self._view, self._depths = _View(ratio, valid, limit, guess), None

    @property
    def ratio(self) -> Float64Array:
        """(5,) float64 depths over the reference depth."""
        return self._read()[0]

    @property
    def visible(self) -> Float64Array:
        """(5,) float64, one where that depth was read off the face, zero where it is a guess."""
        return self._read()[1]

    def _read(self) -> tuple[Float64Array, Float64Array]:
        if self._depths is None:
            view = self._view
            self._depths = (np.ones(5), np.zeros(5)) if view is None else view.depths(self.crop_px)
        return self._depths

    def points(self) -> Float64Array:
        """(5, 3) un-projected, at a reference depth of one."""
        return np.column_stack([self.rays, np.ones(5)]) * self.ratio[:, None]


def sample(
    image: Float32Array, points_px: Float32Array, valid: npt.NDArray[np.bool_] | None = None
) -> Float64Array:
    """(n,) values of ``image`` (h, w) at (n, 2) pixels; beyond the edge, the edge's.

    By a cubic through 4 x 4 pixels: a straight line between pixels is wrong by tenths of a
    millimetre on a turned cheek. Where some of these are not ``valid`` (h, w), bilinear from
    those of the nearest four that are (next to a silhouette the others are of something
    else); NaN without any.
    """
    height, width = image.shape
    # For so few values np.clip and np.stack take longer than the rest of this.
    x = np.minimum(np.maximum(points_px[:, 0].astype(np.float64), 0.0), width - 1.0)
    y = np.minimum(np.maximum(points_px[:, 1].astype(np.float64), 0.0), height - 1.0)
    column = np.minimum(x.astype(np.intp), width - 2)
    row = np.minimum(y.astype(np.intp), height - 2)
    dx, dy = x - column, y - row
    rows, columns = row + _OFFSETS[:, None, None], column + _OFFSETS[None, :, None]
    smooth = (column > 0) & (row > 0) & (column < width - 2) & (row < height - 2)
    rows = np.minimum(np.maximum(rows, 0), height - 1)
    columns = np.minimum(np.maximum(columns, 0), width - 1)
    around = image[rows, columns].astype(np.float64)
    known = np.ones(around.shape) if valid is None else valid[rows, columns].astype(np.float64)
    smooth &= known.all(axis=(0, 1))
    cubic = _cubic(dy)[:, None] * _cubic(dx)[None]
    linear = np.array([1.0 - dy, dy])[:, None] * np.array([1.0 - dx, dx])[None]
    linear = linear * known[1:3, 1:3]
    total = linear.sum(axis=(0, 1))
    flat = (linear * around[1:3, 1:3]).sum(axis=(0, 1)) / np.where(total > 0.0, total, np.nan)
    return np.asarray(np.where(smooth, (cubic * around).sum(axis=(0, 1)), flat), dtype=np.float64)


def _cubic(d: Float64Array) -> Float64Array:
    """(4, n) weights of Lagrange's cubic through -1, 0, 1, 2 at ``d`` (n,)."""
    a, b, c = d + 1.0, d - 1.0, d - 2.0
    return np.array([-d * b * c / 6.0, a * b * c / 2.0, -a * d * c / 2.0, a * d * b / 6.0])
