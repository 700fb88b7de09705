"""Live Link Face's datagrams, for Unreal Engine's ARKit face support."""

from __future__ import annotations

import struct
import uuid
from typing import Literal

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import Vector, from_angles
from rtrecon.avatar.signs import live_link_angles
from rtrecon.errors import ArgumentError

__all__ = ["TIME_CODE_HZ", "AngleUnit", "LiveLinkEncoder", "turns_of"]

TIME_CODE_HZ = 60
"""Of time codes, whatever the rate of the frames."""

AngleUnit = Literal["radians", "unit"]
"""Senders differ: radians, or degrees divided by 180."""

_VERSION = 6
_VALUES = 61  # 52 shapes, then yaw, pitch and roll of the head, the left and the right eye
_UNITS_PER_RADIAN = 1.0 / 3.141592653589793


class LiveLinkEncoder:
    """One datagram a frame; without a face it ends after the name, as the telephone's does.

    Args:
        subject: the name that Unreal lists.
        angle: of head and eyes.

    Raises:
        ArgumentError: the name is empty, too long, or not plain ASCII.
    """

    def __init__(self, subject: str = "rtrecon", angle: AngleUnit = "radians") -> None:
        if not (0 < len(subject) <= 64 and subject.isascii() and subject.isprintable()):
            raise ArgumentError(
                f"subject must be 1 to 64 ASCII characters, such as rtrecon, not {subject!r}"
            )
        # The same for the same subject, so that Unreal keeps what it knows of it.
        device = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{subject}.rtrecon")).upper().encode()
        name = subject.encode("ascii")
        self._head = b"".join(
            [
                struct.pack(">Bi", _VERSION, len(device)), device,
                struct.pack(">i", len(name)), name,
            ]
        )  # fmt: skip
        self._scale = 1.0 if angle == "radians" else _UNITS_PER_RADIAN

    def __call__(self, frame: AvatarFrame) -> list[bytes]:
        """The datagram."""
        if frame.state == "lost":
            return [self._head]
        angles = [self._scale * angle for angle in turns_of(frame)]
        ticks, rest = divmod(max(frame.t_s, 0.0) * TIME_CODE_HZ, 1.0)
        time = struct.pack(">ifiiB", int(ticks) & 0x7FFFFFFF, rest, TIME_CODE_HZ, 1, _VALUES)
        shapes = frame.coefficients.astype(">f4").tobytes()
        return [b"".join([self._head, time, shapes, struct.pack(">9f", *angles)])]


def turns_of(frame: AvatarFrame) -> list[float]:
    """Yaw, pitch and roll of the head, the left and the right eye: nine radians."""
    left, right = frame.eyes
    turns: list[Vector] = [
        live_link_angles(frame.rotation),
        live_link_angles(from_angles(left.pitch_rad, left.yaw_rad, 0.0)),
        live_link_angles(from_angles(right.pitch_rad, right.yaw_rad, 0.0)),
    ]
    return [angle for turn in turns for angle in turn]
