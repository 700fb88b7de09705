"""The chain: neutral, lids, gain, and what is shown while nobody is there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.lids import LidPolicy
from rtrecon.avatar.rotations import from_matrix, to_angles
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.errors import ArgumentError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.result import LiveResult
from rtrecon.types import Frame
from tests.avatar.faces import PICTURE, face, result, turned

RAW = AvatarSettings(calibrate=False, dead_zone=0.0)
CLIP = Path(__file__).parents[1] / "data" / "head-clip" / "meta.json"


def angles_deg(frame: AvatarFrame) -> list[float]:
    return np.degrees(to_angles(frame.rotation)).tolist()


def settle(stage: AvatarStage, *, seconds: float = 2.0, **kwargs: object) -> float:
    """A face at rest for that long; when that ended."""
    count = round(seconds * 30)
    for k in range(count):
        stage.frame(result(k / 30, face(**kwargs), index=k))  # type: ignore[arg-type]
    return count / 30


def test_a_head_at_rest_reads_nothing_wherever_the_camera_stands() -> None:
    rest = {"rotation": turned(17, 8, 3), "at_m": (0.05, 0.1, 0.6)}
    stage = AvatarStage()
    t_s = settle(stage, **rest)
    frame = stage.frame(result(t_s, face(**rest)))  # type: ignore[arg-type]
    assert angles_deg(frame) == pytest.approx([0, 0, 0], abs=0.01)
    assert frame.position_m == pytest.approx((0, 0, 0), abs=1e-6)
    assert frame.origin_m == pytest.approx((0.05, 0.1, 0.6), abs=1e-6)


@pytest.mark.parametrize("turn", [(15, 0, 0), (0, 25, 0), (0, 0, -20)])
def test_turns_from_rest_keep_their_axis_and_side(turn: tuple[float, float, float]) -> None:
    stage = AvatarStage()
    t_s = settle(stage)
    frame = stage.frame(result(t_s, face(turned(*turn), at_m=(0.02, 0.0, 0.5))))
    assert angles_deg(frame) == pytest.approx(turn, abs=0.05)
    assert frame.position_m == pytest.approx((0.02, 0.0, 0.0), abs=1e-3)


def test_a_head_that_never_rests_keeps_its_turns() -> None:
    """What it passes through is not neutral: else turns are bent while that is learnt."""
    stage = AvatarStage()
    truth, sent = [], []
    for k, row in enumerate(json.loads(CLIP.read_text())["frames"]):
        rotation = from_matrix(np.array(row["R_camera_face"]))
        truth.append(np.degrees(to_angles(rotation)))
        sent.append(angles_deg(stage.frame(result(k / 6, face(rotation), index=k))))
    for axis in range(3):
        assert np.corrcoef(np.array(truth)[:, axis], np.array(sent)[:, axis])[0, 1] > 0.96


def test_a_head_that_is_turned_away_is_not_taken_as_rest() -> None:
    stage = AvatarStage()
    t_s = settle(stage, rotation=turned(0, 30, 0))
    assert angles_deg(stage.frame(result(t_s, face(turned(0, 30, 0))))) == pytest.approx(
        [0, 30, 0], abs=0.5
    )
    for k in range(60):  # and is mended when it looks ahead
        last = stage.frame(result(t_s + k / 30, face(turned(5, 0, 0))))
    assert angles_deg(last) == pytest.approx([0, 0, 0], abs=1.0)


def test_neutral_follows_slowly_and_not_a_long_look_aside() -> None:
    stage = AvatarStage()
    t_s = settle(stage)
    for k in range(900):
        frame = stage.frame(result(t_s + k / 30, face(turned(0, 40, 0))))
    assert angles_deg(frame)[1] == pytest.approx(40, abs=0.1)


def test_coefficients_in_arkits_order_with_no_tongue() -> None:
    frame = AvatarStage(RAW).frame(result(0.0, face(jawOpen=0.7, browInnerUp=0.2)))
    assert frame.coefficients.shape == (52,)
    assert (frame["jawOpen"], frame["browInnerUp"]) == pytest.approx((0.7, 0.2))
    assert frame["tongueOut"] == 0.0
    assert not frame.coefficients.flags.writeable


@pytest.mark.parametrize("settings", [RAW, AvatarSettings()])
def test_origin_and_position_make_the_place_before_the_camera(settings: AvatarSettings) -> None:
    stage = AvatarStage(settings)
    t_s = settle(stage, at_m=(0.0, 0.0, 0.7))
    frame = stage.frame(result(t_s, face(at_m=(0.02, 0.0, 0.65))))
    place = np.array(frame.origin_m) + frame.position_m
    np.testing.assert_allclose(place, (0.02, 0.0, 0.65), atol=1e-3)


def test_gain_leaves_the_gaze() -> None:
    stage = AvatarStage(AvatarSettings(calibrate=False, dead_zone=0.1, gain=2.0))
    frame = stage.frame(result(0.0, face(jawOpen=0.37, mouthLeft=0.05, eyeLookUpLeft=0.3)))
    assert frame["jawOpen"] == pytest.approx(0.6)
    assert frame["mouthLeft"] == 0.0
    assert frame["eyeLookUpLeft"] == pytest.approx(0.3)


# What the shipped model says of rendered heads, left and right: blinks, and winks of the left eye.
BLINKS = [(0.67, 0.48), (0.83, 0.78), (0.60, 0.67), (0.83, 0.86), (0.53, 0.54), (0.74, 0.75)]
WINKS = [(0.59, 0.13), (0.63, 0.19), (0.34, 0.09), (0.83, 0.16), (0.58, 0.11), (0.58, 0.10)]


def lids(left: float, right: float, policy: LidPolicy = "wink") -> tuple[float, float]:
    stage = AvatarStage(AvatarSettings(calibrate=False, dead_zone=0.0, lids=policy))
    frame = stage.frame(result(0.0, face(eyeBlinkLeft=left, eyeBlinkRight=right)))
    return frame["eyeBlinkLeft"], frame["eyeBlinkRight"]


@pytest.mark.parametrize("said", BLINKS)
def test_a_blink_shuts_both_eyes(said: tuple[float, float]) -> None:
    left, right = lids(*said)
    assert left == right
    assert left > 0.8


@pytest.mark.parametrize("said", WINKS)
@pytest.mark.parametrize("policy", ["wink", "link"])
def test_a_wink_shuts_its_own_eye(said: tuple[float, float], policy: LidPolicy) -> None:
    closed, other = lids(*said, policy)
    assert lids(*said[::-1], policy) == (other, closed)
    assert closed > 0.4
    assert other < 0.1 if policy == "wink" else other == closed


def test_open_eyes_are_open_and_free_lids_as_measured() -> None:
    assert lids(0.08, 0.06) == (0.0, 0.0)
    assert lids(0.9, 0.0) == (1.0, 0.0)  # a model whose lids do not leak
    assert lids(0.5, 0.4, "free") == pytest.approx((0.5, 0.4))


def test_a_wink_comes_and_goes_without_the_other_lid() -> None:
    stage = AvatarStage(RAW)
    shown = []
    for k in range(61):
        lid = 0.6 * (1.0 - abs(k - 30) / 30)
        head = face(eyeBlinkLeft=0.06 + lid, eyeBlinkRight=0.06 + 0.2 * lid)
        frame = stage.frame(result(k / 60, head, index=k))
        shown.append((frame["eyeBlinkLeft"], frame["eyeBlinkRight"]))
    assert max(left for left, _ in shown) == 1.0
    assert max(right for _, right in shown) < 0.25
    assert np.abs(np.diff(shown, axis=0)).max() < 0.15


def test_the_eye_under_a_closing_lid_looks_as_the_other() -> None:
    frame = AvatarStage(RAW).frame(
        result(0.0, face(eyeBlinkLeft=0.95, eyeLookDownLeft=0.9, eyeLookInRight=0.4))
    )
    left, right = frame.eyes
    assert right.yaw_rad < 0.0  # toward the nose, which is the own left of the right eye
    assert (left.yaw_rad, left.pitch_rad) == pytest.approx((right.yaw_rad, right.pitch_rad))


def test_hold_ease_lost_and_back() -> None:
    stage = AvatarStage(RAW)
    seen = stage.frame(result(0.0, face(turned(0, 20, 0), jawOpen=1.0)))
    assert (seen.state, seen.face_id) == ("tracked", 0)
    shown = [stage.frame(result(0.1 + k / 100, index=k)) for k in range(100)]
    assert all(f.face_id is None for f in shown)
    assert [shown[k].state for k in (0, 29, 31, 79, 81, 99)] == [
        "held", "held", "easing", "easing", "lost", "lost",
    ]  # fmt: skip
    assert [f.is_tracked for f in shown].count(True) == 30
    assert shown[29]["jawOpen"] == 1.0
    yaw = [angles_deg(f)[1] for f in shown]
    assert np.diff(yaw).max() <= 1e-9  # only toward neutral
    assert np.abs(np.diff(yaw)).max() < 1.0  # and without a jump
    assert yaw[-1] == 0.0
    assert shown[-1]["jawOpen"] == 0.0
    back = [
        stage.frame(result(1.2 + k / 100, face(turned(0, 20, 0), jawOpen=1.0))) for k in range(30)
    ]
    assert all(f.state == "tracked" for f in back)
    assert back[0]["jawOpen"] == pytest.approx(0.0)
    assert 0.2 < back[10]["jawOpen"] < 0.8
    assert back[20]["jawOpen"] == 1.0


def test_one_face_is_followed_among_several() -> None:
    stage = AvatarStage(RAW)
    far = face(at_m=(0.4, 0, 0.9), id=2)
    far.box_px = far.box_px * 0.5
    assert stage.frame(result(0.0, far, face(id=1))).face_id == 1
    far.box_px = far.box_px * 9
    assert stage.frame(result(0.1, far, face(id=1))).face_id == 1  # though the other is larger now
    assert stage.frame(result(0.2, far)).state == "held"
    assert stage.frame(result(0.5, far)).face_id == 2


def test_a_new_id_in_the_same_place_is_the_same_person() -> None:
    stage = AvatarStage(RAW)
    stage.frame(result(0.0, face(id=1)))
    assert stage.frame(result(0.05, face(id=7, at_m=(0.01, 0, 0.5)))).state == "tracked"


def test_a_result_has_one_frame_for_all_outputs() -> None:
    stage = AvatarStage()
    results = [result(k / 30, face(), index=k) for k in range(20)]
    made = [stage.frame(r) for r in results]
    assert stage.frame(results[-1]) is made[-1]
    assert stage.frame(results[-3]) is made[-3]
    assert stage.frame(results[0]) is made[-1]  # long past: an output that lags gets the newest


def test_a_film_that_begins_again_goes_on() -> None:
    stage = AvatarStage(RAW)
    for k, t_s in enumerate((9.0, 9.5, 0.0, 0.03)):
        picture = Frame(PICTURE, k, k, t_media_ns=round(t_s * 1e9))
        frame = stage.frame(LiveResult(picture, [face(jawOpen=k / 4)], 1.0))
    assert frame.state == "tracked"
    assert frame["jawOpen"] == pytest.approx(0.75)


def test_a_pose_that_is_not_finite_is_no_face_and_teaches_nothing() -> None:
    stage = AvatarStage()
    t_s = settle(stage)
    broken = face()
    broken.T_camera_face[0, 3] = np.nan
    assert stage.frame(result(t_s, broken)).state == "held"
    after = stage.frame(result(t_s + 0.1, face()))
    assert np.isfinite([*after.rotation, *after.position_m]).all()


def test_coefficients_that_are_not_finite_are_none() -> None:
    frame = AvatarStage(RAW).frame(result(0.0, face(jawOpen=np.nan, eyeBlinkLeft=np.nan)))
    assert np.isfinite(frame.coefficients).all()
    assert frame["jawOpen"] == 0.0


def test_times_are_fine_enough_for_32_bits_after_weeks() -> None:
    stage, weeks_s = AvatarStage(RAW), 3e6
    times = [np.float32(stage.frame(result(weeks_s + k / 60, face())).t_s) for k in range(3)]
    np.testing.assert_allclose(np.diff(times), 1 / 60, rtol=1e-4)


def test_no_result_is_kept() -> None:
    stage = AvatarStage()
    given = result(0.0, face())
    before = sys.getrefcount(given)
    stage.frame(given)
    assert sys.getrefcount(given) == before


def test_another_models_coefficients() -> None:
    nothing = face()
    nothing.expression = None
    frame = AvatarStage(RAW).frame(result(0.0, nothing))
    assert frame.coefficients.sum() == 0.0


@pytest.mark.parametrize("wrong", [{"gain": 0.0}, {"dead_zone": 0.9}])
def test_settings_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        AvatarSettings(**wrong)  # type: ignore[arg-type]


def test_truth_of_a_rendered_clip_comes_through() -> None:
    """Four seconds of a head that turns, talks and winks: angles and coefficients stay its own."""
    frames = json.loads(CLIP.read_text(encoding="utf-8"))["frames"]
    stage = AvatarStage()
    t_s = settle(stage, rotation=turned(6, 0, 2))
    truth, shown, true_values, values = [], [], [], []
    for k, entry in enumerate(frames):
        head = face(
            from_matrix(np.array(entry["R_camera_face"])),
            **dict(zip(ARKIT_NAMES, entry["expression"], strict=False)),
        )
        frame = stage.frame(result(t_s + k / 6, head))
        truth.append(np.degrees(to_angles(from_matrix(head.T_camera_face[:3, :3]))))
        shown.append(angles_deg(frame))
        true_values.append(entry["expression"])
        values.append(frame.coefficients[:51])
    for axis in range(3):
        assert np.corrcoef(np.array(truth)[:, axis], np.array(shown)[:, axis])[0, 1] > 0.95
    assert np.abs(np.array(values) - true_values).mean() < 0.03
