"""Where the eyes look, from ARKit's eyeLook coefficients."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rtrecon.types import EyeAngles, Float64Array, Gaze

__all__ = ["FULL_PITCH_RAD", "FULL_YAW_RAD", "gaze_of"]

FULL_YAW_RAD = math.radians(32.0)
FULL_PITCH_RAD = math.radians(25.0)
"""How far a coefficient of 1 turns an eye, as in the heads that the shipped model learnt from."""

_LOOKS = ("eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp")
_NEEDED = tuple(look + side for look in _LOOKS for side in ("Left", "Right"))
# A lid this far down hides the iris: from here on the other eye is asked, wholly at the second.
_CLOSING, _CLOSED = 0.5, 0.8


def gaze_of(expression: Mapping[str, float], T_camera_face: Float64Array) -> Gaze | None:
    """Both eyes' angles; None where the eyeLook coefficients are not all there.

    The eye under a closing lid follows the open one; of two that close both keep their own.

    Args:
        expression: by ARKit's names; Left and Right are the person's own.
        T_camera_face: (4, 4) head pose.
    """
    if any(name not in expression for name in _NEEDED):
        return None
    left = _eye(expression, "Left", outward=-1.0)
    right = _eye(expression, "Right", outward=1.0)
    shut_left = _shut(expression.get("eyeBlinkLeft", 0.0))
    shut_right = _shut(expression.get("eyeBlinkRight", 0.0))
    return Gaze(
        _toward(left, right, max(0.0, shut_left - shut_right)),
        _toward(right, left, max(0.0, shut_right - shut_left)),
        T_camera_face[:3, :3].copy(),
    )


def _eye(expression: Mapping[str, float], side: str, outward: float) -> EyeAngles:
    """``outward``: the sign of yaw for an eye that looks away from the nose."""
    across = expression["eyeLookOut" + side] - expression["eyeLookIn" + side]
    down = expression["eyeLookDown" + side] - expression["eyeLookUp" + side]
    return EyeAngles(outward * FULL_YAW_RAD * across, FULL_PITCH_RAD * down)


def _shut(blink: float) -> float:
    return min(max((blink - _CLOSING) / (_CLOSED - _CLOSING), 0.0), 1.0)


def _toward(own: EyeAngles, other: EyeAngles, share: float) -> EyeAngles:
    return EyeAngles(
        own.yaw_rad + share * (other.yaw_rad - own.yaw_rad),
        own.pitch_rad + share * (other.pitch_rad - own.pitch_rad),
    )
