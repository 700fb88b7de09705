"""Where a person's head is when it is at rest, learnt from where it is.

The first second before the screen is averaged, in which a head that passes by on its way to
somewhere else counts for little; from then on what is neutral follows slowly, and
only a head that is near it. A head that is turned away is no head at rest: until one is seen,
neutral is what faces the camera.
"""

from __future__ import annotations

import math

from rtrecon.avatar.profile import HeadRest
from rtrecon.avatar.rotations import (
    IDENTITY,
    Quaternion,
    Vector,
    angle_between,
    conjugate,
    from_angles,
    multiply,
    rotate,
    to_angles,
    toward,
)

__all__ = ["HeadNeutral"]

# A camera stands above or below the screen rather than beside it, and a person's own "straight
# ahead" differs most in pitch.
_MOST_PITCH, _MOST_YAW, _MOST_ROLL = math.radians(30.0), math.radians(12.0), math.radians(12.0)
_LEARNING_S = 1.0
_HEAD_START_S = 0.2  # keeps the first picture from counting for all
_STILL_RAD_PER_S = math.radians(20.0)  # as fast does a head move that looks at one thing
_NEAR_RAD, _NEAR_M = math.radians(20.0), 0.3
_DRIFT_RAD_PER_S, _DRIFT_M_PER_S = math.radians(0.1), 0.001
_OTHER_RAD, _OTHER_M = math.radians(25.0), 0.4  # so far off, another person sits elsewhere


class HeadNeutral:
    """A head's turn and place from its own neutral.

    Args:
        rest: what is known of it already.
    """

    def __init__(self, rest: HeadRest | None = None) -> None:
        self.rotation: Quaternion = IDENTITY if rest is None else rest.rotation
        self.position_m: Vector = (0.0, 0.0, 0.6) if rest is None else rest.position_m
        self._known = rest is not None
        self._learnt_s = 0.0 if rest is None else _LEARNING_S
        self._is_asked = False
        self._last: Quaternion | None = None

    @property
    def rest(self) -> HeadRest | None:
        """It, once it has been learnt."""
        return HeadRest(self.rotation, self.position_m) if self._learnt_s >= _LEARNING_S else None

    def forget(self, *, asked: bool = False) -> None:
        """Learn it anew, from the next head on.

        Args:
            asked: by a person who looks at their screen: that is neutral, wherever the camera
                stands, also if it is far to the side.
        """
        self._known, self._learnt_s, self._is_asked = False, 0.0, asked
        self._last = None

    def someone_else(self, rotation: Quaternion, position_m: Vector) -> None:
        """A face that was not followed before: begins anew where it is too far from neutral.

        One that is turned away says nothing of neutral, and a neutral that was asked for far
        from the lens is not given up for one who looks into it.
        """
        turned = (
            angle_between(rotation, self.rotation) > _OTHER_RAD
            and _may_rest(rotation, position_m)
            and _may_rest(self.rotation, self.position_m)
        )
        moved = math.dist(position_m, self.position_m) > _OTHER_M
        if moved and self._known and not _may_rest(self.rotation, self.position_m):
            self.position_m = position_m  # the camera stands where it stood
        elif (turned or moved) and self._known:
            self.forget()

    def learn(self, rotation: Quaternion, position_m: Vector, dt_s: float) -> None:
        """A head in the camera's frame, ``dt_s`` after the last one."""
        rests = self._is_asked or _may_rest(rotation, position_m)
        stillness = 1.0 if self._is_asked else self._stillness(rotation, dt_s)
        self._last = rotation
        if not self._known:
            self._known = True
            self.rotation = rotation if rests else _facing_camera(position_m)
            self.position_m = position_m
        if self._learnt_s < _LEARNING_S:
            if rests:
                counted_s = stillness * dt_s
                share = counted_s / (self._learnt_s + counted_s + _HEAD_START_S)
                self._learnt_s += counted_s
                self.rotation = toward(self.rotation, rotation, share)
                self.position_m = _between(self.position_m, position_m, share)
            return
        angle = angle_between(rotation, self.rotation)
        if 0.0 < angle < _NEAR_RAD:
            share = min(1.0, _DRIFT_RAD_PER_S * dt_s / angle)
            self.rotation = toward(self.rotation, rotation, share)
        distance = math.dist(position_m, self.position_m)
        if 0.0 < distance < _NEAR_M:
            share = min(1.0, _DRIFT_M_PER_S * dt_s / distance)
            self.position_m = _between(self.position_m, position_m, share)

    def _stillness(self, rotation: Quaternion, dt_s: float) -> float:
        """1 for a head that is still, less the faster it turns, never 0."""
        if self._last is None or dt_s <= 0.0:
            return 1.0
        speed = angle_between(rotation, self._last) / dt_s
        return min(1.0, (_STILL_RAD_PER_S / speed) ** 2) if speed > 0.0 else 1.0

    def apply(self, rotation: Quaternion, position_m: Vector) -> tuple[Quaternion, Vector]:
        """Turn and place seen from the neutral head."""
        back = conjugate(self.rotation)
        a, b = position_m, self.position_m
        return multiply(back, rotation), rotate(back, (a[0] - b[0], a[1] - b[1], a[2] - b[2]))


def _facing_camera(position_m: Vector) -> Quaternion:
    """Of a head there that looks into the lens: its z axis lies along the ray."""
    x, y, z = position_m
    return from_angles(math.atan2(-y, math.hypot(x, z)), math.atan2(x, z), 0.0)


def _may_rest(rotation: Quaternion, position_m: Vector) -> bool:
    facing = _facing_camera(position_m)
    pitch, yaw, roll = to_angles(multiply(conjugate(facing), rotation))
    return abs(pitch) < _MOST_PITCH and abs(yaw) < _MOST_YAW and abs(roll) < _MOST_ROLL


def _between(a: Vector, b: Vector, share: float) -> Vector:
    return (
        a[0] + share * (b[0] - a[0]),
        a[1] + share * (b[1] - a[1]),
        a[2] + share * (b[2] - a[2]),
    )
