"""Values spread over the head's surface: near what was measured, smooth between, and away again
where nothing was."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import Int32Array
from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["Membrane", "membrane_of", "nearest"]

_MOST_STEPS = 250
_ENOUGH = 1e-3  # of the first residual


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
        alone = self._degree == 0  # no vertex is; reduceat needs each to have one
        if alone.any():
            raise ValueError(f"{int(alone.sum())} vertices have no neighbour")
        self._first = np.searchsorted(self._source, np.arange(count))
        lengths = np.linalg.norm(vertices[self._source] - vertices[self._target], axis=1)
        self.count = count
        self.spacing_m = float(np.median(lengths))
        self.area = area / np.median(area)

    def mean_around(self, values: Float64Array) -> Float64Array:
        """(count, c) of each vertex's neighbours."""
        total = np.add.reduceat(values[self._target], self._first, axis=0)
        return np.asarray(total / self._degree[:, None])

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
    ) -> Float64Array:
        """The membrane's values.

        Args:
            weight: (count,) confidence in [0, 1] of the targets.
            target: (count, c).
            reach_m: where the confidence is one, detail finer than this is smoothed away; a
                length, or (count,).
            fade_m: so far from what was measured ``rest`` holds; a length, or (count,).
            rest: (count, c); default nothing.

        Returns:
            (count, c) float64.
        """
        mass = self.area * self.spacing_m**2
        held = weight * mass / np.square(reach_m)
        loose = mass / np.square(fade_m)
        diagonal = (self._degree + held + loose)[:, None]
        right = held[:, None] * target
        x = np.zeros_like(right)
        if rest is not None:
            right = right + loose[:, None] * rest
            x = x + rest
        r = right - self._apply(x, diagonal)
        z = r / diagonal
        p, rz = z, float(np.vdot(r, z))
        limit = _ENOUGH**2 * max(float(np.vdot(right, right / diagonal)), 1e-30)
        for _ in range(_MOST_STEPS):
            if rz <= limit:
                break
            Ap = self._apply(p, diagonal)
            alpha = rz / float(np.vdot(p, Ap))
            x = x + alpha * p
            r = r - alpha * Ap
            z = r / diagonal
            before, rz = rz, float(np.vdot(r, z))
            p = z + (rz / before) * p
        return x

    def _apply(self, x: Float64Array, diagonal: Float64Array) -> Float64Array:
        around = np.add.reduceat(x[self._target], self._first, axis=0)
        return np.asarray(diagonal * x - around)


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
