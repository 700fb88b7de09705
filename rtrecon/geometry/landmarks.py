"""The five landmarks where geometry needs them: in the crop, as rays, with their depth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.geometry.rays import undistort
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["Landmarks", "sample"]


@dataclass(slots=True, eq=False)
class Landmarks:
    """``crop_px`` (5, 2) float32 crop pixels; ``rays`` (5, 2) float64 x, y at depth one;
    ``ratio`` (5,) float64 depth over the reference depth; ``visible`` (5,) float64 one where
    that depth was read off the face, zero where it is a guess."""

    crop_px: Float32Array
    rays: Float64Array
    ratio: Float64Array = field(default_factory=lambda: np.ones(5))
    visible: Float64Array = field(default_factory=lambda: np.zeros(5))

    @classmethod
    def of(cls, landmarks_px: Float32Array, crop: Crop, intrinsics: Intrinsics) -> Landmarks:
        """From (5, 2) picture pixels; depths are not known yet."""
        return cls(crop.to_crop(landmarks_px), undistort(landmarks_px, intrinsics))

    def read_depth(
        self, ratio: Float32Array, valid: npt.NDArray[np.bool_], guess: Float64Array
    ) -> None:
        """Look the depths up in ``ratio`` (h, w); those not on ``valid`` take ``guess`` (5,)."""
        size = len(ratio)
        at = np.rint(self.crop_px).astype(np.intp)
        inside = ((at >= 0) & (at < size)).all(axis=1)
        at = np.clip(at, 0, size - 1)
        seen = inside & valid[at[:, 1], at[:, 0]]
        self.visible = seen.astype(np.float64)
        self.ratio = np.where(seen, sample(ratio, self.crop_px), guess)

    def points(self) -> Float64Array:
        """(5, 3) un-projected, at a reference depth of one."""
        return np.column_stack([self.rays, np.ones(5)]) * self.ratio[:, None]


def sample(image: Float32Array, points_px: Float32Array) -> Float64Array:
    """(n,) bilinear values of ``image`` (h, w) at (n, 2) pixels; beyond the edge, the edge's."""
    height, width = image.shape
    x = np.clip(points_px[:, 0].astype(np.float64), 0.0, width - 1.0)
    y = np.clip(points_px[:, 1].astype(np.float64), 0.0, height - 1.0)
    column = np.minimum(x.astype(np.intp), width - 2)
    row = np.minimum(y.astype(np.intp), height - 2)
    dx, dy = x - column, y - row
    top = image[row, column] * (1.0 - dx) + image[row, column + 1] * dx
    bottom = image[row + 1, column] * (1.0 - dx) + image[row + 1, column + 1] * dx
    return np.asarray(top * (1.0 - dy) + bottom * dy, dtype=np.float64)
