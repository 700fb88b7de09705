"""Turns, winks, gaze and one-sided shapes on the wire of every protocol, mirrored and not.

What is decoded is turned into words, in each protocol's own terms; the words must be those of
the move.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from rtrecon.avatar.check import MOVES, Move, frame_of
from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.ifacialmocap import IFacialMocapEncoder
from rtrecon.avatar.livelink import LiveLinkEncoder
from rtrecon.avatar.openseeface import OpenSeeFaceEncoder
from rtrecon.avatar.osc import OscEncoder
from rtrecon.avatar.vmc import VmcEncoder
from rtrecon.expression.names import ARKIT_NAMES

osc_packet = pytest.importorskip("pythonosc.osc_packet")

Seen = dict[str, float]
"""up, left, tilt: degrees of the nose and the crown, own left positive; gaze: of both eyes, own
left positive; shapes by name."""


def messages(datagrams: list[bytes]) -> list[tuple[str, list[float]]]:
    return [
        (timed.message.address, timed.message.params)
        for datagram in datagrams
        for timed in osc_packet.OscPacket(datagram).messages
    ]


def by_vmc(frame: AvatarFrame) -> Seen:
    """Unity: the nose along +z, the crown along +y, the own left at -x."""
    found = messages(VmcEncoder("arkit-camel")(frame))
    bones = {str(a[0]): a[4:] for address, a in found if address.endswith("Bone/Pos")}
    seen = {str(a[0]): a[1] for address, a in found if address.endswith("Val")}
    nose, crown = turned(bones["Head"], (0, 0, 1)), turned(bones["Head"], (0, 1, 0))
    eyes = [turned(bones[side + "Eye"], (0, 0, 1)) for side in ("Left", "Right")]
    return {
        "up": angle(nose[1]), "left": angle(-nose[0]), "tilt": angle(-crown[0]),
        "gaze": angle(-np.mean(eyes, axis=0)[0]), **seen,
    }  # fmt: skip


def by_osc(frame: AvatarFrame) -> Seen:
    found = {address.removeprefix("/rtrecon/"): a for address, a in messages(OscEncoder()(frame))}
    pitch, yaw, roll = found["head/rotation"]
    gaze = -0.5 * (found["eyes/left"][0] + found["eyes/right"][0])
    shapes = {name: found[name][0] for name in ARKIT_NAMES}
    return {"up": -pitch, "left": -yaw, "tilt": roll, "gaze": gaze, **shapes}


def by_ifacialmocap(frame: AvatarFrame) -> Seen:
    """ARKit: y up, z out of the face, x to the own left; turns about them, right-handed."""
    text = IFacialMocapEncoder("v2")(frame)[0].decode("ascii")
    shapes, _, rest = text.partition("|=")
    parts = {
        name: [float(v) for v in values.split(",")]
        for name, values in (part.split("#") for part in rest.strip("|").split("|"))
    }
    head = parts["head"]
    seen = {name: int(v) / 100 for name, v in (part.split("&") for part in shapes.split("|"))}
    gaze = 0.5 * (parts["leftEye"][1] + parts["rightEye"][1])
    return {"up": -head[0], "left": head[1], "tilt": -head[2], "gaze": gaze, **seen}


def by_live_link(frame: AvatarFrame) -> Seen:
    data = LiveLinkEncoder("me")(frame)[0]
    values = struct.unpack(">61f", data[-244:])
    yaw, pitch, roll = np.degrees(values[52:55])
    gaze = float(np.degrees(values[55] + values[58]) / 2)
    shapes = dict(zip(ARKIT_NAMES, values[:52], strict=True))
    return {"up": pitch, "left": yaw, "tilt": -roll, "gaze": gaze, **shapes}


def by_openseeface(frame: AvatarFrame) -> Seen:
    """Degrees 180 + nose down, own left, 90 - tilt to the own left; points x own right."""
    data = OpenSeeFaceEncoder()(frame)[0]
    right_open, left_open = struct.unpack_from("<2f", data, 20)
    x, y, z = struct.unpack_from("<3f", data, 49)
    points = np.frombuffer(data, "<f4", 210, 889).reshape(70, 3)
    features = struct.unpack_from("<14f", data, 1729)
    across = np.mean([points[66] - points[68], points[67] - points[69]], axis=0)
    return {
        "up": -((x + 180 + 180) % 360 - 180), "left": y, "tilt": 90 - z,
        "gaze": float(np.degrees(np.arctan2(-across[0], -across[2]))),
        "eyeBlinkLeft": 1 - left_open, "eyeBlinkRight": 1 - right_open, "jawOpen": features[12],
        "mouthSmileLeft": max(features[8], 0.0), "mouthSmileRight": max(features[10], 0.0),
    }  # fmt: skip


def turned(q: list[float], v: tuple[float, float, float]) -> np.ndarray:
    axis, w = np.array(q[:3]), q[3]
    cross = 2 * np.cross(axis, v)
    return np.array(v) + w * cross + np.cross(axis, cross)


def angle(sine: float) -> float:
    return float(np.degrees(np.arcsin(sine)))


@pytest.mark.parametrize("side", [1, -1], ids=["plain", "mirrored"])
@pytest.mark.parametrize("move", MOVES, ids=[move.words[:24] for move in MOVES])
@pytest.mark.parametrize("read", [by_vmc, by_osc, by_ifacialmocap, by_live_link, by_openseeface])
def test_a_move_is_seen(read: Callable[[AvatarFrame], Seen], move: Move, side: int) -> None:
    frame = frame_of(move, 0.5, 1.0, 1)
    seen = read(mirrored(frame) if side < 0 else frame)
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
