"""What is kept of a person: the value, and a chain that starts from it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from rtrecon.avatar.lids import lid_reach
from rtrecon.avatar.profile import VERSION, CalibrationProfile, HeadRest
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.errors import DataError
from rtrecon.expression.calibration import Calibration
from rtrecon.expression.names import ARKIT_NAMES
from tests.avatar.faces import face, result, turned
from tests.avatar.test_stage import angles_deg, settle

JAW = ARKIT_NAMES.index("jawOpen")


def profile_of(
    rotation: tuple[float, float, float, float] = turned(10, 0, 0), **reach: float
) -> CalibrationProfile:
    known = Calibration.none(ARKIT_NAMES)
    for name, value in reach.items():
        known.reach[ARKIT_NAMES.index(name)] = value
    return CalibrationProfile(HeadRest(rotation, (0.0, 0.0, 0.5)), known, frozenset(reach))


def as_file(**changes: Any) -> dict[str, Any]:
    whole = json.loads(json.dumps(profile_of(jawOpen=0.7).to_json()))
    return {**whole, **changes}


def test_there_and_back() -> None:
    before = profile_of(turned(3, -8, 2), jawOpen=0.7, eyeBlinkLeft=0.9)
    after = CalibrationProfile.from_json(json.loads(json.dumps(before.to_json())))
    assert after.head is not None
    assert before.head is not None
    assert after.head.rotation == pytest.approx(before.head.rotation, abs=1e-6)
    assert after.head.position_m == before.head.position_m
    assert after.face.names == ARKIT_NAMES
    np.testing.assert_allclose(after.face.neutral, before.face.neutral)
    np.testing.assert_allclose(after.face.reach, before.face.reach)
    assert after.shown == {"jawOpen", "eyeBlinkLeft"}
    assert after.to_json() == before.to_json()


def test_a_head_that_is_not_known() -> None:
    assert CalibrationProfile.from_json(as_file(head=None)).head is None


def test_it_holds_numbers_and_names_of_arkit_alone() -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for inner in value.values() for leaf in leaves(inner)]
        return [leaf for x in value for leaf in leaves(x)] if isinstance(value, list) else [value]

    texts = {leaf for leaf in leaves(as_file()) if not isinstance(leaf, int | float)}
    assert texts == {"rtrecon calibration", "jawOpen"}


def test_a_newer_version_is_said_to_be_one() -> None:
    with pytest.raises(DataError, match=r"version 2, made by a newer rtrecon.*upgrade"):
        CalibrationProfile.from_json({"format": "rtrecon calibration", "version": VERSION + 1})


HEAD = {"rotation": [0, 0, 0, 1], "position_m": [0, 0, 0.5]}
FACE = dict.fromkeys(ARKIT_NAMES, 0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "something else"},
        {"version": 0},
        {"version": True},
        {"version": "1"},
        {"version": 1.5},
        {"more": 1},
        {"head": {}},
        {"head": [1, 2]},
        {"head": {**HEAD, "rotation": [0, 0, 0, 0]}},
        {"head": {**HEAD, "rotation": [0, 0, 1]}},
        {"head": {**HEAD, "rotation": [0, 0, 0, True]}},
        {"head": {**HEAD, "rotation": [0, 0, 0, math.nan]}},
        {"head": {**HEAD, "position_m": [0, 0, -0.5]}},
        {"head": {**HEAD, "position_m": [0, 0, 10**400]}},
        {"head": {**HEAD, "position_m": ["0", 0, 1]}},
        {"neutral": {}},
        {"neutral": {**FACE, "jawOpen": 0.9}},
        {"neutral": {**FACE, "jawOpen": "0.1"}},
        {"neutral": {**FACE, "jawOpen": math.nan}},
        {"neutral": {**FACE, "nose": 0.1}},
        {"reach": {**FACE}},
        {"reach": None},
        {"shown": "jawOpen"},
        {"shown": ["nose"]},
        {"shown": [["jawOpen"]]},
    ],
)
def test_what_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        CalibrationProfile.from_json(as_file(**changes))


@pytest.mark.parametrize("key", ["version", "head", "neutral", "reach", "shown"])
def test_nothing_may_be_missing(key: str) -> None:
    data = as_file()
    del data[key]
    with pytest.raises(DataError):
        CalibrationProfile.from_json(data)


def test_a_chain_starts_where_another_ended() -> None:
    rest = {"rotation": turned(17, 4, 3), "at_m": (0.05, 0.1, 0.6), "jawOpen": 0.1}
    first = AvatarStage()
    assert first.profile() is None
    t_s = settle(first, seconds=90.0, **rest)
    learnt = first.profile()
    assert learnt is not None
    second = AvatarStage(None, CalibrationProfile.from_json(learnt.to_json()))
    turn = face(turned(17, 24, 3), (0.05, 0.1, 0.6), jawOpen=0.5)
    before, after = first.frame(result(t_s, turn)), second.frame(result(0.0, turn))
    assert after.rotation == pytest.approx(before.rotation, abs=1e-4)
    assert after["jawOpen"] == pytest.approx(before["jawOpen"], abs=1e-3)
    assert after["jawOpen"] < 0.47  # and the neutral was taken off


def test_without_calibration_nothing_is_used_nor_learnt() -> None:
    stage = AvatarStage(AvatarSettings(calibrate=False), profile_of(turned(10, 0, 0)))
    t_s = settle(stage)
    assert stage.profile() is None
    assert angles_deg(stage.frame(result(t_s, face(turned(10, 0, 0)))))[0] == pytest.approx(10)


def test_a_glance_aside_at_the_start_does_not_lose_what_was_kept() -> None:
    stage = AvatarStage(None, profile_of(turned(10, 0, 0)))
    stage.frame(result(0.0, face(turned(10, 45, 0))))
    assert angles_deg(stage.frame(result(0.1, face(turned(10, 0, 0))))) == pytest.approx(
        [0, 0, 0], abs=0.1
    )


def test_a_camera_that_was_moved_is_learnt_anew() -> None:
    stage = AvatarStage(None, profile_of(turned(-20, 0, 0)))
    t_s = settle(stage, rotation=turned(20, 0, 0))
    assert angles_deg(stage.frame(result(t_s, face(turned(20, 0, 0))))) == pytest.approx(
        [0, 0, 0], abs=0.1
    )


def test_recalibrating_takes_the_next_second_as_neutral() -> None:
    """Also with the camera far to the side, where nobody is at rest unless they say so."""
    stage = AvatarStage(None, profile_of(jawOpen=0.7))
    aside = {"rotation": turned(0, 35, 0), "browInnerUp": 0.3}
    t_s = settle(stage, **aside)
    assert abs(angles_deg(stage.frame(result(t_s, face(**aside))))[1]) > 30
    stage.recalibrate()
    for k in range(40):
        frame = stage.frame(result(t_s + k / 30, face(**aside), index=k))
    assert angles_deg(frame) == pytest.approx([0, 0, 0], abs=0.1)
    assert frame["browInnerUp"] == 0.0
    kept = stage.profile()
    assert kept is not None
    assert kept.face.reach[JAW] == 0.7
    # And one who comes back looking into the lens does not undo it.
    again = AvatarStage(None, kept)
    again.frame(result(0.0, face(at_m=(0.0, 0.0, 1.0))))
    assert angles_deg(again.frame(result(0.1, face(**aside)))) == pytest.approx([0, 0, 0], abs=0.5)


def test_a_blink_while_recalibrating_is_not_taken_for_rest() -> None:
    stage = AvatarStage()
    t_s = settle(stage)
    stage.recalibrate()
    for k in range(40):
        lid = 0.8 if 10 <= k < 16 else 0.05
        broken = np.nan if k == 3 else 0.0
        head = face(eyeBlinkLeft=lid, eyeBlinkRight=lid, jawOpen=broken)
        stage.frame(result(t_s + k / 30, head, index=k))
    kept = stage.profile()
    assert kept is not None
    assert kept.face.neutral[0] == pytest.approx(0.05, abs=0.01)


def test_a_model_without_coefficients_teaches_nothing() -> None:
    before = profile_of(turned(0, 0, 0), jawOpen=0.7)
    before.face.neutral[JAW] = 0.2
    stage = AvatarStage(None, before)
    nothing = face()
    nothing.expression = None
    for k in range(300):
        stage.frame(result(k / 10, nothing, index=k))
    kept = stage.profile()
    assert kept is not None
    assert (kept.face.neutral[JAW], kept.face.reach[JAW]) == (0.2, 0.7)


def test_a_reach_that_was_shown_does_not_shrink() -> None:
    stage = AvatarStage(None, profile_of(turned(0, 0, 0), mouthSmileLeft=0.8))
    for k in range(3000):
        head = face(mouthSmileLeft=0.5, mouthFunnel=0.5)
        stage.frame(result(k / 10, head, index=k))
    kept = stage.profile()
    assert kept is not None
    reach = dict(zip(ARKIT_NAMES, kept.face.reach, strict=True))
    assert reach["mouthSmileLeft"] >= 0.8
    assert reach["mouthFunnel"] < 0.8  # learnt from what is shown


def test_lids_are_shut_at_what_shuts_them_whatever_is_neutral_and_however_seldom() -> None:
    def blinks(stage: AvatarStage, seconds: int, rest: float) -> list[float]:
        shown = []
        for k in range(seconds * 10):
            lid = (0.3 if k % 2 else 0.6) if k % 40 < 2 else rest
            both = face(eyeBlinkLeft=lid, eyeBlinkRight=lid)
            shown.append(stage.frame(result(k / 10, both, index=k))["eyeBlinkLeft"])
        return shown

    for rest in (0.05, 0.2):
        shown = blinks(AvatarStage(), 1200, rest)[-400:]
        assert max(shown) > 0.97
        assert 0.05 < min(s for s in shown if s > 0.01) < 0.5  # half shut stays half shut
    lids = lid_reach(np.full(52, 0.1), 0.5)
    shut = profile_of(turned(0, 0, 0), eyeBlinkLeft=lids[0], eyeBlinkRight=lids[0])
    assert max(blinks(AvatarStage(None, shut), 20, 0.1)) == 1.0  # by half a lid, for this person
