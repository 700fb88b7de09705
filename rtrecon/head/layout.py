"""The head's texture: which place of the surface each of its pixels shows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from rtrecon.geometry.mesh import Int32Array
from rtrecon.geometry.rasterize import rasterize
from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array

__all__ = ["Layout", "layout_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Of a texture of ``size`` x ``size``; what is between the tiles shows what is nearest.

    ``corners`` (size * size, 3) int32 vertices; ``weights`` (size * size, 3) float32 of these;
    ``part`` (size, size) uint8, index in `PART_NAMES`; ``covered`` (size, size) bool.
    """

    size: int
    corners: Int32Array
    weights: Float32Array
    part: np.ndarray
    covered: np.ndarray

    def spread(self, values: Float32Array, rows: tuple[int, int] | None = None) -> Float32Array:
        """(size, size, c) of the vertices' (n, c) values, or some ``rows`` of it, first and
        last+1; n may be the first vertices alone, the others are zero then."""
        first, end = rows or (0, self.size)
        chosen = slice(first * self.size, end * self.size)
        corners, weights = self.corners[chosen], self.weights[chosen]
        values = values.astype(np.float32, copy=False)
        missing = int(self.corners.max()) + 1 - len(values)
        if missing > 0:
            values = np.pad(values, ((0, missing), (0, 0)))
        result = np.empty((len(corners), values.shape[1]), dtype=np.float32)
        one = np.empty_like(result)
        np.take(values, corners[:, 0], axis=0, out=result, mode="clip")
        result *= weights[:, :1]
        for k in (1, 2):
            np.take(values, corners[:, k], axis=0, out=one, mode="clip")
            one *= weights[:, k : k + 1]
            result += one
        return result.reshape(end - first, self.size, -1)


@lru_cache(maxsize=2)
def layout_of(model: HeadModel, size: int) -> Layout:
    """Of ``model`` at ``size``; made once."""
    points = (model.uv * size - 0.5).astype(np.float32)
    flat = np.zeros(len(points), dtype=np.float32)
    hit = rasterize(points, flat, model.uv_triangles, size, size)
    covered = np.zeros(size * size, dtype=np.bool_)
    covered[hit.pixel] = True
    # Labels of the nearest covered pixel, for what bleeds beyond the tiles' borders.
    empty = (~covered).reshape(size, size).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL
    )
    labels = labels.reshape(-1)
    of_label = np.zeros(int(labels.max()) + 1, dtype=np.int32)
    of_label[labels[hit.pixel]] = np.arange(len(hit.pixel), dtype=np.int32)
    index = of_label[labels]
    triangle = hit.triangle[index]
    part = model.part_of_triangles().astype(np.uint8)[triangle].reshape(size, size)
    return Layout(
        size,
        model.triangles[triangle],
        hit.weights[index],
        part,
        covered.reshape(size, size),
    )
