"""VMC protocol: the OSC messages that Unity's avatar programs take a performer's motion from.

Facts: https://protocol.vmc.info/english (the specification of the VMC protocol).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.osc import FloatMessages, bundles, element, message
from rtrecon.avatar.rotations import Quaternion, Vector, from_angles
from rtrecon.avatar.signs import unity_rotation
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.types import EyeAngles, Float32Array

__all__ = ["ShapeNames", "VmcEncoder"]

ShapeNames = Literal["both", "arkit-pascal", "arkit-camel", "vrm0", "vrm1"]
"""``EyeBlinkLeft`` (VRM 0, "perfect sync"), ``eyeBlinkLeft`` (VRM 1), both of these, or the few
presets of a model without ARKit's shapes. Never presets and ARKit's: lids would close twice."""

_APPLY = element(message("/VMC/Ext/Blend/Apply"))
_LOADED, _CALIBRATED, _NORMAL_MODE = 1, 3, 0
# Of a common model, from the bone above, in metres: some receivers put bones where they are
# told, and a head at nothing sinks into the neck.
_OFFSETS: Mapping[str, Vector] = {
    "Head": (0.0, 0.08, 0.01),
    "LeftEye": (-0.02, 0.06, 0.02),
    "RightEye": (0.02, 0.06, 0.02),
}
_ROOT = element(message("/VMC/Ext/Root/Pos", "root", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))


class VmcEncoder:
    """Bundles of one frame, the same messages whether there is a face or not.

    ``/VMC/Ext/OK`` says whether there is one. Head and eyes are bones, the eyes' gaze also in
    the ``eyeLook`` shapes.

    Args:
        names: of the shapes.
        offsets: of the bones Head, LeftEye and RightEye from the bone above, metres in Unity's
            frame; those of a common model where nothing is said.
    """

    def __init__(
        self, names: ShapeNames = "both", offsets: Mapping[str, Vector] | None = None
    ) -> None:
        self._offsets = {**_OFFSETS, **(offsets or {})}
        self._presets = [p for p in _PRESETS if names in ("vrm0", "vrm1")]
        shapes: list[str] = []
        if self._presets:
            shapes = [p[0] if names == "vrm0" else p[1] for p in self._presets]
        if names in ("both", "arkit-pascal"):
            shapes += [name[0].upper() + name[1:] for name in ARKIT_NAMES]
        if names in ("both", "arkit-camel"):
            shapes += ARKIT_NAMES
        self._repeats = 2 if names == "both" else 1
        self._values = FloatMessages([("/VMC/Ext/Blend/Val", shape) for shape in shapes])

    def __call__(self, frame: AvatarFrame) -> list[bytes]:
        """Bundles of at most 1400 bytes; the last message of the last one commits."""
        state = (_LOADED, _CALIBRATED, _NORMAL_MODE, int(frame.is_tracked))
        left, right = frame.eyes
        elements = [
            element(message("/VMC/Ext/OK", *state)),
            element(message("/VMC/Ext/T", frame.t_s)),
            _ROOT,
            _bone("Head", self._offsets["Head"], frame.rotation),
            _bone("LeftEye", self._offsets["LeftEye"], _turn(left)),
            _bone("RightEye", self._offsets["RightEye"], _turn(right)),
        ]
        return bundles(elements + self._values.elements(self._shown(frame)), last=_APPLY)

    def _shown(self, frame: AvatarFrame) -> Float32Array:
        if self._presets:
            values = [value(frame.__getitem__) for _, _, value in self._presets]
            return np.clip(np.array(values, dtype=np.float32), 0.0, 1.0)
        return np.tile(frame.coefficients, self._repeats)


def _bone(name: str, at: Vector, turn: Quaternion) -> bytes:
    return element(message("/VMC/Ext/Bone/Pos", name, *at, *unity_rotation(turn)))


def _turn(eye: EyeAngles) -> Quaternion:
    return from_angles(eye.pitch_rad, eye.yaw_rad, 0.0)


_Value = Callable[[str], float]


def _both(stem: str) -> Callable[[_Value], float]:
    return lambda v: 0.5 * (v(stem + "Left") + v(stem + "Right"))


_smiles, _stretches, _frowns = _both("mouthSmile"), _both("mouthStretch"), _both("mouthFrown")
_brows_down = _both("browDown")
# VRM 0's and VRM 1's name of each preset. Vowels follow from the jaw and from how round the lips
# are, moods from the corners of the mouth and the brows.
_PRESETS: Sequence[tuple[str, str, Callable[[_Value], float]]] = (
    ("A", "aa", lambda v: v("jawOpen") * (1.0 - max(v("mouthFunnel"), v("mouthPucker")))),
    ("I", "ih", lambda v: _stretches(v) * (1.0 - v("jawOpen"))),
    ("U", "ou", lambda v: v("mouthPucker") * (1.0 - v("jawOpen"))),
    ("E", "ee", lambda v: _stretches(v) * v("jawOpen")),
    ("O", "oh", lambda v: v("mouthFunnel")),
    ("Blink_L", "blinkLeft", lambda v: v("eyeBlinkLeft")),
    ("Blink_R", "blinkRight", lambda v: v("eyeBlinkRight")),
    ("Joy", "happy", _smiles),
    ("Angry", "angry", lambda v: _brows_down(v) * (1.0 - _smiles(v))),
    ("Sorrow", "sad", lambda v: _frowns(v) * (1.0 - _brows_down(v))),
)
