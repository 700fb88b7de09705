"""The skin of the head model as one closed surface: eyes and mouth closed by membranes."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtrecon.assets import read_asset
from rtrecon.errors import ModelError
from rtrecon.geometry.mesh import Int32Array
from rtrecon.head.model import HeadModel, head_model
from rtrecon.types import Float32Array, Float64Array

__all__ = ["Fans", "HeadShell", "head_shell", "ramp"]

_RINGS = (0.3, 0.6, 0.85)  # of a membrane, as shares of the way to its middle
_BONE_TOP_M, _BONE_LOW_M = (0.0, -0.025, 0.09), (0.0, 0.2, 0.1)
"""Of the line that the surface lies about: middle of the skull, and of the neck below it."""

_NAME = "head_shell.npz"
_PARTS, _FLAT_STEPS = 16, 300


class Fans:
    """Normals of a topology's vertices, again and again.

    Args:
        triangles: (m, 3); each vertex is of one at least.
    """

    def __init__(self, triangles: Int32Array) -> None:
        self._triangles = triangles
        self._corners = np.argsort(triangles.ravel(), kind="stable") // 3
        self._first = np.concatenate([[0], np.cumsum(np.bincount(triangles.ravel()))[:-1]])

    def normals(self, vertices: Float32Array) -> Float32Array:
        """(n, 3) float32 unit, outward."""
        a, b, c = (vertices.take(self._triangles[:, k], axis=0) for k in range(3))
        b -= a
        c -= a
        faces = np.empty_like(a)
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            np.multiply(b[:, i], c[:, j], out=faces[:, k])
            faces[:, k] -= b[:, j] * c[:, i]
        normals = np.add.reduceat(faces.take(self._corners, axis=0), self._first, axis=0)
        length = np.sqrt(np.einsum("ij,ij->i", normals, normals))
        normals /= np.maximum(length, 1e-12)[:, None]
        return np.asarray(normals)


@dataclass(frozen=True, slots=True, eq=False)
class HeadShell:
    """What of the head can be seen from outside, with one topology for all frames.

    Attributes:
        model: whose skin it is.
        skin: (k,) int32, the model's vertices that are its own first ones; membranes' follow.
        cut_m: (k,) float32, how far down these go to end in a plane.
        expression: (51, 3 k) float32, what a coefficient of one adds to these.
        triangles: (m, 3) int32, anticlockwise from outside; a closed surface.
        outward: (n, 3) float32, unit: away from the bone, for each vertex.
        rest_normals: (n, 3) float32, unit, of the mean head.
        neighbors: (8, n) int32, of each vertex along edges; itself where it has fewer.
        mirror: (n,) int32, the vertex at the same place of the other side.
        scalp: (n,) float32 in [0, 1], where hair grows.
        crown: (n,) float32 in [0, 1], where hair is that is not forehead in anybody.
        above_ears: (2, n) float32, sums to one: what is lifted where hair covers them.
        front: (n,) float32 in [0, 1], the middle of the face, whose steep parts are seen too.
        trusting: (n,) float32 in [0, 1], how far depth that is seen moves a vertex by itself;
            nothing at the ears and under the chin, which it would tear.
        outlined: (n,) float32 in [0, 1], how far the outline of what is seen moves it: hair and
            jaw, not the temples, before which ears are seen.
        ears: (2, n) float32 in [0, 1], the picture's left one first.
        flat_ears: (n, 3) float32, what lays the ears against the head, as under hair.
    """

    model: HeadModel
    skin: Int32Array
    cut_m: Float32Array
    expression: Float32Array
    triangles: Int32Array
    outward: Float32Array
    rest_normals: Float32Array
    neighbors: Int32Array
    mirror: Int32Array
    scalp: Float32Array
    crown: Float32Array
    front: Float32Array
    trusting: Float32Array
    outlined: Float32Array
    ears: Float32Array
    above_ears: Float32Array
    flat_ears: Float32Array
    _loops: tuple[npt.NDArray[np.int64], ...]
    _depths: tuple[tuple[float, ...], ...]
    _fans: Fans

    def complete(self, skin: Float32Array) -> Float32Array:
        """(n, 3) all vertices where those of the skin are at ``skin`` (k, 3)."""
        return _complete(skin, self._loops, self._depths)

    def normals(self, vertices: Float32Array) -> Float32Array:
        """(n, 3) float32 unit, outward."""
        return self._fans.normals(vertices)


@lru_cache(maxsize=1)
def head_shell() -> HeadShell:
    """The shell of the shipped head.

    Raises:
        ModelError: it is not installed, or damaged.
    """
    return _make(head_model())


def _make(model: HeadModel) -> HeadShell:
    with np.load(io.BytesIO(read_asset(_NAME)), allow_pickle=False) as data:
        skin, cut = data["skin"].astype(np.int32), data["cut_m"]
        triangles = data["triangles"].astype(np.int32)
        if len(model.vertices) != int(data["model_vertices"]):
            raise ModelError("the head model is not the one of this version: install rtrecon again")
    rest = model.vertices[skin].copy()
    rest[:, 1] += cut
    loops = _border_loops(triangles)
    # The neck is cut flat; eyes and mouth bulge as what is seen there does.
    low = max(range(len(loops)), key=lambda k: float(rest[loops[k], 1].mean()))
    depths = tuple(() if k == low else _RINGS for k in range(len(loops)))
    pieces, n = [triangles], len(skin)
    for loop, shares in zip(loops, depths, strict=True):
        rings = [loop]
        for _ in shares:
            rings.append(np.arange(n, n + len(loop)))
            n += len(loop)
        for outer, inner in itertools.pairwise(rings):
            after, inner_after = np.roll(outer, -1), np.roll(inner, -1)
            pieces += [
                np.stack([outer, after, inner], axis=1),
                np.stack([after, inner_after, inner], axis=1),
            ]
        last = rings[-1]
        pieces.append(np.stack([last, np.roll(last, -1), np.full(len(last), n)], axis=1))
        n += 1
    triangles = np.concatenate(pieces).astype(np.int32)
    mean = _complete(rest, tuple(loops), depths)
    neighbors = _neighbors(triangles, n)
    ears = _ears(mean)
    shell = HeadShell(
        model=model,
        skin=skin,
        cut_m=cut,
        expression=np.ascontiguousarray(
            model.expression[:, skin].reshape(len(model.expression), -1)
        ),
        triangles=triangles,
        outward=_outward(mean),
        rest_normals=np.zeros_like(mean),
        neighbors=neighbors,
        mirror=_mirror(mean),
        scalp=_scalp(mean),
        crown=_scalp(mean) * ramp(-mean[:, 1], 0.065, 0.08),
        front=_front(mean),
        trusting=_trusting(mean, ears.max(axis=0)),
        outlined=_outlined(mean),
        ears=ears,
        above_ears=_above_ears(mean),
        flat_ears=_flat(mean, neighbors, ears.max(axis=0)),
        _loops=tuple(loops),
        _depths=depths,
        _fans=Fans(triangles),
    )
    shell.rest_normals[:] = shell.normals(mean)
    return shell


def _complete(
    skin: Float32Array,
    loops: tuple[npt.NDArray[np.int64], ...],
    depths: tuple[tuple[float, ...], ...],
) -> Float32Array:
    parts = [skin]
    for loop, shares in zip(loops, depths, strict=True):
        rim = skin[loop]
        middle = rim.mean(axis=0)
        parts += [rim + np.float32(s) * (middle - rim) for s in shares]
        parts.append(middle[None])
    return np.concatenate(parts)


def _border_loops(triangles: Int32Array) -> list[npt.NDArray[np.int64]]:
    """Vertices of each border, in the order in which triangles that close it go round."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    known = {(int(a), int(b)) for a, b in edges}
    after = {b: a for a, b in known if (b, a) not in known}
    loops = []
    while after:
        start, at = next(iter(after.items()))
        loop = [start]
        del after[start]
        while at != start:
            loop.append(at)
            at = after.pop(at)
        loops.append(np.array(loop))
    return loops


