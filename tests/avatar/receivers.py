"""What arrives, as receivers take it apart: by libraries of others, or by the protocols' texts.

Each gives words in common, whatever the protocol's own axes are: ``up``, ``left``, ``tilt``
(degrees; nose up, nose to the own left, crown to the own left positive), ``gaze`` (degrees of both
eyes, own left positive), and shapes by ARKit's names, as far as the protocol has them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.ifacialmocap import IFacialMocapEncoder
from rtrecon.avatar.livelink import LiveLinkEncoder
from rtrecon.avatar.openseeface import OpenSeeFaceEncoder
from rtrecon.avatar.osc import OscEncoder
from rtrecon.avatar.vmc import VmcEncoder
from rtrecon.avatar.vtube_studio import (
    CUSTOM_NAMES,
    ParameterRange,
    VTubeStudioEncoder,
    as_text,
    values_of,
)
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.outputs.datagrams import Encoder

Seen = dict[str, float]
Message = tuple[str, list[float]]


def by_python_osc(datagrams: Sequence[bytes]) -> list[Message]:
    """Address and arguments of all messages, in their order."""
    packet = pytest.importorskip("pythonosc.osc_packet")
    return [
        (timed.message.address, timed.message.params)
        for datagram in datagrams
        for timed in packet.OscPacket(datagram).messages
    ]


def osc(datagrams: Sequence[bytes]) -> Seen:
    """Of the plain addresses: degrees, nose down and own right positive."""
    found = {address.removeprefix("/rtrecon/"): a for address, a in by_python_osc(datagrams)}
    pitch, yaw, roll = found["head/rotation"]
    gaze = -0.5 * (found["eyes/left"][0] + found["eyes/right"][0])
    shapes = {name: found[name][0] for name in ARKIT_NAMES}
    return {"up": -pitch, "left": -yaw, "tilt": roll, "gaze": gaze, **shapes}


def vmc(datagrams: Sequence[bytes]) -> Seen:
    """Of VMC, by python-osc."""
    found = by_python_osc(datagrams)
    bones = {str(a[0]): a[4:] for address, a in found if address.endswith("Bone/Pos")}
    shapes = {str(a[0]): a[1] for address, a in found if address.endswith("Val")}
    return _in_unity(bones, shapes)


def vmc_by_vmcp(datagrams: Sequence[bytes]) -> Seen:
    """Of VMC, by vmcp on osc4py3: another reader of OSC, and its checks of names and kinds."""
    events = pytest.importorskip("vmcp.events")
    build = pytest.importorskip("osc4py3.oscbuildparse")
    kinds = [
        events.StateEvent, events.RelativeTimeEvent, events.RootTransformEvent,
        events.BoneTransformEvent, events.BlendShapeEvent, events.BlendShapeApplyEvent,
    ]  # fmt: skip
    by_address = {kind.ADDRESS_PATTERN: kind for kind in kinds}
    got = []
    for datagram in datagrams:
        for message in build.decode_packet(datagram).elements:
            kind = by_address[message.addrpattern]
            got.append(kind.from_message_data("in", message.addrpattern, message.arguments))
    assert isinstance(got[0], events.StateEvent)
    assert isinstance(got[-1], events.BlendShapeApplyEvent)
    bones, shapes = {}, {}
    for event in got:
        if isinstance(event, events.BoneTransformEvent):
            q = event.rotation
            bones[event.joint.value] = [q.x, q.y, q.z, q.w]
        elif isinstance(event, events.BlendShapeEvent):
            shapes[str(event.key)] = event.value
    return _in_unity(bones, shapes)


def _in_unity(bones: Mapping[str, Sequence[float]], shapes: Mapping[str, float]) -> Seen:
    """The nose along +z, the crown along +y, the own left at -x."""
    nose, crown = turned(bones["Head"], (0, 0, 1)), turned(bones["Head"], (0, 1, 0))
    eyes = [turned(bones[side + "Eye"], (0, 0, 1)) for side in ("Left", "Right")]
    return {
        "up": angle(nose[1]), "left": angle(-nose[0]), "tilt": angle(-crown[0]),
        "gaze": angle(-np.mean(eyes, axis=0)[0]), **shapes,
    }  # fmt: skip


def ifacialmocap(datagrams: Sequence[bytes]) -> Seen:
    """ARKit: y up, z out of the face, x to the own left; turns about them, right-handed."""
    (datagram,) = datagrams
    shapes, _, rest = datagram.decode("utf-8").partition("|=")
    parts = {}
    for part in rest.rstrip("|").split("|"):
        name, _, numbers = part.partition("#")
        parts[name] = [float(number) for number in numbers.split(",")]
    values = {}
    for entry in shapes.split("|"):
        name, _, number = entry.partition("-")
        stem, _, side = name.partition("_")
        values[stem + {"": "", "L": "Left", "R": "Right"}[side]] = int(number) / 100
    assert set(values) == set(ARKIT_NAMES)
    x, y, z = parts["head"][:3]
    gaze = 0.5 * (parts["leftEye"][1] + parts["rightEye"][1])
    return {"up": -x, "left": y, "tilt": -z, "gaze": gaze, **values}


def live_link(datagrams: Sequence[bytes]) -> Seen:
    """By the layout: 52 shapes, then yaw, pitch and roll of the head and of each eye."""
    (datagram,) = datagrams
    values = struct.unpack(">61f", datagram[-244:])
    return _live_link(values)


def live_link_by_pylivelinkface(datagrams: Sequence[bytes]) -> Seen:
    """By PyLiveLinkFace."""
    library = pytest.importorskip("pylivelinkface.pylivelinkface")
    (datagram,) = datagrams
    found, face = library.PyLiveLinkFace.decode(datagram)
    assert found
    assert (face.name, face._version, face.fps, face._denominator) == ("rtrecon", 6, 60, 1)
    named = {shape.name: face.get_blendshape(shape) for shape in library.FaceBlendShape}
    order = [f"{name[0].upper()}{name[1:]}" for name in ARKIT_NAMES]
    order += [p + a for p in ("Head", "LeftEye", "RightEye") for a in ("Yaw", "Pitch", "Roll")]
    return _live_link([named[name] for name in order])


def _live_link(values: Sequence[float]) -> Seen:
    yaw, pitch, roll = np.degrees(values[52:55])
    gaze = float(np.degrees(values[55] + values[58]) / 2)
    shapes = dict(zip(ARKIT_NAMES, values[:52], strict=True))
    return {"up": pitch, "left": yaw, "tilt": -roll, "gaze": gaze, **shapes}


def openseeface(datagrams: Sequence[bytes]) -> Seen:
    """Degrees 180 + nose down, own left, 90 - tilt to the own left; points x own right."""
    (datagram,) = datagrams
    right_open, left_open = struct.unpack_from("<2f", datagram, 20)
    x, y, z = struct.unpack_from("<3f", datagram, 49)
    points = np.frombuffer(datagram, "<f4", 210, 889).reshape(70, 3)
    features = struct.unpack_from("<14f", datagram, 1729)
    across = np.mean([points[66] - points[68], points[67] - points[69]], axis=0)
    return {
        "up": -((x + 180 + 180) % 360 - 180), "left": y, "tilt": 90 - z,
        "gaze": float(np.degrees(np.arctan2(-across[0], -across[2]))),
        "eyeBlinkLeft": 1 - left_open, "eyeBlinkRight": 1 - right_open, "jawOpen": features[12],
        "mouthSmileLeft": max(features[8], 0.0), "mouthSmileRight": max(features[10], 0.0),
    }  # fmt: skip


def vtube_studio(datagrams: Sequence[bytes]) -> Seen:
    """The values that are injected: own right and up are positive, of the eyes too."""
    (text,) = datagrams
    asked = json.loads(text)
    assert asked["messageType"] == "InjectParameterDataRequest"
    v = {entry["id"]: entry["value"] for entry in asked["data"]["parameterValues"]}
    shapes = {name: v[custom] for custom, name in CUSTOM_NAMES.items()}
    assert v["EyeOpenLeft"] == pytest.approx(1 - shapes["eyeBlinkLeft"], abs=1e-4)
    assert v["EyeOpenRight"] == pytest.approx(1 - shapes["eyeBlinkRight"], abs=1e-4)
    gaze = -16.0 * (v["EyeLeftX"] + v["EyeRightX"])
    return {"up": v["FaceAngleY"], "left": -v["FaceAngleX"], "tilt": -v["FaceAngleZ"],
            "gaze": gaze, **shapes}  # fmt: skip


def _for_vtube_studio() -> Encoder:
    spans = dict.fromkeys(values_of(AvatarFrame.neutral()), ParameterRange(0.0, 1.0))
    spans |= dict.fromkeys(("FaceAngleX", "FaceAngleY", "FaceAngleZ"), ParameterRange(-90, 90))
    spans |= dict.fromkeys(("EyeLeftX", "EyeRightX", "EyeLeftY"), ParameterRange(-1.0, 1.0))
    encode = VTubeStudioEncoder(spans)
    return lambda frame: [as_text(encode(frame, "1")).encode()]


PROTOCOLS: Mapping[str, tuple[Encoder, Callable[[Sequence[bytes]], Seen]]] = {
    "osc": (OscEncoder(), osc),
    "vmc": (VmcEncoder("arkit-camel"), vmc),
    "vmc by vmcp": (VmcEncoder("arkit-camel"), vmc_by_vmcp),
    "ifacialmocap": (IFacialMocapEncoder(), ifacialmocap),
    "livelink": (LiveLinkEncoder(), live_link),
    "livelink by pylivelinkface": (LiveLinkEncoder(), live_link_by_pylivelinkface),
    "openseeface": (OpenSeeFaceEncoder(), openseeface),
    "vtube-studio": (_for_vtube_studio(), vtube_studio),
}
"""Our encoder, and a receiver that shares nothing with it."""


def turned(q: Sequence[float], v: tuple[float, float, float]) -> np.ndarray:
    axis, w = np.array(q[:3]), q[3]
    cross = 2 * np.cross(axis, v)
    return np.array(v) + w * cross + np.cross(axis, cross)


def angle(sine: float) -> float:
    return float(np.degrees(np.arcsin(sine)))
