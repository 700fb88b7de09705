"""iFacialMocap, Live Link Face and OpenSeeFace: golden bytes, and read as their receivers do."""

from __future__ import annotations

import re
import struct
from dataclasses import replace

import numpy as np
import pytest

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.ifacialmocap import FaceData, IFacialMocapEncoder
from rtrecon.avatar.livelink import LiveLinkEncoder
from rtrecon.avatar.openseeface import OpenSeeFaceEncoder
from rtrecon.errors import ArgumentError
from rtrecon.expression.names import ARKIT_NAMES
from tests.avatar.faces import sample


def test_ifacialmocap_golden() -> None:
    (data,) = IFacialMocapEncoder()(sample())
    text = data.decode("utf-8")
    assert text.startswith("eyeBlink_L-90|eyeLookDown_L-0|eyeLookIn_L-0|eyeLookOut_L-50|")
    assert "|jawLeft-0|jawRight-0|jawOpen-40|" in text
    assert text.endswith(
        "|tongueOut-0|=head#10.0000,-20.0000,-5.0000,0.0100,0.0200,-0.0300"
        "|rightEye#0.0000,0.0000,0.0000|leftEye#0.0000,16.0000,0.0000|"
    )
    assert 700 < len(data) < 1400


@pytest.mark.parametrize(("version", "mark"), [("v1", "-"), ("v2", "&")])
@pytest.mark.parametrize("frame", [sample(), AvatarFrame.neutral()], ids=["face", "none"])
def test_ifacialmocap_has_every_shape(version: FaceData, mark: str, frame: AvatarFrame) -> None:
    (data,) = IFacialMocapEncoder(version)(frame)
    shapes, _, rest = data.decode("ascii").partition("|=")
    found = dict(entry.split(mark) for entry in shapes.split("|"))
    assert len(found) == 52
    assert all(re.fullmatch(r"\d+", value) and int(value) <= 100 for value in found.values())
    assert ("eyeBlink_R" if version == "v1" else "eyeBlinkRight") in found
    assert {"jawLeft", "mouthRight", "browInnerUp", "cheekPuff", "tongueOut"} <= set(found)
    parts = dict(entry.split("#") for entry in rest.strip("|").split("|"))
    assert [len(parts[k].split(",")) for k in ("head", "rightEye", "leftEye")] == [6, 3, 3]


def read_live_link(data: bytes) -> tuple[str, int, list[float]]:
    """Subject, whole frames of the time code, and all values; as Unreal reads it."""
    assert data[0] == 6
    (length,) = struct.unpack_from(">i", data, 1)
    assert length == 36
    at = 5 + length
    (length,) = struct.unpack_from(">i", data, at)
    subject = data[at + 4 : at + 4 + length].decode("ascii")
    at += 4 + length
    if at == len(data):
        return subject, -1, []
    frames, rest, rate, below = struct.unpack_from(">ifii", data, at)
    assert (rate, below) == (60, 1)
    assert 0.0 <= rest < 1.0
    assert data[at + 16] == 61
    assert len(data) == at + 17 + 4 * 61
    return subject, frames, list(struct.unpack_from(">61f", data, at + 17))


def test_live_link() -> None:
    (data,) = LiveLinkEncoder("me")(sample())
    assert len(data) == 308
    assert data[:5] == b"\x06\0\0\0\x24"
    subject, frames, values = read_live_link(data)
    assert (subject, frames) == ("me", 750)
    np.testing.assert_allclose(values[:52], sample().coefficients)
    np.testing.assert_allclose(np.degrees(values[52:55]), (-20, -10, -5), atol=1e-4)
    np.testing.assert_allclose(np.degrees(values[55:58]), (16, 0, 0), atol=1e-4)  # own left
    assert values[58:] == [0.0, 0.0, 0.0]
    (unit,) = LiveLinkEncoder("me", "unit")(sample())
    np.testing.assert_allclose(read_live_link(unit)[2][52:55], np.array((-20, -10, -5)) / 180)