def _neighbors(triangles: Int32Array, count: int) -> Int32Array:
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
    first = np.searchsorted(edges[:, 0], np.arange(count))
    place = np.arange(len(edges)) - first[edges[:, 0]]
    table = np.repeat(np.arange(count, dtype=np.int32)[None], 8, axis=0)
    few = place < 8
    table[place[few], edges[few, 0]] = edges[few, 1]
    return table


def _outward(vertices: Float32Array) -> Float32Array:
    top, low = np.array(_BONE_TOP_M), np.array(_BONE_LOW_M)
    along = low - top
    share = np.clip((vertices - top) @ along / (along @ along), 0.0, 1.0)
    away: Float64Array = vertices - (top + share[:, None] * along)
    return np.asarray((away / np.linalg.norm(away, axis=1, keepdims=True)), dtype=np.float32)


def _mirror(vertices: Float32Array) -> Int32Array:
    flipped = vertices * np.array([-1, 1, 1], np.float32)
    half = 0.5 * np.einsum("ij,ij->i", vertices, vertices)
    nearest = [
        (half - part @ vertices.T).argmin(axis=1) for part in np.array_split(flipped, _PARTS)
    ]
    return np.concatenate(nearest).astype(np.int32)


def _scalp(vertices: Float32Array) -> Float32Array:
    """Above the forehead and behind the ears, softly."""
    y, z = vertices[:, 1], vertices[:, 2]
    front = ramp(-0.04 - y + 0.9 * np.clip(z - 0.02, -0.02, 0.1), 0.0, 0.02)
    return np.asarray(front * ramp(0.11 - y, 0.0, 0.03), np.float32)


