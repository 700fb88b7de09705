"""Turns, winks, gaze and one-sided shapes on the wire of every protocol, mirrored and not.

What is decoded is turned into words, in each protocol's own terms; the words must be those of
the move.
"""

from __future__ import annotations

import pytest

from rtrecon.avatar.check import MOVES, Move, frame_of
from rtrecon.avatar.frame import mirrored
from tests.avatar.receivers import PROTOCOLS


@pytest.mark.parametrize("side", [1, -1], ids=["plain", "mirrored"])
@pytest.mark.parametrize("move", MOVES, ids=[move.words[:24] for move in MOVES])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_move_is_seen(protocol: str, move: Move, side: int) -> None:
    encode, read = PROTOCOLS[protocol]
    frame = frame_of(move, 0.5, 1.0, 1)
    seen = read(encode(mirrored(frame) if side < 0 else frame))
    pitch, yaw, roll = move.turn_deg
    wanted = {"up": -pitch, "left": -side * yaw, "tilt": side * roll}
    for name, value in wanted.items():
        assert seen[name] == pytest.approx(value, abs=0.02), name
    looks = move.shapes.get("eyeLookOutLeft", 0.0)
    assert seen["gaze"] == pytest.approx(side * looks * 32, abs=0.1)
    for name in ("eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight", "jawOpen"):
        other = name.replace("Left", "?").replace("Right", "Left").replace("?", "Right")
        value = move.shapes.get(name if side > 0 else other, 0.0)
        assert seen[name] == pytest.approx(value, abs=0.01), name
