"""ARKit's names of the coefficients, and which part of the face each moves."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["ARKIT_NAMES", "GROUPS", "Group", "group_of"]

Group = Literal["blink", "gaze", "eyes", "brows", "mouth", "other"]
GROUPS: tuple[Group, ...] = get_args(Group)

# fmt: off
ARKIT_NAMES = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft", "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight",
    "eyeLookOutRight", "eyeLookUpRight", "eyeSquintRight", "eyeWideRight", "jawForward", "jawLeft",
    "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
    "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollLower", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft",
    "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight", "browDownLeft", "browDownRight",
    "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft",
    "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)
"""All 52; the shipped model gives the first 51, in this order."""
# fmt: on

_PREFIXES: tuple[tuple[str, Group], ...] = (
    ("eyeblink", "blink"),
    ("eyelook", "gaze"),
    ("eye", "eyes"),
    ("brow", "brows"),
    ("jaw", "mouth"),
    ("mouth", "mouth"),
    ("tongue", "mouth"),
)


def group_of(name: str) -> Group:
    """The part of the face that a coefficient moves; ``other`` for a name that says nothing."""
    lower = name.lower()
    return next((group for prefix, group in _PREFIXES if lower.startswith(prefix)), "other")
