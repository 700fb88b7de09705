"""A figure that moves in known ways, so that a person sees whether an avatar follows it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtrecon.avatar.frame import AvatarFrame, eyes_of
from rtrecon.avatar.rotations import Vector, from_angles
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mean_head import LANDMARK_COUNT, mean_head

__all__ = ["MOVES", "Move", "frame_of"]


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that the figure does, and what must be seen of an avatar that faces the viewer.

    Attributes:
        words: of an avatar that is not mirrored.
        mirrored: of one that is.
        turn_deg: pitch, yaw and roll of the head at its most.
        shapes: coefficients at their most.
    """

    words: str
    mirrored: str
    turn_deg: Vector = (0.0, 0.0, 0.0)
    shapes: Mapping[str, float] = field(default_factory=dict)


def _sided(words: str, side: str, other: str, turn: Vector, **shapes: float) -> Move:
    return Move(words.format(side), words.format(other), turn, shapes)


_LEFT, _RIGHT = "the right of the screen, its own left", "the left of the screen, its own right"
_AHEAD: Vector = (0.0, 0.0, 0.0)

MOVES: Sequence[Move] = (
    Move("the head is still and looks at you", "the head is still and looks at you"),
    Move("the nose goes up", "the nose goes up", (-20.0, 0.0, 0.0)),
    _sided("the head turns to {}", _LEFT, _RIGHT, (0.0, -25.0, 0.0)),
    _sided("the head tilts to {}", _LEFT, _RIGHT, (0.0, 0.0, 15.0)),
    _sided("one eye winks: {}", _LEFT, _RIGHT, _AHEAD, eyeBlinkLeft=1.0),
    _sided("the other eye winks: {}", _RIGHT, _LEFT, _AHEAD, eyeBlinkRight=1.0),
    _sided("both eyes look to {}", _LEFT, _RIGHT, _AHEAD, eyeLookOutLeft=0.8, eyeLookInRight=0.8),
    Move("the jaw opens", "the jaw opens", _AHEAD, {"jawOpen": 0.8}),
    _sided("one corner of the mouth smiles: {}", _LEFT, _RIGHT, _AHEAD, mouthSmileLeft=0.9),
)


def frame_of(move: Move, share: float, t_s: float, sequence: int) -> AvatarFrame:
    """The figure in the middle of ``move``: at rest at 0 and 1, at its most between."""
    most = math.sin(math.pi * min(max(share, 0.0), 1.0)) ** 0.5
    values = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
    for name, value in move.shapes.items():
        values[ARKIT_NAMES.index(name)] = most * value
    values.flags.writeable = False
    head = mean_head()
    points = head.points[:LANDMARK_COUNT] - head.eyes_middle
    pitch, yaw, roll = (most * math.radians(angle) for angle in move.turn_deg)
    return AvatarFrame(
        t_s=t_s,
        sequence=sequence,
        face_id=0,
        rotation=from_angles(pitch, yaw, roll),
        position_m=(0.0, 0.0, 0.0),
        coefficients=values,
        eyes=eyes_of(values),
        state="tracked",
        landmarks68_face=points.astype(np.float32),
    )
