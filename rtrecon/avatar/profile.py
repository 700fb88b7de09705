"""What is kept of one person before one camera: where their head rests, and what their face does.

Numbers alone: no picture, no landmark, nothing by which a face could be told from another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtrecon.avatar.rotations import Quaternion, Vector
from rtrecon.errors import DataError
from rtrecon.expression.calibration import LEAST_SHOWN, MOST_NEUTRAL, Calibration
from rtrecon.expression.names import ARKIT_NAMES

__all__ = ["FORMAT", "VERSION", "CalibrationProfile", "HeadRest"]

FORMAT = "rtrecon calibration"
VERSION = 1
_KEYS = {"format", "version", "head", "neutral", "reach", "shown"}
_FARTHEST_M = 1000.0
_AS_IT_IS = 1e-12  # of a quaternion's length: it was written with all its digits


@dataclass(frozen=True, slots=True)
class HeadRest:
    """A head at rest in the camera's frame.

    Attributes:
        rotation: x y z w.
        position_m: x right, y down, z forward.
    """

    rotation: Quaternion
    position_m: Vector


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationProfile:
    """A value: what an `rtrecon.avatar.stage.AvatarStage` starts from and what it has learnt.

    Attributes:
        head: where it is at rest; None where that is not known.
        face: neutral and reach of the 52 coefficients, in ARKit's order.
        shown: names of those whose reach the person has shown when they were asked to. Such a
            reach grows, but does not shrink with time.
    """

    head: HeadRest | None
    face: Calibration
    shown: frozenset[str] = frozenset()

    def to_json(self, *, exact: bool = False) -> dict[str, Any]:
        """As plain values, for a file.

        Args:
            exact: where the head rests with all its digits, for what must go the same way again.
        """
        head = None
        if self.head is not None:
            turn, place = self.head.rotation, self.head.position_m
            head = {
                "rotation": [value if exact else round(value, 6) for value in turn],
                "position_m": [value if exact else round(value, 4) for value in place],
            }
        return {
            "format": FORMAT,
            "version": VERSION,
            "head": head,
            **self.face.to_json(),
            "shown": [name for name in ARKIT_NAMES if name in self.shown],
        }

    @classmethod
    def from_json(cls, data: object) -> CalibrationProfile:
        """What `to_json` gave; nothing else is taken.

        Raises:
            DataError: it is of a newer version, or something is missing, unknown or out of range.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise DataError(f'it is no calibration of a person: "format" is not "{FORMAT}"')
        version = data.get("version")
        if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
            raise DataError(
                f"it is of version {version}, made by a newer rtrecon; this one reads version "
                f"{VERSION}: upgrade rtrecon"
            )
        if isinstance(version, bool) or version != VERSION:
            raise DataError(f'"version" must be {VERSION}, not {version!r:.40}')
        if wrong := _KEYS.symmetric_difference(data):
            raise DataError(f"missing or unknown: {', '.join(sorted(map(str, wrong)))[:200]}")
        face = {
            "neutral": _by_name(data["neutral"], "neutral", 0.0, MOST_NEUTRAL),
            "reach": _by_name(data["reach"], "reach", LEAST_SHOWN, 1.0),
        }
        shown = data["shown"]
        if not isinstance(shown, list) or not all(_is_name(name) for name in shown):
            raise DataError('"shown" must be a list of ARKit\'s names')
        return cls(
            None if data["head"] is None else _head(data["head"]),
            Calibration.from_json(ARKIT_NAMES, face),
            frozenset(shown),
        )


def _head(data: object) -> HeadRest:
    if not isinstance(data, Mapping) or set(data) != {"rotation", "position_m"}:
        raise DataError('"head" must have "rotation" and "position_m", or be null')
    x, y, z, w = _numbers(data["rotation"], "rotation", 4, 1.001)
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not 0.99 < norm < 1.01:
        raise DataError('"rotation" must be a quaternion x y z w of length 1')
    if abs(norm - 1.0) < _AS_IT_IS:
        norm = 1.0
    right, down, forward = _numbers(data["position_m"], "position_m", 3, _FARTHEST_M)
    if forward <= 0.0:
        raise DataError('"position_m" must be in front of the camera, its third number above 0')
    return HeadRest((x / norm, y / norm, z / norm, w / norm), (right, down, forward))


def _numbers(data: object, key: str, count: int, most: float) -> list[float]:
    if (
        not isinstance(data, list)
        or len(data) != count
        or not all(_is_number(value, -most, most) for value in data)
    ):
        raise DataError(f'"{key}" must be {count} numbers from {-most:g} to {most:g}')
    return [float(value) for value in data]


def _by_name(data: object, key: str, low: float, high: float) -> dict[str, float]:
    if not isinstance(data, Mapping) or not all(_is_name(name) for name in data):
        raise DataError(f'"{key}" must have a number for each of ARKit\'s names')
    wrong = [name for name in ARKIT_NAMES if not _is_number(data.get(name), low, high)]
    if wrong:
        raise DataError(f'"{key}" must be {low:g} to {high:g}, which is not so for {wrong[0]}')
    return {name: float(data[name]) for name in ARKIT_NAMES}


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name in ARKIT_NAMES


def _is_number(value: object, low: float, high: float) -> bool:
    """Not so for NaN, for true and for integers that no float can be."""
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
