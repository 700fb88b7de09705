"""Values spread over the head's surface: near what was measured, smooth between, and away again
where nothing was."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import Int32Array
from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["Membrane", "membrane_of", "nearest"]

_MOST_STEPS = 250
_ENOUGH = 2e-3  # what is left, of what is asked for


class Membrane:
    """A membrane over the surface that hangs together: skin, mouth and eye sockets.

    Minimises ``|grad d|^2 + |d - target|^2 / reach^2`` over the surface (discrete Laplacian with
    equal weights, the vertices' areas as masses), by conjugate gradients with the diagonal.

    Attributes:
        count: its vertices are the head's first so many.
        area: (count,) float64 of the mean head, over the median.
        spacing_m: median length of its edges.
    """

    def __init__(self, vertices: Float32Array, triangles: Int32Array, count: int) -> None:
        inside = triangles[(triangles < count).all(axis=1)].astype(np.int64)
        a, b, c = (vertices[inside[:, k]].astype(np.float64) for k in range(3))
        third = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 6.0
        area = np.bincount(inside.ravel(), np.repeat(third, 3), minlength=count)
        one = inside.ravel()
        other = np.roll(inside, -1, axis=1).ravel()
        keys = np.unique(np.concatenate([one * count + other, other * count + one]))
        self._source, self._target = np.divmod(keys, count)
        self._degree = np.bincount(self._source, minlength=count).astype(np.float64)
        if not self._degree.all():
            raise ValueError("a vertex has no neighbour")
        # Neighbours in rows, of those that have fewer the last are none: a vertex after the last.
        rank = np.arange(len(self._source)) - np.searchsorted(self._source, self._source)
        self._neighbours = np.full((int(self._degree.max()), count), count)
        self._neighbours[rank, self._source] = self._target
        lengths = np.linalg.norm(vertices[self._source] - vertices[self._target], axis=1)
        self.count = count
        self.spacing_m = float(np.median(lengths))
        self.area = area / np.median(area)

    def mean_around(self, values: Float64Array) -> Float64Array:
        """(count, c) of each vertex's neighbours."""
        return np.asarray(self._sum_around(values) / self._degree[:, None])

    def _sum_around(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        padded = np.concatenate([values, np.zeros((1, values.shape[1]), values.dtype)])
        total: npt.NDArray[Any] = np.empty_like(values)
        one = np.empty_like(values)
        # "clip" is what numpy takes fast with an array to write to; no index is out of range.
        np.take(padded, self._neighbours[0], axis=0, out=total, mode="clip")
        for row in self._neighbours[1:]:
            np.take(padded, row, axis=0, out=one, mode="clip")
            total += one
        return total

    def smooth(self, values: Float64Array, steps: int, share: float = 0.5) -> Float64Array:
        """(count, c) values, each ``steps`` times moved by ``share`` to the mean around it."""
        for _ in range(steps):
            values = values + share * (self.mean_around(values) - values)
        return values

    def solve(
        self,
        weight: Float64Array,
        target: Float64Array,
        reach_m: float | Float64Array,
        fade_m: float | Float64Array,
        rest: Float64Array | None = None,
        start: Float64Array | None = None,
    ) -> Float64Array:
        """The membrane's values.

        Args:
            weight: (count,) confidence in [0, 1] of the targets.
            target: (count, c).
            reach_m: where the confidence is one, detail finer than this is smoothed away; a
                length, or (count,).
            fade_m: so far from what was measured ``rest`` holds; a length, or (count,).
            rest: (count, c); default nothing.
            start: (count, c) near the answer; default ``rest``.

        Returns:
            (count, c) float64.
        """
        mass = self.area * self.spacing_m**2
        held = weight * mass / np.square(reach_m)
        loose = mass / np.square(fade_m)
        right = held[:, None] * target
        if rest is not None:
            right = right + loose[:, None] * rest
        if start is None:
            start = np.zeros_like(right) if rest is None else rest
        total = self._degree + held + loose
        size = float((right * right / total[:, None]).sum())
        # As the difference from the start: single precision is enough for it.
        right = right - (total[:, None] * start - self._sum_around(start))
        diagonal = total[:, None].astype(np.float32)
        r = right.astype(np.float32)
        x = np.zeros_like(r)
        z = r / diagonal
        p, rz = z, float(np.vdot(r, z))
        limit = _ENOUGH**2 * size
        for _ in range(_MOST_STEPS):
            if rz <= limit:
                break
            Ap = diagonal * p - self._sum_around(p)
            alpha = np.float32(rz / float(np.vdot(p, Ap)))
            x += alpha * p
            r -= alpha * Ap
            z = r / diagonal
            before, rz = rz, float(np.vdot(r, z))
            p = z + np.float32(rz / before) * p
        return np.asarray(start + x, dtype=np.float64)


@lru_cache(maxsize=2)
def membrane_of(model: HeadModel) -> Membrane:
    """Of the parts that hang together with the skin; made once a model."""
    return Membrane(model.vertices, model.triangles, model.parts["eye_sockets"].stop)


def nearest(points: Float32Array, among: Float32Array) -> npt.NDArray[np.intp]:
    """(n,) index of the nearest of ``among`` (m, 3) to each of ``points`` (n, 3)."""
    found = np.empty(len(points), dtype=np.intp)
    square = (among.astype(np.float64) ** 2).sum(axis=1)
    for first in range(0, len(points), 256):
        block = points[first : first + 256].astype(np.float64)
        found[first : first + 256] = (square - 2.0 * block @ among.T).argmin(axis=1)
    return found
