"""Open Sound Control 1.0, as far as a face needs it; and a face by plain addresses.

A frame is sent as bundles that fit into one datagram each. What does not change from frame to
frame is encoded once, so that a frame is a matter of joining bytes.

Source: "The Open Sound Control 1.0 Specification", Matthew Wright, 2002.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import to_angles
from rtrecon.errors import ArgumentError
from rtrecon.expression.names import ARKIT_NAMES

__all__ = ["MOST_BYTES", "FloatMessages", "OscEncoder", "bundles", "element", "message"]

MOST_BYTES = 1400
"""Of a datagram: larger ones are cut into pieces on the way, and lost with any of these."""

_HEAD = b"#bundle\0" + struct.pack(">Q", 1)  # to be taken at once
_ADDRESS = re.compile(r"/[!-~]*")
_FORBIDDEN = set("#*,?[]{}")


def message(address: str, *arguments: int | float | str) -> bytes:
    """One message; an int, float or str is sent as i, f or s."""
    tags, data = ",", b""
    for argument in arguments:
        if isinstance(argument, str):
            tags, data = tags + "s", data + _text(argument)
        elif isinstance(argument, int):
            tags, data = tags + "i", data + struct.pack(">i", argument)
        else:
            tags, data = tags + "f", data + struct.pack(">f", argument)
    return _text(address) + _text(tags) + data


def element(content: bytes) -> bytes:
    """A message as it stands in a bundle."""
    return struct.pack(">i", len(content)) + content


def bundles(elements: Sequence[bytes], last: bytes = b"") -> list[bytes]:
    """As few bundles as hold the elements, in order; ``last`` ends the last of them.

    Nothing is put into two bundles: what belongs together comes as one element.
    """
    made: list[bytes] = []
    parts, size = [_HEAD], len(_HEAD)
    for k, part in enumerate(elements):
        needed = len(part) + (len(last) if k == len(elements) - 1 else 0)
        if size + needed > MOST_BYTES and size > len(_HEAD):
            made.append(b"".join(parts))
            parts, size = [_HEAD], len(_HEAD)
        parts.append(part)
        size += len(part)
    return [*made, b"".join([*parts, last])]


class FloatMessages:
    """Messages that end in one float each, of which nothing else changes.

    Args:
        messages: address and the text arguments before the float.
    """

    def __init__(self, messages: Sequence[tuple[str, ...]]) -> None:
        self._heads = [element(message(*texts, 0.0))[:-4] for texts in messages]

    def elements(self, values: npt.NDArray[np.floating]) -> list[bytes]:
        """Elements for as many values as there are messages, in their order."""
        data = values.astype(">f4").tobytes()
        return [head + data[4 * k : 4 * k + 4] for k, head in enumerate(self._heads)]


class OscEncoder:
    """Plain addresses, for TouchDesigner, Resonite and bridges to VRChat.

    Below ``prefix``: ``/tracking`` (i, 1 or 0), ``/time`` (f, seconds), ``/head/rotation`` (fff:
    pitch, yaw, roll in degrees; nose down, own right, tilt to the own left positive),
    ``/head/position`` (fff: metres to the own left, down, away from the camera), ``/eyes/left``
    and ``/eyes/right`` (ff: yaw and pitch in degrees, own right and down positive), and one
    address a coefficient (f, 0 to 1), such as ``/jawOpen``. Without a face only ``/tracking``.

    Args:
        prefix: of all addresses: ``/rtrecon``, or ``/avatar/parameters`` for VRChat.

    Raises:
        ArgumentError: the prefix is no OSC address.
    """

    def __init__(self, prefix: str = "/rtrecon") -> None:
        prefix = prefix.rstrip("/")
        if prefix and (_ADDRESS.fullmatch(prefix) is None or _FORBIDDEN & set(prefix)):
            raise ArgumentError(
                f"prefix must be an OSC address, such as /rtrecon, not {prefix!r}: it begins "
                "with / and has no blanks and none of # * , ? [ ] { }"
            )
        self._prefix = prefix
        self._coefficients = FloatMessages([(f"{prefix}/{name}",) for name in ARKIT_NAMES])

    def __call__(self, frame: AvatarFrame) -> list[bytes]:
        """Bundles of one frame."""
        prefix = self._prefix
        tracking = element(message(f"{prefix}/tracking", int(frame.is_tracked)))
        time = element(message(f"{prefix}/time", frame.t_s))
        if frame.state == "lost":
            return bundles([tracking, time])
        turn = (math.degrees(angle) for angle in to_angles(frame.rotation))
        elements = [
            tracking,
            time,
            element(message(f"{prefix}/head/rotation", *turn)),
            element(message(f"{prefix}/head/position", *frame.position_m)),
        ]
        for side, eye in zip(("left", "right"), frame.eyes, strict=True):
            angles = math.degrees(eye.yaw_rad), math.degrees(eye.pitch_rad)
            elements.append(element(message(f"{prefix}/eyes/{side}", *angles)))
        return bundles(elements + self._coefficients.elements(frame.coefficients))


def _text(text: str) -> bytes:
    data = text.encode("ascii") + b"\0"
    return data + b"\0" * (-len(data) % 4)
