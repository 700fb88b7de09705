"""VTube Studio's public API: a face as tracking parameters, and the messages that bring it there.

Everything that is positive to a side is so to the person's own right: turned, tilted, moved and
looking to the own right, with the nose and the eyes up. Lids and brows are of the person's own
side.

Facts: https://github.com/DenchiSoft/VTubeStudio (API 1.0)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import to_angles
from rtrecon.expression.gaze import FULL_PITCH_RAD, FULL_YAW_RAD
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.json_text import parse_json

__all__ = [
    "BEACON_PORT",
    "CUSTOM_NAMES",
    "Answer",
    "Beacon",
    "ParameterRange",
    "VTubeStudioEncoder",
    "as_text",
    "beacon_of",
    "create_request",
    "message",
    "parameters_of",
    "read_answer",
    "request",
    "values_of",
]

_API = {"apiName": "VTubeStudioPublicAPI", "apiVersion": "1.0"}
_PLUGIN = {"pluginName": "rtrecon", "pluginDeveloper": "rtrecon"}

BEACON_PORT = 47779
"""Where VTube Studio tells all who listen on which port it is, by UDP."""

CUSTOM_NAMES: Mapping[str, str] = {f"rt{name[0].upper()}{name[1:]}": name for name in ARKIT_NAMES}
"""Parameters that are made when asked for, 0 to 1, and the coefficient of each."""

# What a value means where its range is the usual one: a unit that is kept, or a share of the range.
_FULL_DEGREES_CM: Mapping[str, float] = {
    "FaceAngleX": 30.0,
    "FaceAngleY": 30.0,
    "FaceAngleZ": 30.0,
    "FacePositionX": 15.0,
    "FacePositionY": 15.0,
    "FacePositionZ": 10.0,
}
_SIGNED = frozenset({"EyeLeftX", "EyeLeftY", "EyeRightX", "EyeRightY", "MouthX"})


@dataclass(frozen=True, slots=True)
class ParameterRange:
    """Least and most of a parameter, as VTube Studio lists it."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What VTube Studio said: kind of message, of which request, and its data."""

    kind: str
    request_id: str
    data: Mapping[str, Any]

    @property
    def error_id(self) -> int | None:
        """The number of an error, -1 for one without; None where this is none."""
        if self.kind != "APIError":
            return None
        number = self.data.get("errorID")
        return number if isinstance(number, int) else -1

    @property
    def words(self) -> str:
        """What an error says of itself."""
        return str(self.data.get("message", "no reason given"))


@dataclass(frozen=True, slots=True)
class Beacon:
    """What VTube Studio tells everybody: the port of its websocket, and whether it is on."""

    port: int
    is_on: bool


