"""Takes as avatars see them: the frames of the run, an even rate, BVH, keyframes of a head."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtrecon.avatar.animation import HEAD_JOINT_M, carried, head_animation
from rtrecon.avatar.bvh import bvh_text
from rtrecon.avatar.frame import AvatarFrame, eyes_of
from rtrecon.avatar.rotations import Quaternion, rotate
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.avatar.takes import at_rate, avatar_frames
from rtrecon.errors import ArgumentError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.takes.folder import Take
from tests.avatar.faces import turned
from tests.takes.moves import record, results


def frame_at(
    t_s: float,
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0),
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
    **coefficients: float,
) -> AvatarFrame:
    values = np.zeros(52, dtype=np.float32)
    for name, value in coefficients.items():
        values[ARKIT_NAMES.index(name)] = value
    neutral = AvatarFrame.neutral(t_s)
    return replace(
        neutral,
        face_id=0,
        state="tracked",
        rotation=rotation,
        position_m=position_m,
        coefficients=values,
        eyes=eyes_of(values),
    )


@pytest.mark.parametrize("is_film", [False, True])
def test_the_frames_are_those_of_the_run(tmp_path: Path, is_film: bool) -> None:
    made = results(20, is_film=is_film, gone=range(8, 12))
    take = Take(record(tmp_path / "take", made))
    settings = AvatarSettings(gain=1.3)
    stage = AvatarStage(settings)
    for result, frame in zip(made, avatar_frames(take, settings), strict=True):
        own = stage.frame(result)
        assert (frame.t_s, frame.sequence, frame.state) == (own.t_s, own.sequence, own.state)
        assert (frame.rotation, frame.position_m) == (own.rotation, own.position_m)
        assert frame.coefficients.tobytes() == own.coefficients.tobytes()


def test_an_even_rate() -> None:
    frames = [
        frame_at(1.0, turned(0, 0, 0), jawOpen=0.0),
        frame_at(1.1, turned(0, 20, 0), (0.01, 0.0, 0.0), jawOpen=1.0),
        frame_at(1.1, turned(0, 90, 0)),  # not later: counts for nothing
        replace(frame_at(1.3, turned(0, 0, 0)), state="lost", face_id=None),
    ]
    even = list(at_rate(frames, 20.0))
    assert [f.t_s for f in even] == pytest.approx([1.0, 1.05, 1.1, 1.15, 1.2, 1.25, 1.3])
    assert [f.sequence for f in even] == list(range(7))
    half = even[1]
    assert half["jawOpen"] == pytest.approx(0.5, abs=1e-6)
    assert half.rotation == pytest.approx(turned(0, 10, 0), abs=1e-6)
    assert half.position_m == pytest.approx((0.005, 0.0, 0.0))
    assert {f.state for f in even[:4]} == {"tracked"}
    assert {f.state for f in even[5:]} == {"lost"}
    assert len(list(at_rate(frames[:1], 20.0))) == 1


def test_the_eyes_come_to_lie_where_they_were_seen() -> None:
    frame = frame_at(0.0, turned(15, -25, 8), (0.03, -0.02, 0.05))
    joint = np.array(HEAD_JOINT_M)
    eyes = np.array(rotate(frame.rotation, (-joint[0], -joint[1], -joint[2]))) + joint
    assert eyes + carried(frame, HEAD_JOINT_M) == pytest.approx(np.array(frame.position_m))


def test_keyframes_of_a_head() -> None:
    frames = [frame_at(5.0), frame_at(5.5, turned(0, 9, 0), eyeLookOutLeft=1.0), frame_at(5.5)]
    animation = head_animation(frames)
    assert animation.times_s.tolist() == [0.0, 0.5]
    assert animation.coefficients.shape == (2, 52)
    assert animation.head_rotation[1] == pytest.approx(turned(0, 9, 0))
    assert animation.eye_rotation is not None
    assert animation.eye_rotation[1, 0] == pytest.approx(turned(0, -32, 0), abs=1e-6)
    assert head_animation(frames, still=True).head_position_m is None
    with pytest.raises(ArgumentError, match="a frame at least"):
        head_animation([])


AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


# BVH, by a reader that is not ours


ABOVE = {"Hips": "", "Neck": "Hips", "Head": "Neck", "LeftEye": "Head", "RightEye": "Head"}


def joints_of(text: str, path: Path) -> Callable[[str], np.ndarray]:
    """(3, 3) turn in the world of a joint in the last frame, by its name."""
    bvhio = pytest.importorskip("bvhio")
    path.write_text(text)
    joints = {joint.Name: joint for joint, *_ in bvhio.readAsBvh(str(path)).Root.layout()}
    assert set(joints) == set(ABOVE)

    def turn(name: str) -> np.ndarray:
        if not name:
            return np.eye(3)
        w, x, y, z = joints[name].Keyframes[-1].Rotation
        own = np.array([rotate((x, y, z, w), axis) for axis in AXES]).T
        return np.asarray(turn(ABOVE[name]) @ own)

    return turn


@pytest.mark.parametrize(
    ("rotation", "nose"),
    [
        (turned(20, 0, 0), (0.0, -math.sin(math.radians(20)), math.cos(math.radians(20)))),
        (turned(0, 30, 0), (-0.5, 0.0, math.cos(math.radians(30)))),  # own right is -x
        (turned(0, 0, 15), (0.0, 0.0, 1.0)),
    ],
)
def test_a_reader_sees_the_nose_turn(
    tmp_path: Path, rotation: Quaternion, nose: tuple[float, float, float]
) -> None:
    text = bvh_text([frame_at(0.0), frame_at(1 / 30, rotation)], 30.0)
    turn = joints_of(text, tmp_path / "a.bvh")
    assert turn("Head") @ (0, 0, 1) == pytest.approx(np.array(nose), abs=1e-4)
    assert turn("Neck") == pytest.approx(np.eye(3), abs=1e-6)


def test_a_tilt_to_the_own_left_lowers_the_left_eye(tmp_path: Path) -> None:
    turn = joints_of(bvh_text([frame_at(0.0, turned(0, 0, 15))] * 2, 30.0), tmp_path / "a.bvh")
    left = turn("Head") @ (1, 0, 0)
    assert left[1] == pytest.approx(-math.sin(math.radians(15)), abs=1e-4)


def test_a_reader_sees_all_three_turns_together(tmp_path: Path) -> None:
    q = turned(12, -25, 9)
    turn = joints_of(bvh_text([frame_at(0.0, q)] * 2, 30.0), tmp_path / "a.bvh")("Head")
    flip = np.diag([1.0, -1.0, -1.0])
    own = np.array([rotate(q, axis) for axis in AXES]).T
    assert turn == pytest.approx(flip @ own @ flip, abs=1e-4)


def test_eyes_and_places(tmp_path: Path) -> None:
    frame = frame_at(0.0, position_m=(0.01, 0.02, -0.05), eyeLookOutLeft=1.0, eyeLookDownRight=1.0)
    text = bvh_text([frame] * 2, 25.0)
    turn = joints_of(text, tmp_path / "a.bvh")
    assert (turn("LeftEye") @ (0, 0, 1))[0] == pytest.approx(math.sin(math.radians(32)), abs=1e-4)
    assert (turn("RightEye") @ (0, 0, 1))[1] == pytest.approx(-math.sin(math.radians(25)), abs=1e-4)
    assert "Frames: 2\nFrame Time: 0.040000000\n" in text
    assert text.splitlines()[-1].startswith("1.0000 93.0000 5.0000 ")
    still = bvh_text([frame], 25.0, still=True)
    assert still.splitlines()[-1].startswith("0.0000 95.0000 0.0000 ")
    assert "-0.0000" not in text
