"""A calibration that is asked for step by step: a face at rest, then what it can do in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtrecon.avatar.lids import lid_reach
from rtrecon.avatar.measured import ArkitValues, pose_of
from rtrecon.avatar.neutral import HeadNeutral
from rtrecon.avatar.profile import CalibrationProfile
from rtrecon.avatar.rotations import IDENTITY, Quaternion, angle_between
from rtrecon.expression.calibration import LEAST_SHOWN, MOST_NEUTRAL, Calibration
from rtrecon.expression.names import ARKIT_NAMES, group_of
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Float32Array, Float64Array

__all__ = ["MOVES", "REST_WORDS", "Guide", "Move", "Shown"]

_READ_S = 1.0  # to read what is asked for
_REST_S = 1.5
_STILL_RAD = np.radians(8.0)
_HOLD_S = 1.0  # so long a move is watched
_LEAST_HOLD_S = 0.3
_WAIT_S = 6.0  # for a move; then it goes on without
_GIVE_UP_S = 15.0  # without a face, or without one that keeps still
_LONGEST_STEP_S = 0.5
_HIGH = 90  # percentile of what is seen while it is held
_LIDS = np.array([group_of(name) == "blink" for name in ARKIT_NAMES])
_MOVED = np.array([group_of(name) != "gaze" for name in ARKIT_NAMES])

REST_WORDS = "look at the screen: mouth closed, head still"


@dataclass(frozen=True, slots=True)
class Move:
    """What is asked for after the rest.

    Attributes:
        name: in a word.
        words: what is said.
        shapes: ARKit's names of what it moves.
        seen: so much of any of them above rest is the move. At rest they tremble by 0.001 and
            drift by some 0.03; of raised brows the shipped model says as little as 0.12.
    """

    name: str
    words: str
    shapes: tuple[str, ...]
    seen: float = 0.15


MOVES = (
    Move("smile", "smile, as wide as you can", ("mouthSmileLeft", "mouthSmileRight")),
    Move("mouth", "open your mouth wide", ("jawOpen",)),
    Move("brows", "raise your brows", ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"), 0.07),
    Move("eyes", "close both eyes, for two seconds", ("eyeBlinkLeft", "eyeBlinkRight")),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """What was seen of a move: ``most`` of any of its shapes, 0 to 1; None if it was not seen."""

    move: Move
    most: float | None


class Guide:
    """Takes one face after the other and says what to do; see `profile` for what comes of it.

    Times are those of the pictures, so that a film gives the same whenever it is looked at.

    Args:
        before: what is known already; kept but for what is seen now.
        moves: what is asked for after the rest.

    Attributes:
        step: 0 while a face at rest is looked at, then the number of the move; one more than
            there are when all is done.
        share: of this step, 0 to 1.
        trouble: why it cannot be done; "" while it can.
        has_no_coefficients: that is why: it is the model's fault.
    """

    def __init__(
        self, before: CalibrationProfile | None = None, moves: Sequence[Move] = MOVES
    ) -> None:
        self._before, self._moves = before, tuple(moves)
        self.step = 0
        self.share = 0.0
        self.trouble = ""
        self.has_no_coefficients = False
        self.shown: list[Shown] = []
        self._values = ArkitValues()
        self._t_s: float | None = None
        self._since_s = 0.0  # in this step
        self._idle_s = 0.0  # without anything that could be used
        self._held_s = 0.0
        self._samples: list[Float32Array] = []
        self._first: Quaternion = IDENTITY
        self._head = HeadNeutral()
        self._head.forget(asked=True)
        self._rest: Float64Array = np.zeros(len(ARKIT_NAMES))
        self._neutral = self._rest.copy()  # no more than a face at rest shows
        self._most: Float64Array = np.full(len(ARKIT_NAMES), np.nan)

    @property
    def is_done(self) -> bool:
        """Nothing more is asked for."""
        return self.step > len(self._moves)

    @property
    def words(self) -> str:
        """What to do now; "" once all is done."""
        step = self.step  # another thread may count on
        return (REST_WORDS, *(move.words for move in self._moves), "")[step]

    @property
    def not_at_rest(self) -> dict[str, float]:
        """What a face at rest does not show, by name: it smiled, or was not looking."""
        much = (self._rest > MOST_NEUTRAL) & _MOVED
        return {n: float(r) for n, r, m in zip(ARKIT_NAMES, self._rest, much, strict=True) if m}

    def __call__(self, face: FaceReconstruction | None, t_s: float) -> None:
        """One picture, at ``t_s``; None where there is nobody in it."""
        dt_s = 0.0 if self._t_s is None else min(max(t_s - self._t_s, 0.0), _LONGEST_STEP_S)
        self._t_s = t_s
        if self.is_done or self.trouble:
            return
        self._idle_s += dt_s
        if self._idle_s > _GIVE_UP_S:
            why = "no head kept still" if face is not None else "no face was seen"
            self.trouble = f"{why} for {_GIVE_UP_S:g} s"
        if face is None or not np.isfinite(face.T_camera_face).all():
            if self.step == 0:
                self._begin()  # a rest is one piece
            return
        if face.expression is None:
            self.trouble, self.has_no_coefficients = "there are no coefficients", True
            return
        values = np.nan_to_num(self._values(face))
        self._since_s += dt_s
        if self.step == 0:
            self._look_at_rest(face, values, dt_s)
        else:
            self._idle_s = 0.0
            self._look_at_move(values, dt_s)

    def profile(self) -> CalibrationProfile:
        """What is known once all is done: neutral as seen now, and the reach of what was shown."""
        before = self._before or CalibrationProfile(None, Calibration.none(ARKIT_NAMES))
        neutral, known = self._neutral, np.isfinite(self._most)
        above = np.clip((self._most - neutral) / (1.0 - neutral), LEAST_SHOWN, 1.0)
        above = np.where(_LIDS, lid_reach(neutral, self._most), above)
        reach = np.where(known, above, before.face.reach)
        names = {name for name, is_known in zip(ARKIT_NAMES, known, strict=True) if is_known}
        face = Calibration(ARKIT_NAMES, neutral, reach)
        return CalibrationProfile(self._head.rest, face, before.shown | names)

    def _begin(self) -> None:
        """This step anew."""
        self._since_s = self._held_s = self.share = 0.0
        self._samples.clear()
        self._head.forget(asked=True)

    def _next(self) -> None:
        self.step += 1
        self._idle_s = self._since_s = self._held_s = self.share = 0.0
        self._samples.clear()

    def _look_at_rest(self, face: FaceReconstruction, values: Float32Array, dt_s: float) -> None:
        if self._since_s < _READ_S:
            return
        rotation, position_m = pose_of(face)
        if not self._samples:
            self._first = rotation
        elif angle_between(rotation, self._first) > _STILL_RAD:
            self._begin()
            return
        self._head.learn(rotation, position_m, dt_s)
        self._samples.append(values)
        self.share = min((self._since_s - _READ_S) / _REST_S, 1.0)
        if self.share >= 1.0 and self._head.rest is not None:
            self._rest = np.median(np.array(self._samples, dtype=np.float64), axis=0)
            self._neutral = np.clip(self._rest, 0.0, MOST_NEUTRAL)
            self._next()

    def _look_at_move(self, values: Float32Array, dt_s: float) -> None:
        move = self._moves[self.step - 1]
        places = [ARKIT_NAMES.index(name) for name in move.shapes]
        above = (values[places] - self._rest[places]) / np.maximum(1.0 - self._rest[places], 0.1)
        if above.max() >= move.seen:
            self._held_s += dt_s
            self._samples.append(values)
            self.share = min(self._held_s / _HOLD_S, 1.0)
        is_over = self._since_s >= _READ_S + _WAIT_S
        if self._held_s < _HOLD_S and not is_over:
            return
        most = None
        if self._held_s >= _LEAST_HOLD_S:
            high = np.percentile(np.array(self._samples)[:, places], _HIGH, axis=0)
            most = float(high.max())
            # One that hardly moved, such as a brow's outer end, was not shown.
            moved = (high - self._rest[places]) >= 0.5 * move.seen
            self._most[places] = np.where(moved, high, np.nan)
        self.shown.append(Shown(move, most))
        self._next()