def message(kind: str, request_id: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request of ``kind``, such as ``InputParameterListRequest``."""
    made: dict[str, Any] = {**_API, "requestID": request_id, "messageType": kind}
    if data is not None:
        made["data"] = data
    return made


def request(kind: str, request_id: str, token: str | None = None) -> dict[str, Any]:
    """A request in the name of rtrecon: for a token, or for a session by a token."""
    own = {} if token is None else {"authenticationToken": token}
    return message(kind, request_id, {**_PLUGIN, **own})


def create_request(name: str, request_id: str) -> dict[str, Any]:
    """Makes one of `CUSTOM_NAMES`; one that is there already is left as it is."""
    data = {
        "parameterName": name,
        "explanation": f"{CUSTOM_NAMES[name]} of ARKit, by rtrecon",
        "min": 0,
        "max": 1,
        "defaultValue": 0,
    }
    return message("ParameterCreationRequest", request_id, data)


def read_answer(text: str | bytes) -> Answer:
    """Take what came apart.

    Raises:
        ValueError: it is no message of this API.
    """
    found = parse_json(text)
    if not isinstance(found, dict) or found.get("apiName") != _API["apiName"]:
        raise ValueError("it is no message of VTube Studio")
    kind, data = found.get("messageType"), found.get("data")
    if not isinstance(kind, str) or not isinstance(data, dict | None):
        raise ValueError("it is no message of VTube Studio")
    return Answer(kind, str(found.get("requestID", "")), data or {})


def beacon_of(datagram: bytes) -> Beacon:
    """Read a datagram to `BEACON_PORT`.

    Raises:
        ValueError: it is no beacon.
    """
    said = read_answer(datagram)
    port, is_on = said.data.get("port"), said.data.get("active")
    if said.kind != "VTubeStudioAPIStateBroadcast" or not isinstance(is_on, bool):
        raise ValueError("it is no beacon of VTube Studio")
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise ValueError(f"a beacon of VTube Studio names the port {port!r}")
    return Beacon(port, is_on)


def parameters_of(data: Mapping[str, Any]) -> dict[str, ParameterRange]:
    """Those of an ``InputParameterListResponse`` that we have a value for, with their ranges.

    Raises:
        ValueError: it is no such list.
    """
    found: dict[str, ParameterRange] = {}
    for kind in ("defaultParameters", "customParameters"):
        listed = data.get(kind)
        if not isinstance(listed, list):
            raise ValueError(f"its list of parameters has no {kind}")
        for entry in listed:
            try:
                name, least, most = entry["name"], float(entry["min"]), float(entry["max"])
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"its list of parameters cannot be read ({error!r})") from error
            # A parameter of another plugin is never ours, whatever it is called.
            known = name in CUSTOM_NAMES if kind == "customParameters" else name in _KNOWN
            if known and math.isfinite(most - least):
                found[name] = ParameterRange(least, most)
    return found


def values_of(frame: AvatarFrame) -> dict[str, float]:
    """Everything that we know, by parameter: degrees, centimetres, -1 to 1 or 0 to 1.

    An eye at rest is wide open (1); a mouth and brows at rest are at 0.5, between frown and smile
    and between down and up, as VTube Studio's own mapping has them.
    """
    c = dict(zip(ARKIT_NAMES, frame.coefficients.tolist(), strict=True))
    pitch, yaw, roll = (math.degrees(angle) for angle in to_angles(frame.rotation))
    x_m, y_m, z_m = frame.position_m
    left, right = frame.eyes
    brow_left, brow_right = _brow(c, "Left"), _brow(c, "Right")
    values = {
        "FaceAngleX": yaw,
        "FaceAngleY": -pitch,
        "FaceAngleZ": -roll,
        "FacePositionX": -100.0 * x_m,
        "FacePositionY": -100.0 * y_m,
        "FacePositionZ": 100.0 * z_m,
        "EyeOpenLeft": 1.0 - c["eyeBlinkLeft"],
        "EyeOpenRight": 1.0 - c["eyeBlinkRight"],
        "EyeLeftX": left.yaw_rad / FULL_YAW_RAD,
        "EyeLeftY": -left.pitch_rad / FULL_PITCH_RAD,
        "EyeRightX": right.yaw_rad / FULL_YAW_RAD,
        "EyeRightY": -right.pitch_rad / FULL_PITCH_RAD,
        "BrowLeftY": brow_left,
        "BrowRightY": brow_right,
        "Brows": 0.5 * (brow_left + brow_right),
        "MouthOpen": c["jawOpen"] - c["mouthClose"],
        "MouthSmile": 0.5 + 0.25 * _both(c, "mouthSmile") - 0.25 * _both(c, "mouthFrown"),
        "MouthX": c["mouthRight"] - c["mouthLeft"],
        "CheekPuff": c["cheekPuff"],
        "TongueOut": c["tongueOut"],
        "FaceAngry": 0.5 * _both(c, "browDown"),
    }
    values.update({custom: c[name] for custom, name in CUSTOM_NAMES.items()})
    return values


class VTubeStudioEncoder:
    """A frame to the values of those parameters that exist, each in its own range.

    An angle stays in degrees and a way in centimetres where the range has room for it, and is
    scaled into a range that is narrower than the usual one; all others fill their ranges.

    Args:
        parameters: as VTube Studio lists them (`parameters_of`).
    """

    def __init__(self, parameters: Mapping[str, ParameterRange]) -> None:
        self._scales = [_Scale.of(name, span) for name, span in parameters.items()]

    def __call__(
        self, frame: AvatarFrame, request_id: str, *, is_found: bool | None = None
    ) -> dict[str, Any]:
        """An ``InjectParameterDataRequest``.

        Args:
            frame: what to show.
            request_id: of the answer.
            is_found: whether there is a face; None takes the frame's word.
        """
        known = values_of(frame)
        values = [{"id": s.name, "value": s(known[s.name])} for s in self._scales]
        found = frame.is_tracked if is_found is None else is_found
        data = {"faceFound": found, "mode": "set", "parameterValues": values}
        return message("InjectParameterDataRequest", request_id, data)


def as_text(content: Mapping[str, Any]) -> str:
    """A request as it goes over the wire."""
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From our value of a parameter to its own: ``at_zero + value * slope``, within its range."""

    name: str
    at_zero: float
    slope: float
    low: float
    high: float

    @classmethod
    def of(cls, name: str, span: ParameterRange) -> _Scale:
        least, most = span.least, span.most
        middle, half = 0.5 * (least + most), 0.5 * (most - least)
        at_zero, slope = least, most - least
        if name in _FULL_DEGREES_CM:
            at_zero, slope = middle, min(1.0, abs(half) / _FULL_DEGREES_CM[name])
        elif name in _SIGNED:
            at_zero, slope = middle, half
        return cls(name, at_zero, slope, min(least, most), max(least, most))

    def __call__(self, value: float) -> float:
        value = value if math.isfinite(value) else 0.0
        scaled = self.at_zero + value * self.slope
        return round(min(max(scaled, self.low), self.high), 5) + 0.0


def _both(c: Mapping[str, float], name: str) -> float:
    return c[name + "Left"] + c[name + "Right"]


def _brow(c: Mapping[str, float], side: str) -> float:
    up = max(c["browOuterUp" + side], c["browInnerUp"])
    return 0.5 + 0.5 * up - 0.5 * c["browDown" + side]


_KNOWN = frozenset(values_of(AvatarFrame.neutral())) - CUSTOM_NAMES.keys()