def _front(vertices: Float32Array) -> Float32Array:
    x, y, z = vertices.T
    middle = ramp(0.055 - np.abs(x), 0.0, 0.015) * ramp(0.04 - z, 0.0, 0.02)
    return np.asarray(middle * ramp(y, -0.06, -0.05) * ramp(0.105 - y, 0.0, 0.01), np.float32)


def _ears(vertices: Float32Array) -> Float32Array:
    x, y, z = vertices.T
    high = ramp(z, 0.05, 0.06) * ramp(0.12 - z, 0.0, 0.01)
    high *= ramp(y, -0.045, -0.035) * ramp(0.065 - y, 0.0, 0.01)
    return np.stack([high * ramp(side * x, 0.064, 0.07) for side in (-1.0, 1.0)]).astype(np.float32)


def _above_ears(vertices: Float32Array) -> Float32Array:
    x, y, z = vertices.T
    band = ramp(y, -0.075, -0.065) * ramp(-0.025 - y, 0.0, 0.01) * ramp(z, 0.04, 0.05)
    band *= ramp(0.12 - z, 0.0, 0.01)
    both = np.stack([band * (side * x > 0.05) for side in (-1.0, 1.0)])
    return np.asarray(both / both.sum(axis=1, keepdims=True), dtype=np.float32)


def _trusting(vertices: Float32Array, ear: Float32Array) -> Float32Array:
    y, z = vertices[:, 1], vertices[:, 2]
    below_jaw = y - 0.113 + 0.9 * np.clip(z - 0.0, 0.0, 0.09)
    return np.asarray((1.0 - ear) * (1.0 - ramp(below_jaw, 0.0, 0.01)), np.float32)


def _outlined(vertices: Float32Array) -> Float32Array:
    jaw = ramp(vertices[:, 1], 0.05, 0.06) * ramp(0.1 - vertices[:, 1], 0.0, 0.01)
    return np.asarray(np.maximum(_scalp(vertices), 0.5 * jaw), np.float32)


def _flat(vertices: Float32Array, neighbors: Int32Array, ear: Float32Array) -> Float32Array:
    at, on = vertices.copy(), np.flatnonzero(ear)
    around, share = neighbors[:, on], ear[on, None]
    for _ in range(_FLAT_STEPS):
        at[on] += share * (at[around].mean(axis=0) - at[on])
    return np.asarray(at - vertices, dtype=np.float32)


def ramp(value: Float32Array, low: float, high: float) -> Float32Array:
    """0 below ``low``, 1 above ``high``, straight between."""
    return np.asarray(np.clip((value - low) * (1.0 / (high - low)), 0.0, 1.0))
