"""The whole head of a face for pages: offsets from one topology, and colours where none is seen."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from rtrecon.draw.head_shell import HeadShell, head_shell
from rtrecon.draw.live_head import LiveHead
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mesh import UInt8Array
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Float32Array

__all__ = ["HeadBlobs", "HeadLayer", "head_json", "rest_of"]

_STEP_M = 0.0002
_TINT_EVERY_NS, _SETTLED_TINT_EVERY_NS = 500_000_000, 2_000_000_000
_UNSETTLED_TINTS = 6  # of a face that has just come: colours spread over what is not seen of it
_TINT_VISIBLE = 4.0  # of 255, at the vertex that has changed most but for a few
_TINT_SHARE = 0.98
_MOST_FACES = 16


@dataclass(frozen=True, slots=True)
class HeadBlobs:
    """One head, packed.

    Attributes:
        shape: offsets and shares, through zlib.
        words: the rest of ``head`` in the header.
        tint: colours, through zlib; tint_key: their number.
    """

    shape: bytes
    words: dict[str, Any]
    tint: bytes
    tint_key: int


@dataclass(slots=True)
class _Tint:
    key: int
    colors: UInt8Array
    packed: bytes
    t_ns: int
    count: int = 1  # of this face's, up to this one

    def is_due(self, t_ns: int) -> bool:
        """Whether it is time to look for new colours."""
        is_settled = self.count > _UNSETTLED_TINTS
        every_ns = _SETTLED_TINT_EVERY_NS if is_settled else _TINT_EVERY_NS
        return abs(t_ns - self.t_ns) >= every_ns


class HeadLayer:
    """Makes and packs heads; for one thread.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """

    def __init__(self) -> None:
        self._make = LiveHead()
        self._rest = rest_of(head_shell())
        self._tints: dict[int, _Tint] = {}
        self._keys = 0

    def __call__(self, face: FaceReconstruction, t_ns: int) -> HeadBlobs:
        """The head of one face, whose pose is finite, at ``t_ns``."""
        known = self._tints.get(face.id)
        is_due = known is None or known.is_due(t_ns)
        surface = self._make(face, t_ns, tints=is_due).surface
        R = face.T_camera_face[:3, :3].astype(np.float32)
        t = face.T_camera_face[:3, 3].astype(np.float32)
        offsets = (surface.vertices - t) @ R
        offsets -= self._rest
        offsets *= np.float32(1.0 / _STEP_M)
        steps = np.clip(np.rint(offsets), -32767, 32767).astype(np.int16).T
        planes = np.empty(steps.shape, dtype=np.int16)
        planes[:, 0] = steps[:, 0]
        np.subtract(steps[:, 1:], steps[:, :-1], out=planes[:, 1:])
        share = np.rint(np.clip(surface.seen, 0.0, 1.0) * 255.0).astype(np.uint8)
        shape = zlib.compress(planes.tobytes() + share.tobytes(), 1)
        if known is None or is_due:
            known = self._tint(face.id, surface.colors, t_ns)
        words = {
            "count": len(self._rest),
            "step_m": _STEP_M,
            "R": np.round(R.astype(np.float64), 6).ravel().tolist(),
            "t": np.round(t.astype(np.float64), 5).tolist(),
        }
        return HeadBlobs(shape, words, known.packed, known.key)

    def _tint(self, face_id: int, colors: Float32Array, t_ns: int) -> _Tint:
        rounded = np.clip(colors, 0.0, 255.0).astype(np.uint8)
        known = self._tints.get(face_id)
        if known is not None:
            changed = np.abs(rounded.astype(np.int16) - known.colors).max(axis=1)
            if np.quantile(changed, _TINT_SHARE) < _TINT_VISIBLE:
                known.t_ns = t_ns
                return known
        self._keys += 1
        count = 1 if known is None else known.count + 1
        made = _Tint(self._keys, rounded, zlib.compress(rounded.tobytes(), 1), t_ns, count)
        self._tints.pop(face_id, None)
        self._tints[face_id] = made
        if len(self._tints) > _MOST_FACES:
            del self._tints[next(iter(self._tints))]
        return made


def rest_of(shell: HeadShell) -> Float32Array:
    """(n, 3) float32 metres, head frame: the mean head, which offsets count from."""
    skin = shell.model.vertices[shell.skin].copy()
    skin[:, 1] += shell.cut_m
    return np.asarray(shell.complete(skin), dtype=np.float32)


@lru_cache(maxsize=1)
def head_json() -> bytes:
    """``/head.json``: the topology of all heads, and ARKit's names.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """
    shell = head_shell()
    rest = rest_of(shell)
    words = {
        "vertices": len(rest),
        "rest": base64.b64encode(rest.astype("<f4").tobytes()).decode(),
        "triangles": base64.b64encode(shell.triangles.astype("<u2").tobytes()).decode(),
        "arkit": list(ARKIT_NAMES),
    }
    return json.dumps(words, separators=(",", ":")).encode()
