"""Three pure turns, mirrored and not, in each frame that avatars use."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from rtrecon.avatar import signs
from rtrecon.avatar.frame import AvatarFrame, eyes_of, mirrored
from rtrecon.avatar.rotations import from_angles, from_matrix, rotate, to_angles, to_matrix
from rtrecon.expression.gaze import gaze_of
from rtrecon.expression.names import ARKIT_NAMES
from tests.avatar.faces import turned

NOSE = (0.0, 0.0, -1.0)  # where a head looks, in its own frame
CROWN = (0.0, -1.0, 0.0)
DOWN, OWN_RIGHT, TILT_LEFT = turned(20, 0, 0), turned(0, 20, 0), turned(0, 0, 20)


def test_what_the_words_mean_in_our_own_frame() -> None:
    assert rotate(DOWN, NOSE)[1] > 0.3  # y is down
    assert rotate(OWN_RIGHT, NOSE)[0] < -0.3  # the person's own right is the picture's left
    assert rotate(TILT_LEFT, CROWN)[0] > 0.3  # the crown goes to the own left: picture right


@pytest.mark.parametrize("pitch", [-40, 0, 35])
@pytest.mark.parametrize("yaw", [-60, 0, 50])
@pytest.mark.parametrize("roll", [-30, 0, 170])
def test_there_and_back(pitch: float, yaw: float, roll: float) -> None:
    q = turned(pitch, yaw, roll)
    np.testing.assert_allclose(np.degrees(to_angles(q)), (pitch, yaw, roll), atol=1e-9)
    again = from_matrix(np.array(to_matrix(q)))
    np.testing.assert_allclose(np.array(to_matrix(again)), np.array(to_matrix(q)), atol=1e-12)


def test_unity() -> None:
    """Left-handed, y up: +x is the avatar's own right, and it looks along +z."""
    matrix = {k: np.array(to_matrix(signs.unity_rotation(q))) for k, q in enumerate_turns()}
    ahead, up = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (matrix["down"] @ ahead)[1] < -0.3
    assert (matrix["own right"] @ ahead)[0] > 0.3
    assert (matrix["tilt left"] @ up)[0] < -0.3
    assert signs.unity_position((0.1, 0.2, 0.3)) == (-0.1, -0.2, -0.3)


def test_vrm1() -> None:
    """Right-handed, y up, faces +z: its own left is +x."""
    matrix = {k: np.array(to_matrix(signs.vrm1_rotation(q))) for k, q in enumerate_turns()}
    ahead, up = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (matrix["down"] @ ahead)[1] < -0.3
    assert (matrix["own right"] @ ahead)[0] < -0.3
    assert (matrix["tilt left"] @ up)[0] > 0.3
    # The sign that is known from three.js: rotation.y = -25 degrees is to the own right.
    np.testing.assert_allclose(
        signs.vrm1_rotation(turned(0, 25, 0)),
        (0, -math.sin(math.radians(12.5)), 0, math.cos(math.radians(12.5))),
        atol=1e-12,
    )


def test_arkit_and_live_link() -> None:
    np.testing.assert_allclose(signs.arkit_angles_deg(DOWN), (20, 0, 0), atol=1e-9)
    np.testing.assert_allclose(signs.arkit_angles_deg(OWN_RIGHT), (0, -20, 0), atol=1e-9)
    np.testing.assert_allclose(signs.arkit_angles_deg(TILT_LEFT), (0, 0, -20), atol=1e-9)
    assert signs.arkit_position((0.1, 0.2, 0.3)) == (0.1, -0.2, -0.3)
    yaw_pitch_roll = np.degrees(signs.live_link_angles(turned(3, 5, 7)))
    np.testing.assert_allclose(yaw_pitch_roll, (-5, -3, -7), atol=1e-9)


@pytest.mark.parametrize(
    ("turn", "angles"),
    [
        ((0, 0, 0), (180, 0, 90)),
        ((20, 0, 0), (-160, 0, 90)),
        ((-20, 0, 0), (160, 0, 90)),
        ((0, 25, 0), (180, -25, 90)),
        ((0, 0, 15), (180, 0, 75)),
    ],
)
def test_openseeface(turn: tuple[float, ...], angles: tuple[float, ...]) -> None:
    np.testing.assert_allclose(signs.osf_angles_deg(turned(*turn)), angles, atol=1e-9)


@pytest.mark.parametrize("turn", [(10, 20, 5), (-15, 30, -20), (25, -40, 12)])
def test_openseeface_angles_are_opencvs_away_from_its_jump(turn: tuple[float, ...]) -> None:
    q = turned(*turn)
    matrix = np.array(signs.osf_rotation(q))
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    theirs = cv2.RQDecomp3x3(matrix)[0]
    ours = signs.osf_angles_deg(q)
    if abs(theirs[1]) > 90.0:  # the same turn on the other branch
        theirs = (theirs[0] - 180.0, 180.0 - theirs[1], theirs[2] - 180.0)
    off = (np.array(ours) - theirs + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(off, 0.0, atol=1e-6)


def test_a_mirrored_head() -> None:
    values = np.zeros(52, dtype=np.float32)
    for name, value in {"eyeBlinkLeft": 0.9, "jawRight": 0.4, "eyeLookOutLeft": 0.5}.items():
        values[ARKIT_NAMES.index(name)] = value
    frame = AvatarFrame(
        1.0, 2, 3, turned(10, 20, 30), (0.1, 0.2, 0.3), values, eyes_of(values), "tracked",
        size_px=(640, 480), landmarks68_px=np.full((68, 2), 100, np.float32),
    )  # fmt: skip
    seen = mirrored(frame)
    np.testing.assert_allclose(np.degrees(to_angles(seen.rotation)), (10, -20, -30), atol=1e-9)
    assert seen.position_m == (-0.1, 0.2, 0.3)
    assert (seen["eyeBlinkRight"], seen["jawLeft"]) == pytest.approx((0.9, 0.4))
    assert (seen["eyeBlinkLeft"], seen["jawRight"]) == (0.0, 0.0)
    assert seen["eyeLookOutRight"] == pytest.approx(0.5)  # out stays out, with the other eye
    assert seen.eyes == eyes_of(seen.coefficients)
    assert seen.landmarks68_px is not None
    assert seen.landmarks68_px[0].tolist() == [539.0, 100.0]
    again = mirrored(seen)
    np.testing.assert_array_equal(again.coefficients, frame.coefficients)
    assert again.rotation == frame.rotation
    assert again.eyes == frame.eyes


def test_eyes_are_those_of_the_reconstruction() -> None:
    values = np.random.default_rng(0).uniform(0, 0.4, 52).astype(np.float32)
    gaze = gaze_of(dict(zip(ARKIT_NAMES, values.tolist(), strict=True)), np.eye(4))
    assert gaze is not None
    for ours, theirs in zip(eyes_of(values), (gaze.left, gaze.right), strict=True):
        assert (ours.yaw_rad, ours.pitch_rad) == pytest.approx((theirs.yaw_rad, theirs.pitch_rad))


def enumerate_turns() -> list[tuple[str, tuple[float, float, float, float]]]:
    return [("down", DOWN), ("own right", OWN_RIGHT), ("tilt left", TILT_LEFT)]


def test_angles_make_one_turn() -> None:
    assert from_angles(0.0, 0.0, 0.0) == (0.0, 0.0, 0.0, 1.0)