def test_live_link_without_a_face_ends_after_the_name() -> None:
    (data,) = LiveLinkEncoder("rtrecon")(AvatarFrame.neutral())
    assert read_live_link(data) == ("rtrecon", -1, [])


@pytest.mark.parametrize("subject", ["", "Jürgen", "x" * 65, "a\nb"])
def test_live_link_subjects(subject: str) -> None:
    with pytest.raises(ArgumentError, match="subject"):
        LiveLinkEncoder(subject)


def read_openseeface(data: bytes) -> dict[str, np.ndarray]:
    assert len(data) == 1785
    layout = "time:d id:i size:2f open:2f got3d:B error:f quaternion:4f euler:3f translation:3f"
    layout += " confidence:68f points:136f points3d:210f features:14f"
    found, at = {}, 0
    for part in layout.split():
        name, _, kind = part.partition(":")
        found[name] = np.array(struct.unpack_from("<" + kind, data, at))
        at += struct.calcsize("<" + kind)
    assert at == len(data)
    found["points"] = found["points"].reshape(68, 2)
    found["points3d"] = found["points3d"].reshape(70, 3)
    return found


def test_openseeface() -> None:
    (data,) = OpenSeeFaceEncoder()(sample())
    found = read_openseeface(data)
    assert found["time"][0] == 12.5
    assert found["size"].tolist() == [640, 480]
    np.testing.assert_allclose(found["open"], (1.0, 0.1), atol=1e-6)  # right, then left
    np.testing.assert_allclose(found["translation"] * 0.122, (0.02, -0.01, -0.63), atol=1e-6)
    assert abs(found["euler"][1]) < 90.0
    assert found["features"][0] == pytest.approx(-0.9)
    assert found["features"][12] == pytest.approx(0.4)
    assert found["points"][0] == pytest.approx((0, 1))  # iBUG's own until the mouth
    assert found["points"][47] == pytest.approx((47, 48))
    assert found["points"][48] == pytest.approx((49, 50))
    assert found["points"][53] == pytest.approx((55, 56))
    assert found["points"][58] == pytest.approx((60, 61))
    assert found["points"][65] == pytest.approx((67, 68))


@pytest.mark.parametrize("turn", [False, True])
def test_openseeface_gaze_as_its_receivers_take_it(turn: bool) -> None:
    frame = mirrored(sample()) if turn else sample()
    points = read_openseeface(OpenSeeFaceEncoder()(frame)[0])["points3d"]
    # Sent as x to the own right, down, into the head; pupil seen from the centre of its eyeball.
    right, left = points[66] - points[68], points[67] - points[69]
    assert right[2] < 0.0
    assert left[2] < 0.0
    looks, other = (right, left) if turn else (left, right)
    assert looks[0] * (1 if turn else -1) > 0.02  # the left eye to the own left, or mirrored
    assert abs(other[0]) < 1e-6
    assert points[36][0] > points[45][0]  # the own right eye is on the own right
    assert points[8][1] > points[27][1]  # the chin is below the nose


def test_openseeface_matrix_and_angles_agree() -> None:
    import cv2

    found = read_openseeface(OpenSeeFaceEncoder()(sample())[0])
    x, y, z, w = found["quaternion"]
    R = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    ).T
    np.testing.assert_allclose(cv2.RQDecomp3x3(R)[0], found["euler"], atol=1e-3)


def test_openseeface_sends_nothing_without_a_face() -> None:
    assert OpenSeeFaceEncoder()(AvatarFrame.neutral()) == []
    assert OpenSeeFaceEncoder()(replace(sample(), face_id=None, state="held")) == []


def test_openseeface_without_landmarks_takes_the_mean_heads() -> None:
    frame = replace(sample(), landmarks68_px=None, landmarks68_face=None)
    found = read_openseeface(OpenSeeFaceEncoder()(frame)[0])
    assert (found["points"][36] < found["points"][45])[0]  # own right is the picture's left
    assert np.isfinite(found["points3d"]).all()
    assert found["points"][8][1] > found["points"][27][1]


def test_names_are_arkits() -> None:
    assert len(ARKIT_NAMES) == 52
