"""What every avatar protocol is encoded from: one immutable value a result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rtrecon.avatar.rotations import IDENTITY, Quaternion, Vector
from rtrecon.avatar.signs import mirrored_position, mirrored_rotation
from rtrecon.depth.mirror import FLIP_68, flip_name
from rtrecon.expression.gaze import FULL_PITCH_RAD, FULL_YAW_RAD
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.types import EyeAngles, Float32Array

__all__ = ["AvatarFrame", "TrackingState", "eyes_of", "mirrored"]

TrackingState = Literal["tracked", "held", "easing", "lost"]
"""Seen; gone for a moment and shown as it was; on the way to neutral; neutral."""

_PLACE = {name: k for k, name in enumerate(ARKIT_NAMES)}
_FLIP_52 = np.array([_PLACE[flip_name(name)] for name in ARKIT_NAMES])
_FLIP_68 = np.array(FLIP_68)
_LOOKS = ("eyeLookOut", "eyeLookIn", "eyeLookDown", "eyeLookUp")
_LEFT = np.array([_PLACE[look + "Left"] for look in _LOOKS])
_RIGHT = np.array([_PLACE[look + "Right"] for look in _LOOKS])


@dataclass(frozen=True, slots=True, eq=False)
class AvatarFrame:
    """A person's head and face at one time. Left and right are the person's own.

    Our frame: x to the picture's right (the person's left), y down, z into the head; a head that
    is neutral has no rotation and no position.

    Attributes:
        t_s: of the picture, in seconds: a film's own time, or since the first one.
        sequence: the picture's index.
        face_id: of the face that is followed; None while there is none.
        rotation: of the head from its neutral, x y z w.
        position_m: of the head from its neutral.
        coefficients: (52,) float32 in ARKit's order, 0 to 1. Read-only.
        eyes: where the left and the right eye look.
        state: whether it is seen.
        origin_m: where the neutral head is in the camera's frame.
        size_px: width and height of the picture.
        landmarks68_px: (68, 2) float32 in the picture; None where there are none.
        landmarks68_face: (68, 3) float32 metres in the head's own frame; None but for an
            output that wants them (`rtrecon.avatar.stage.with_points`).
    """

    t_s: float
    sequence: int
    face_id: int | None
    rotation: Quaternion
    position_m: Vector
    coefficients: Float32Array
    eyes: tuple[EyeAngles, EyeAngles]
    state: TrackingState
    origin_m: Vector = (0.0, 0.0, 0.6)
    size_px: tuple[int, int] = (640, 480)
    landmarks68_px: Float32Array | None = None
    landmarks68_face: Float32Array | None = None

    @property
    def is_tracked(self) -> bool:
        """Whether a receiver should follow: the face is seen, or was a moment ago."""
        return self.state in ("tracked", "held")

    def __getitem__(self, name: str) -> float:
        """One coefficient by ARKit's name."""
        return float(self.coefficients[_PLACE[name]])

    @classmethod
    def neutral(cls, t_s: float = 0.0, sequence: int = 0) -> AvatarFrame:
        """Nobody is there, nor was."""
        ahead = EyeAngles(0.0, 0.0)
        rest = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
        return cls(t_s, sequence, None, IDENTITY, (0.0, 0.0, 0.0), rest, (ahead, ahead), "lost")


def eyes_of(coefficients: Float32Array) -> tuple[EyeAngles, EyeAngles]:
    """Where both eyes look by (52,) coefficients; signs as in `EyeAngles`."""
    out, into, down, up = coefficients[_LEFT].tolist()
    left = EyeAngles(FULL_YAW_RAD * (into - out), FULL_PITCH_RAD * (down - up))
    out, into, down, up = coefficients[_RIGHT].tolist()
    return left, EyeAngles(FULL_YAW_RAD * (out - into), FULL_PITCH_RAD * (down - up))


def mirrored(frame: AvatarFrame) -> AvatarFrame:
    """As in a mirror: who leans to the picture's left sees the avatar lean to its right."""
    left, right = frame.eyes
    pixels, points = frame.landmarks68_px, frame.landmarks68_face
    if pixels is not None:
        width = frame.size_px[0]
        pixels = (pixels[_FLIP_68] * (-1.0, 1.0) + (width - 1.0, 0.0)).astype(np.float32)
    if points is not None:
        points = (points[_FLIP_68] * (-1.0, 1.0, 1.0)).astype(np.float32)
    return replace(
        frame,
        rotation=mirrored_rotation(frame.rotation),
        position_m=mirrored_position(frame.position_m),
        origin_m=mirrored_position(frame.origin_m),
        coefficients=frame.coefficients[_FLIP_52],
        eyes=(
            EyeAngles(-right.yaw_rad, right.pitch_rad),
            EyeAngles(-left.yaw_rad, left.pitch_rad),
        ),
        landmarks68_px=pixels,
        landmarks68_face=points,
    )
