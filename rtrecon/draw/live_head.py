"""The whole head that is drawn for a face: the head model moved to what was seen of it.

One mesh of fixed topology a face. Its vertices are lifted along directions that are fixed in the
head, onto the network's depth where it is seen and to the outline where that is hair's or the
jaw's; between and behind, lifts and colours spread along the surface. Nothing of it can have a
hole, a jump or a piece that floats, from wherever it is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.blas import one_blas_thread
from rtrecon.draw.head_shell import HeadShell, head_shell, ramp
from rtrecon.draw.raster import Painted
from rtrecon.draw.seen import Seen
from rtrecon.geometry.mesh import Int32Array
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.fit import fit_head, placed_head
from rtrecon.head.fitted import FittedHead
from rtrecon.head.live_fit import PersonFit
from rtrecon.types import Float32Array

__all__ = ["HeadView", "LiveHead"]

_ROUNDS, _SPREAD, _TINT = (16, 1), (10, 6), (60, 2)  # at first, and in each frame after that
_MOST_FACES = 16
_MOST_LEFT = 6
_IPD_M, _SIZES = 0.063, (0.7, 1.45)  # of a usual head, and how large others are
_HAIR_WEIGHT, _MIRROR_WEIGHT, _TONE_WEIGHT = 0.04, 0.3, 0.03
_LEAST_COEFFICIENT = 0.03
_UNDER_HAIR_M = (0.008, 0.015)  # of lift above an ear, from where on it is covered
_LEAST_CONTRAST = 30.0  # of 255 between skin and hair, so that an ear's colour tells them apart
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
        self._fit = PersonFit()
        self._memory: dict[int, _Memory] = {}

    def __call__(
        self, face: FaceReconstruction, t_ns: int | None = None, *, tints: bool = True
    ) -> HeadView:
        """The head of one face, in about 5 ms; the first time 100.

        Args:
            face: what was seen.
            t_ns: when, for people in video, who are learnt from frame to frame; None: this is a
                picture.
            tints: False: the colours of vertices may be those of the last time.

        Raises:
            DataError: the face has no pose.
        """
        with one_blas_thread():
            return self._view(face, t_ns, tints)

    def _view(self, face: FaceReconstruction, t_ns: int | None, tints: bool) -> HeadView:
        head = fit_head(face) if t_ns is None else self._fit.update(face, t_ns)
        if not _SIZES[0] < head.scale * self._shell.model.ipd_m / _IPD_M < _SIZES[1]:
            head = placed_head(face)  # a depth that is no head's
        memory = self._memory.pop(face.id, None) or _Memory(self._shell)
        self._memory[face.id] = memory
        if len(self._memory) > _MOST_FACES:
            del self._memory[next(iter(self._memory))]  # longest unseen
        return memory.next(face, head, tints=tints)


class _Memory:
    """One person's: who it is, lifts, colours."""

    def __init__(self, shell: HeadShell) -> None:
        count = len(shell.outward)
        self._shell = shell
        self._identity: Float32Array | None = None
        self._skin: Float32Array = np.zeros(0, dtype=np.float32)
        self._lift = np.zeros(count, dtype=np.float32)
        self._hair_m = 0.0
        self._covered = [0.0, 0.0]  # ears, by the colour that is seen there
        self._normals: Float32Array | None = None
        self._colors: Float32Array | None = None
        self._untinted = 0  # frames since colours were looked at

    def next(self, face: FaceReconstruction, at: FittedHead, *, tints: bool) -> HeadView:
        shell, first = self._shell, self._colors is None
        if at.identity is not self._identity:
            self._identity = at.identity
            self._skin = shell.model.shape(at.identity).take(shell.skin, axis=0)
            self._skin[:, 1] += shell.cut_m
        R = at.R.astype(np.float32)
        weights = np.where(at.coefficients > _LEAST_COEFFICIENT, at.coefficients, 0.0)
        moved = weights.astype(np.float32) @ shell.expression
        skin = self._skin + moved.reshape(-1, 3)
        base = self._head(skin, at.scale) @ R.T
        base += at.t.astype(np.float32)
        outward, rest_normals = shell.outward @ R.T, shell.rest_normals @ R.T
        normals = rest_normals if self._normals is None else self._normals @ R.T
        seen = Seen(face)
        points = base + self._lift[:, None] * outward
        for _ in range(_ROUNDS[not first]):
            target, weight = seen.lifts(points, normals, rest_normals, outward, self._lift, shell)
            self._raise(target, weight, first)
            points = base + self._lift[:, None] * outward
            normals = shell.normals(points)
        self._normals = np.asarray(normals @ R, dtype=np.float32)
        uv, share, pure, sampled = seen.colors(points, rest_normals, shell)
        colors = self._colors
        if colors is None or tints:
            colors = self._tint(pure, sampled, first)
            self._untinted = 0
        else:
            self._untinted += 1
        surface = Painted(
            points, normals, shell.triangles, colors, uv, share, face.texture.image_bgr
        )
        center = at.R @ _CENTER_M + face.T_camera_face[:3, 3]
        return HeadView(surface, center.astype(np.float32))

    def _head(self, skin: Float32Array, scale: float) -> Float32Array:
        """(n, 3) metres in the head frame: closed, and ears under hair laid against it."""
        shell = self._shell
        head = shell.complete(skin)
        for k, (ear, above) in enumerate(zip(shell.ears, shell.above_ears, strict=True)):
            covered = max(float(ramp(self._lift @ above, *_UNDER_HAIR_M)), self._covered[k])
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

    def _tint(self, pure: Float32Array, sampled: Float32Array, first: bool) -> Float32Array:
        """(n, 3) colours: as seen, else as seen before, as on the other side, or about so."""
        shell = self._shell
        weight = 4.0 * pure
        mirrored = pure.take(shell.mirror) * (1.0 - pure)
        fixed = weight[:, None] * sampled
        fixed += mirrored[:, None] * sampled.take(shell.mirror, axis=0)
        weight += mirrored
        skin = _tone(sampled, pure * shell.trusting * (1.0 - shell.scalp), None)
        hair = _tone(sampled, pure * shell.crown, skin)
        self._look_at_ears(pure, sampled, skin, hair, first)
        tone = skin + shell.scalp[:, None] * (hair - skin)
        pull = _TONE_WEIGHT / (1.0 + 10.0 * weight)
        fixed += pull[:, None] * tone
        inverse = (1.0 / (1.0 + weight + pull))[:, None]
        fixed *= inverse
        colors = tone.astype(np.float32) if self._colors is None else self._colors
        # Colours that were left as they were spread further at once.
        for _ in range(_TINT[0] if first else _TINT[1] * min(1 + self._untinted, _MOST_LEFT)):
            colors = _around(colors, shell.neighbors)
            colors *= inverse
            colors += fixed
        self._colors = colors
        return colors

    def _look_at_ears(
        self,
        pure: Float32Array,
        sampled: Float32Array,
        skin: Float32Array,
        hair: Float32Array,
        first: bool,
    ) -> None:
        """An ear whose colour is nearer to the hair's than to the skin's is under hair."""
        contrast = float(np.linalg.norm(skin - hair))
        if contrast < _LEAST_CONTRAST:
            return
        for k, ear in enumerate(self._shell.ears):
            weight = ear * pure
            total = float(weight.sum())
            if total > 8.0:
                color = weight @ sampled / total
                to_skin, to_hair = (float(np.linalg.norm(color - tone)) for tone in (skin, hair))
                # 1 on the side of hair, whatever the shade; -1 on that of skin.
                side = np.asarray((to_skin - to_hair) / contrast, dtype=np.float32)
                covered = float(ramp(side, 0.5, 0.8))
                self._covered[k] += (1.0 if first else 0.1) * (covered - self._covered[k])


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
