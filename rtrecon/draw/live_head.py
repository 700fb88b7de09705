"""The whole head that is drawn for a face: the head model moved to what was seen of it.

One mesh of fixed topology a face. Its vertices are lifted along directions that are fixed in the
head, onto the network's depth where it is seen and to the outline where that is hair's or the
jaw's; between and behind, lifts and colours spread along the surface. Nothing of it can have a
hole, a jump or a piece that floats, from wherever it is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.draw.head_shell import HeadShell, head_shell, ramp
from rtrecon.draw.raster import Painted
from rtrecon.draw.seen import Seen
from rtrecon.geometry.mesh import Int32Array
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.fit import fit_head, placed_head
from rtrecon.types import Float32Array, Float64Array

__all__ = ["HeadView", "LiveHead"]

_ROUNDS, _SPREAD, _TINT = (16, 1), (10, 6), (60, 2)  # at first, and in each frame after that
_FITS, _FIT_EVERY = 6, 12  # frames that say who it is
_MOST_FACES = 16
_HAIR_WEIGHT, _MIRROR_WEIGHT, _TONE_WEIGHT = 0.04, 0.3, 0.03
_LEAST_COEFFICIENT = 0.03
_UNDER_HAIR_M = (0.006, 0.015)  # of lift about an ear, from where on it is covered
_CENTER_M = (0.0, 0.03, 0.06)  # of a head, from the middle of its eyes


@dataclass(frozen=True, slots=True, eq=False)
class HeadView:
    """A head as it is drawn: ``surface`` in the camera frame, ``center`` (3,) float32 of it."""

    surface: Painted
    center: Float32Array


class LiveHead:
    """Makes the head of each face and remembers what was seen of it before. For one thread.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """

    def __init__(self) -> None:
        self._shell = head_shell()
        self._memory: dict[int, _Memory] = {}

    def __call__(self, face: FaceReconstruction) -> HeadView:
        """The head of one face, in about 5 ms; the first time 100.

        Raises:
            DataError: the face has no pose.
        """
        shell = self._shell
        memory = self._memory.pop(face.id, None)
        if memory is None:
            memory = _Memory(shell)
            while len(self._memory) >= _MOST_FACES:
                del self._memory[next(iter(self._memory))]
        self._memory[face.id] = memory
        return memory.next(face)


class _Memory:
    """One person's: who it is, lifts, colours."""

    def __init__(self, shell: HeadShell) -> None:
        count = len(shell.outward)
        self._shell = shell
        self._frames = self._fits = 0
        self._identity = np.zeros(0, dtype=np.float32)
        self._size = 1.0  # over that of a head whose eyes are as far apart as said
        self._skin: Float32Array = np.zeros(0, dtype=np.float32)
        self._lids: Float64Array = np.zeros(3)
        self._lift = np.zeros(count, dtype=np.float32)
        self._hair_m = 0.0
        self._normals: Float32Array | None = None
        self._colors: Float32Array | None = None

    def next(self, face: FaceReconstruction) -> HeadView:
        shell = self._shell
        at = placed_head(face, model=shell.model)
        if self._fits < _FITS and self._frames % _FIT_EVERY == 0:
            self._know(face, at.scale)
        scale = self._size * at.scale
        R = at.R.astype(np.float32)
        t = face.T_camera_face[:3, 3] - scale * (at.R @ self._lids)
        skin = self._skin.copy()
        for k in np.flatnonzero(at.coefficients > _LEAST_COEFFICIENT):
            skin += at.coefficients[k] * shell.model.expression[k].take(shell.skin, axis=0)
        base = self._head(skin, scale) @ R.T
        base += t.astype(np.float32)
        outward, rest_normals = shell.outward @ R.T, shell.rest_normals @ R.T
        normals = rest_normals if self._normals is None else self._normals @ R.T
        seen, first = Seen(face), self._frames == 0
        points = base + self._lift[:, None] * outward
        for _ in range(_ROUNDS[not first]):
            target, weight = seen.lifts(points, normals, rest_normals, outward, self._lift, shell)
            self._raise(target, weight, first)
            points = base + self._lift[:, None] * outward
            normals = shell.normals(points)
        self._normals = np.asarray(normals @ R, dtype=np.float32)
        uv, share, pure, sampled = seen.colors(points, rest_normals, shell)
        colors = self._tint(pure, sampled)
        self._frames += 1
        surface = Painted(
            points, normals, shell.triangles, colors, uv, share, face.texture.image_bgr
        )
        center = at.R @ _CENTER_M + face.T_camera_face[:3, 3]
        return HeadView(surface, center.astype(np.float32))

    def _know(self, face: FaceReconstruction, scale: float) -> None:
        """Take another frame into account for who it is."""
        model, shell = self._shell.model, self._shell
        fit = fit_head(face, model=model)
        if len(fit.identity):
            self._fits += 1
            share = 1.0 / self._fits
            if not len(self._identity):
                self._identity = np.zeros_like(fit.identity)
            self._identity += np.float32(share) * (fit.identity - self._identity)
            self._size += share * (fit.scale / scale - self._size)
        elif len(self._skin):
            return
        shaped = model.shape(self._identity)
        self._lids = shaped[model.landmarks[36:48]].mean(axis=0, dtype=np.float64)
        self._skin = shaped.take(shell.skin, axis=0)
        self._skin[:, 1] += shell.cut_m

    def _head(self, skin: Float32Array, scale: float) -> Float32Array:
        """(n, 3) metres in the head frame: closed, and ears under hair laid against it."""
        shell = self._shell
        head = shell.complete(skin)
        for ear in shell.ears:
            covered = float(ramp(self._lift @ ear / ear.sum(), *_UNDER_HAIR_M))
            if covered > 0.0:
                head += np.float32(covered) * np.where(ear[:, None] > 0, shell.flat_ears, 0)
        head *= np.float32(scale)
        return head

    def _raise(self, target: Float32Array, weight: Float32Array, first: bool) -> None:
        """Spread what is known of the lifts; hair is about as thick where it is not seen, and
        one side of a head is about as the other."""
        shell = self._shell
        on_scalp = weight * shell.scalp
        total = float(on_scalp.sum())
        if total > 1.0:
            thick_m = float(on_scalp @ np.clip(target, 0.0, 0.05)) / total
            self._hair_m += (0.5 if first else 0.05) * (thick_m - self._hair_m)
        free = 1.0 / (1.0 + weight)
        hair = _HAIR_WEIGHT * shell.scalp * free
        mirrored = _MIRROR_WEIGHT * np.minimum(weight.take(shell.mirror), 1.0) * free
        fixed = weight * target + np.float32(self._hair_m) * hair
        fixed += mirrored * self._lift.take(shell.mirror)
        inverse = 1.0 / (1.0 + weight + hair + mirrored)
        fixed *= inverse
        for _ in range(_SPREAD[not first]):
            self._lift = _around(self._lift, shell.neighbors)
            self._lift *= inverse
            self._lift += fixed

    def _tint(self, pure: Float32Array, sampled: Float32Array) -> Float32Array:
        """(n, 3) colours: as seen, else as seen before, as on the other side, or about so."""
        shell = self._shell
        weight = 4.0 * pure
        mirrored = pure.take(shell.mirror) * (1.0 - pure)
        fixed = weight[:, None] * sampled
        fixed += mirrored[:, None] * sampled.take(shell.mirror, axis=0)
        weight += mirrored
        skin = _tone(sampled, pure * shell.trusting * (1.0 - shell.scalp), None)
        hair = _tone(sampled, pure * shell.crown, skin)
        tone = skin + shell.scalp[:, None] * (hair - skin)
        pull = _TONE_WEIGHT / (1.0 + 10.0 * weight)
        fixed += pull[:, None] * tone
        inverse = (1.0 / (1.0 + weight + pull))[:, None]
        fixed *= inverse
        first = self._colors is None
        colors = tone.astype(np.float32) if self._colors is None else self._colors
        for _ in range(_TINT[not first]):
            colors = _around(colors, shell.neighbors)
            colors *= inverse
            colors += fixed
        self._colors = colors
        return colors


def _tone(
    sampled: Float32Array, weight: Float32Array, otherwise: Float32Array | None
) -> Float32Array:
    """(3,) the median of what weighs something; few are not asked."""
    chosen = sampled[weight > 0.3]
    if len(chosen) < 20:
        return np.full(3, 150.0, np.float32) if otherwise is None else otherwise
    return np.asarray(np.median(chosen, axis=0), dtype=np.float32)


def _around(values: Float32Array, neighbors: Int32Array) -> Float32Array:
    """(n, …) means of the neighbours."""
    total = values.take(neighbors[0], axis=0)
    for row in neighbors[1:]:
        total += values.take(row, axis=0)
    total *= np.float32(1.0 / len(neighbors))
    return np.asarray(total)
