"""A calibration that is asked for: what a face shows becomes what a chain makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtrecon.avatar.guide import MOVES, Guide
from rtrecon.avatar.stage import AvatarStage
from rtrecon.expression.names import ARKIT_NAMES
from tests.avatar.faces import face, result, turned
from tests.avatar.test_profile import profile_of
from tests.avatar.test_stage import angles_deg

# A person who smiles and blinks less than the network's most, and is at rest a little to the side.
REST = {"mouthSmileLeft": 0.1, "eyeBlinkLeft": 0.06, "eyeBlinkRight": 0.05}
POSE = {"rotation": turned(15, 20, 0), "at_m": (0.1, 0.0, 0.6)}
MOST = {
    "smile": {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.64},
    "mouth": {"jawOpen": 0.9},
    "brows": {"browInnerUp": 0.6, "browOuterUpLeft": 0.65, "browOuterUpRight": 0.65},
    "eyes": {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.45},
}


def somebody(guide: Guide, *, doing: dict[str, dict[str, float]] = MOST) -> Any:
    """Who does what the guide asks for."""
    move = "" if guide.step == 0 or guide.is_done else MOVES[guide.step - 1].name
    return face(**POSE, **{**REST, **doing.get(move, {})})  # type: ignore[arg-type]


def go_through(guide: Guide, look: Callable[[Guide], Any] = somebody, rate_hz: int = 30) -> float:
    """Until it is done or has given up; the seconds that it took."""
    for k in range(120 * rate_hz):
        if guide.is_done or guide.trouble:
            return k / rate_hz
        guide(look(guide), 50.0 + k / rate_hz)
    raise AssertionError("it never ends")


@pytest.mark.parametrize("rate_hz", [6, 30, 120])
def test_what_is_shown_becomes_all_and_what_is_at_rest_nothing(rate_hz: int) -> None:
    guide = Guide()
    assert go_through(guide, rate_hz=rate_hz) < 14.0
    assert [shown.move.name for shown in guide.shown] == ["smile", "mouth", "brows", "eyes"]
    assert all(shown.most is not None for shown in guide.shown)
    assert not guide.not_at_rest
    profile = guide.profile()
    assert profile.shown == {name for move in MOVES for name in move.shapes}

    def frame(**shapes: float) -> Any:
        made = AvatarStage(None, profile)
        return made.frame(result(0.0, face(**POSE, **{**REST, **shapes})))  # type: ignore[arg-type]

    assert frame().coefficients.max() == pytest.approx(0.0, abs=0.01)
    assert angles_deg(frame()) == pytest.approx([0, 0, 0], abs=0.5)
    for move in MOVES:
        shown = frame(**MOST[move.name])
        for name in move.shapes:
            assert shown[name] > 0.97, name
    half = frame(mouthSmileLeft=0.4, mouthSmileRight=0.35)
    assert 0.4 < half["mouthSmileLeft"] < 0.6


def test_what_is_not_shown_stays_as_it_was() -> None:
    before = profile_of(turned(0, 0, 0), jawOpen=0.55, mouthFunnel=0.8)
    guide = Guide(before)
    smiles = {"smile": MOST["smile"]}
    assert go_through(guide, lambda g: somebody(g, doing=smiles)) > 20.0  # it waits for the others
    assert [s.move.name for s in guide.shown if s.most is not None] == ["smile"]
    reach = dict(zip(ARKIT_NAMES, guide.profile().face.reach, strict=True))
    assert reach["mouthSmileLeft"] < 0.7
    assert (reach["jawOpen"], reach["mouthFunnel"]) == (0.55, 0.8)
    assert guide.profile().shown >= {"jawOpen", "mouthFunnel", "mouthSmileLeft"}


def test_brows_of_which_little_is_said() -> None:
    """As the shipped model says of raised ones; what it does not say is not made up."""
    raised = {"browInnerUp": 0.2, "browOuterUpLeft": 0.02, "browOuterUpRight": 0.02}
    guide = Guide()
    go_through(guide, lambda g: somebody(g, doing={"brows": raised}))
    profile = guide.profile()
    assert profile.shown == {"browInnerUp"}
    stage = AvatarStage(None, profile)
    for k in range(300):
        frame = stage.frame(result(k / 30, face(**POSE, **REST, **raised), index=k))  # type: ignore[arg-type]
    assert frame["browInnerUp"] > 0.6


def test_one_who_smiles_all_the_time_is_told_so() -> None:
    guide = Guide()
    go_through(guide, lambda _: face(**POSE, mouthSmileLeft=0.9, mouthSmileRight=0.9))  # type: ignore[arg-type]
    assert set(guide.not_at_rest) == {"mouthSmileLeft", "mouthSmileRight"}
    assert guide.shown[0].most is None


def test_a_rest_is_one_piece_and_still() -> None:
    turning = iter(np.linspace(0, 40, 60))  # two seconds
    guide = Guide()

    def look(g: Guide) -> Any:
        yaw_deg = next(turning, None)
        return somebody(g) if yaw_deg is None else face(turned(0, yaw_deg, 0))

    go_through(guide, look)
    head = guide.profile().head
    assert head is not None
    assert head.position_m == pytest.approx((0.1, 0.0, 0.6), abs=1e-3)
    gone = iter([None] * 3)
    guide = Guide()
    for k in range(50):
        guide(somebody(guide), k / 30)
    assert guide.share > 0.3
    guide(next(gone), 51 / 30)
    assert guide.share == 0.0


def test_nobody_and_nobody_still() -> None:
    guide = Guide()
    assert go_through(guide, lambda _: None) < 17.0
    assert guide.trouble == "no face was seen for 15 s"
    yaws_deg = iter(range(0, 10**6, 20))
    guide = Guide()
    go_through(guide, lambda _: face(turned(0, next(yaws_deg) % 40, 0)))
    assert guide.trouble == "no head kept still for 15 s"
    guide = Guide()
    go_through(guide, lambda g: somebody(g) if g.step < 2 else None)
    assert guide.trouble == "no face was seen for 15 s"


def test_a_model_without_coefficients() -> None:
    nothing = face()
    nothing.expression = None
    guide = Guide()
    go_through(guide, lambda _: nothing)
    assert guide.has_no_coefficients


def test_numbers_that_are_none_and_a_film_that_begins_again() -> None:
    guide = Guide()
    times = [k / 30 for k in range(80)] * 20
    for k, t_s in enumerate(times):
        seen = somebody(guide)
        if k % 7 == 0:
            seen.T_camera_face[0, 3] = np.nan
        if k % 5 == 0:
            seen.expression = face(jawOpen=np.nan, mouthFunnel=np.inf).expression
        if guide.step > 0 or k % 7:
            guide(seen, t_s)
    assert guide.is_done
    profile = guide.profile()
    assert np.isfinite(profile.face.reach).all()
    assert np.isfinite(profile.face.neutral).all()


def test_words_for_each_step() -> None:
    guide, said = Guide(), []

    def look(g: Guide) -> Any:
        if not said or said[-1] != g.words:
            said.append(g.words)
        return somebody(g)

    go_through(guide, look)
    assert len(said) == 1 + len(MOVES)
    assert guide.words == ""
