"""iFacialMocap's text: what its telephone sends to programs on a PC, and how those ask for it.

Facts: https://www.ifacialmocap.com/for-developer/
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import Vector, from_angles
from rtrecon.avatar.signs import arkit_angles_deg, arkit_position
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.types import EyeAngles

__all__ = [
    "END_OF_MESSAGE",
    "TCP_PORT",
    "UDP_PORT",
    "FaceData",
    "Handshake",
    "IFacialMocapEncoder",
    "read_handshake",
]

FaceData = Literal["v1", "v2"]

UDP_PORT = 49983
"""Where the telephone is asked, and where a PC is sent to."""
TCP_PORT = 49986
"""Where a PC takes the telephone's connection."""
END_OF_MESSAGE = b"___iFacialMocap"
"""Ends each message of a connection."""

_HANDSHAKE = re.compile(
    rb"iFacialMocap_(UDPTCP_|UDPTCPSTOP_)?sahuasouryya9218sauhuiayeta91555dy3719"
    rb"(?:\|sendDataVersion=(\w+))?\s*"
)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a PC asks of the telephone.

    Attributes:
        data: in which version.
        over_tcp: over a connection to its `TCP_PORT` instead of datagrams.
        stops: no more over that connection.
    """

    data: FaceData = "v1"
    over_tcp: bool = False
    stops: bool = False


def read_handshake(datagram: bytes) -> Handshake | None:
    """What a datagram to `UDP_PORT` asks for; None where it is none of these."""
    match = _HANDSHAKE.fullmatch(datagram)
    if match is None:
        return None
    data: FaceData = "v2" if match[2] == b"v2" else "v1"
    return Handshake(data, match[1] is not None, match[1] == b"UDPTCPSTOP_")


class IFacialMocapEncoder:
    """One datagram a frame, always with all 52 shapes: receivers fail on one that is missing.

    The protocol cannot say that there is no face: the neutral face is sent on.

    Args:
        data: ``v1``, ``eyeBlink_L-90``, or ``v2``, ``eyeBlinkLeft&90``.
    """

    def __init__(self, data: FaceData = "v1") -> None:
        if data == "v1":
            self._heads = [_short(name) + "-" for name in ARKIT_NAMES]
        else:
            self._heads = [name + "&" for name in ARKIT_NAMES]

    def __call__(self, frame: AvatarFrame) -> list[bytes]:
        """The datagram."""
        percent = (frame.coefficients * 100.0).round().astype(int).tolist()
        shapes = "|".join(
            [head + str(value) for head, value in zip(self._heads, percent, strict=True)]
        )
        left, right = frame.eyes
        head = (*arkit_angles_deg(frame.rotation), *arkit_position(frame.position_m))
        text = (
            f"{shapes}|=head#{_numbers(head)}"
            f"|rightEye#{_numbers(_angles_deg(right))}|leftEye#{_numbers(_angles_deg(left))}|"
        )
        return [text.encode("ascii")]


def _short(name: str) -> str:
    """``eyeBlink_L`` of ``eyeBlinkLeft``; what moves to a side as a whole keeps its name."""
    if name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
        return name
    for side in ("Left", "Right"):
        if name.endswith(side):
            return f"{name.removesuffix(side)}_{side[0]}"
    return name


def _angles_deg(eye: EyeAngles) -> Vector:
    return arkit_angles_deg(from_angles(eye.pitch_rad, eye.yaw_rad, 0.0))


def _numbers(values: tuple[float, ...]) -> str:
    return ",".join([f"{value + 0.0:.4f}" if math.isfinite(value) else "0" for value in values])
