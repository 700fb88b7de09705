"""The value types: coefficients by name, and where the eyes look."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.expression.gaze import FULL_PITCH_RAD, FULL_YAW_RAD, gaze_of
from rtrecon.expression.names import ARKIT_NAMES, group_of
from rtrecon.types import Expression

LOOKS = {name: 0.0 for name in ARKIT_NAMES if name.startswith("eyeLook")}


def turned(yaw_deg: float) -> np.ndarray:
    """A head turned about y; positive is toward its own right."""
    a = np.radians(yaw_deg)
    T = np.eye(4)
    T[:3, :3] = [[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]
    return T


def test_by_name_and_as_an_array() -> None:
    given = np.array([0.25, 0.5, 0.0], dtype=np.float64)
    expression = Expression(["jawOpen", "smirk", "frown"], given)
    given[:] = 9
    assert expression["jawOpen"] == 0.25
    assert expression.names == tuple(expression) == ("jawOpen", "smirk", "frown")
    assert dict(expression) == {"jawOpen": 0.25, "smirk": 0.5, "frown": 0.0}
    assert "smirk" in expression
    assert expression.get("tongueOut") is None
    assert len(expression) == 3
    array = np.asarray(expression)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [0.25, 0.5, 0.0])
    assert np.asarray(expression, dtype=np.float64).dtype == np.float64
    assert float(np.max(expression)) == 0.5  # type: ignore[call-overload]


def test_it_cannot_be_changed() -> None:
    expression = Expression(["a", "b"], [0.1, 0.2])
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(expression)[0] = 1.0
    with pytest.raises(TypeError):
        expression["a"] = 1.0  # type: ignore[index]
    np.array(expression)[0] = 1.0  # a copy is the caller's own
    assert expression["a"] == pytest.approx(0.1)


def test_what_it_says_of_itself() -> None:
    expression = Expression(ARKIT_NAMES, np.linspace(0, 1, len(ARKIT_NAMES)))
    assert repr(expression).startswith("Expression(tongueOut=1.00, noseSneerRight=0.98")
    assert "and 48 lower" in repr(expression)
    with pytest.raises(KeyError, match="no coefficient 'jawopen'"):
        expression["jawopen"]
    for names, values in ((["a"], [1, 2]), (["a", "a"], [1, 2]), (["a"], 1.0)):
        with pytest.raises(DataError, match="each once"):
            Expression(names, values)


def test_parts_of_the_face() -> None:
    assert len(set(ARKIT_NAMES)) == 52
    assert group_of("eyeBlinkLeft") == "blink"
    assert group_of("EyeLookInRight") == "gaze"
    assert group_of("eyeWideLeft") == "eyes"
    assert group_of("browInnerUp") == "brows"
    assert group_of("jawOpen") == group_of("mouthPucker") == group_of("tongueOut") == "mouth"
    assert group_of("noseSneerLeft") == group_of("A") == "other"


@pytest.mark.parametrize(
    ("looks", "left", "right"),
    [
        ({}, (0, 0), (0, 0)),
        ({"eyeLookOutRight": 1, "eyeLookInLeft": 1}, (1, 0), (1, 0)),  # to the own right
        ({"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}, (-0.5, 0), (-0.5, 0)),
        ({"eyeLookInLeft": 0.3, "eyeLookInRight": 0.3}, (0.3, 0), (-0.3, 0)),  # at the nose
        ({"eyeLookDownLeft": 1, "eyeLookDownRight": 1}, (0, 1), (0, 1)),
        ({"eyeLookUpLeft": 1, "eyeLookUpRight": 1}, (0, -1), (0, -1)),
    ],
)
def test_angles_of_both_eyes(looks, left, right) -> None:
    gaze = gaze_of(LOOKS | looks, np.eye(4))
    assert gaze is not None
    for eye, due in ((gaze.left, left), (gaze.right, right)):
        assert eye.yaw_rad == pytest.approx(due[0] * FULL_YAW_RAD)
        assert eye.pitch_rad == pytest.approx(due[1] * FULL_PITCH_RAD)
    assert gaze.both.yaw_rad == pytest.approx((left[0] + right[0]) / 2 * FULL_YAW_RAD)


def test_directions_in_the_camera_frame() -> None:
    ahead = gaze_of(LOOKS, np.eye(4))
    assert ahead is not None
    np.testing.assert_allclose(ahead.directions_camera, [[0, 0, -1], [0, 0, -1]])
    # The own right is the picture's left, x negative; down is y positive.
    right = gaze_of(LOOKS | {"eyeLookOutRight": 1, "eyeLookInLeft": 1}, np.eye(4))
    assert right is not None
    np.testing.assert_allclose(
        right.directions_camera[0], [-np.sin(FULL_YAW_RAD), 0, -np.cos(FULL_YAW_RAD)]
    )
    down = gaze_of(LOOKS | {"eyeLookDownLeft": 1, "eyeLookDownRight": 1}, np.eye(4))
    assert down is not None
    assert down.directions_camera[1, 1] == pytest.approx(np.sin(FULL_PITCH_RAD))
    # A head turned to its own left whose eyes turn back as far looks at the camera.
    back = gaze_of(
        LOOKS | {"eyeLookOutRight": 1, "eyeLookInLeft": 1}, turned(-np.degrees(FULL_YAW_RAD))
    )
    assert back is not None
    np.testing.assert_allclose(back.directions_camera, [[0, 0, -1]] * 2, atol=1e-12)


def test_a_closed_eye_follows_the_open_one() -> None:
    looks = LOOKS | {"eyeLookOutRight": 0.5, "eyeLookDownLeft": 0.9}
    wink = gaze_of(looks | {"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.1}, np.eye(4))
    assert wink is not None
    assert wink.left == wink.right
    assert wink.right.yaw_rad == pytest.approx(0.5 * FULL_YAW_RAD)
    both = gaze_of(looks | {"eyeBlinkLeft": 0.9, "eyeBlinkRight": 0.9}, np.eye(4))
    assert both is not None
    assert both.left.pitch_rad == pytest.approx(0.9 * FULL_PITCH_RAD)


def test_no_gaze_without_its_coefficients() -> None:
    assert gaze_of({"jawOpen": 0.3}, np.eye(4)) is None
    assert gaze_of(dict.fromkeys(list(LOOKS)[1:], 0.0), np.eye(4)) is None
