"""Filters that hold a head still without lag: they learn how noisy what they see is.

A Kalman filter of constant speed whose noise is learnt from the measurements. They depart from
what is foreseen by many times that noise, or by some of it to one side frame after frame, only
where the head has begun or ceased to move; place and speed are then taken anew from what is
measured, and the gain falls again as the new movement is known (the second test is Page's,
"Continuous inspection schemes", 1954, with a memory that fades).
"""

from __future__ import annotations

import math
from collections import deque

import cv2
import numpy as np

from rtrecon.types import Float64Array

__all__ = ["RotationFilter", "ScalarFilter"]

_GAP_S = 0.5  # beyond it the face may be anywhere
_SECONDS = 1.0 / 30.0  # that the unit of acceleration is given for
# Acceleration that is always allowed for, in units of the noise a thirtieth of a second squared:
# a gain of a seventh for a head that moves evenly (Kalata's tracking index is this figure).
_RESTLESS = 0.012
# Departures that are movement, in standard deviations: one, and a fading sum of them.
_SURPRISE, _DRIFT, _FADING = 5.0, 5.0, 0.6
_MEMORY = 45  # measurements that the noise is learnt from
_APART = 2  # frames between those that are compared
_MEDIAN_TO_SIGMA = 1.0 / (0.6745 * math.sqrt(6.0))  # of second differences of white noise


class _Gains:
    """The covariance of place and speed, in one dimension, and the noise of what is measured.

    Second differences of the measurements are noise however fast the head moves evenly; the
    median over a second and a half does not see when it starts and stops. They are taken over
    every other frame, as a compressed picture errs alike in frames that follow each other.

    Args:
        prior, least: noise to begin with, and the least that is believed.
    """

    def __init__(self, prior: float, least: float) -> None:
        self._least = least
        self._differences = np.full(_MEMORY, prior / _MEDIAN_TO_SIGMA)
        self._count = 0
        self.sigma = prior
        self.restart()

    def restart(self) -> None:
        """As after the first measurement."""
        self._p00 = self.sigma**2
        self._p01 = 0.0
        self._p11 = (self.sigma / _SECONDS) ** 2
        self._drift = np.zeros(1)

    def learn(self, second_difference: float | None) -> None:
        """Take in the size of one second difference of the measurements, if there is one."""
        if second_difference is None or not math.isfinite(second_difference):
            return
        self._differences[self._count % _MEMORY] = second_difference
        self._count += 1
        middle = np.partition(self._differences, _MEMORY // 2)[_MEMORY // 2]
        self.sigma = max(_MEDIAN_TO_SIGMA * float(middle), self._least)

    def update(self, departure: Float64Array, dt_s: float) -> tuple[float, float]:
        """Share of ``departure`` (n,) that place and speed (a second) take in."""
        restless = _RESTLESS * self.sigma / _SECONDS**2
        q = restless * restless
        p00 = self._p00 + dt_s * (2.0 * self._p01 + dt_s * self._p11) + 0.25 * q * dt_s**4
        p01 = self._p01 + dt_s * self._p11 + 0.5 * q * dt_s**3
        p11 = self._p11 + q * dt_s**2
        noise = self.sigma**2
        away = departure / math.sqrt(p00 + noise)
        self._drift = _FADING * self._drift + away
        if away @ away > _SURPRISE**2 or self._drift @ self._drift > _DRIFT**2:
            moved = float(departure @ departure)
            p00 += moved
            p01 += moved / dt_s
            p11 += moved / dt_s**2
            self._drift = np.zeros(1)
        place, speed = p00 / (p00 + noise), p01 / (p00 + noise)
        self._p00 = (1.0 - place) * p00
        self._p01 = (1.0 - place) * p01
        self._p11 = p11 - speed * p01
        return place, speed


class _Steps:
    """The last measurements' changes over `_APART` frames, for their second differences."""

    def __init__(self) -> None:
        self._dt_s: deque[float] = deque(maxlen=_APART)
        self._steps: deque[tuple[Float64Array, float]] = deque(maxlen=_APART)

    def clear(self) -> None:
        self._dt_s.clear()
        self._steps.clear()

    def tick(self, dt_s: float) -> None:
        """One frame has passed."""
        self._dt_s.append(dt_s)

    def second_difference(self, step: Float64Array) -> float | None:
        """Of ``step``, the change since `_APART` frames ago, and the one before it."""
        over_s = sum(self._dt_s)
        before = self._steps[0] if len(self._steps) == _APART else None
        self._steps.append((step, over_s))
        if before is None:
            return None
        last, last_s = before
        return _size(step / over_s - last / last_s) * 0.5 * (over_s + last_s)


class ScalarFilter:
    """Follows one number over time.

    Args:
        prior, least: standard deviation of its noise to begin with, and the least believed.
    """

    def __init__(self, prior: float, least: float) -> None:
        self._gains = _Gains(prior, least)
        self._steps = _Steps()
        self._seen: deque[float] = deque(maxlen=_APART + 1)
        self._value = 0.0
        self._speed = 0.0

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise, as learnt so far."""
        return self._gains.sigma

    def update(self, measured: float, dt_s: float) -> float:
        """The filtered number, ``dt_s`` after the last one.

        What is not finite is no measurement: the number stays what it was.
        """
        if not math.isfinite(measured):
            return self._value
        if not self._seen or dt_s > _GAP_S:
            self._gains.restart()
            self._steps.clear()
            self._seen.clear()
            self._seen.append(measured)
            self._value, self._speed = measured, 0.0
        elif dt_s > 0.0:
            self._seen.append(measured)
            self._steps.tick(dt_s)
            if len(self._seen) > _APART:
                step = np.array([measured - self._seen[0]])
                self._gains.learn(self._steps.second_difference(step))
            self._value += self._speed * dt_s
            departure = measured - self._value
            place, speed = self._gains.update(np.array([departure]), dt_s)
            self._value += place * departure
            self._speed += speed * departure
        return self._value


class RotationFilter:
    """Follows a rotation over time.

    Args:
        prior_rad, least_rad: standard deviation of its noise about each axis to begin with, and
            the least believed.
    """

    def __init__(self, prior_rad: float, least_rad: float) -> None:
        self._gains = _Gains(prior_rad, least_rad)
        self._steps = _Steps()
        self._seen: deque[Float64Array] = deque(maxlen=_APART + 1)
        self._R = np.eye(3)
        self._speed = np.zeros(3)

    def update(self, R_measured: Float64Array, dt_s: float) -> Float64Array:
        """The filtered rotation (3, 3), ``dt_s`` after the last one.

        What is not finite is no measurement: the rotation stays what it was.
        """
        if not np.isfinite(R_measured).all():
            return self._R
        if not self._seen or dt_s > _GAP_S:
            self._gains.restart()
            self._steps.clear()
            self._seen.clear()
            self._seen.append(R_measured)
            self._R, self._speed = R_measured, np.zeros(3)
        elif dt_s > 0.0:
            self._seen.append(R_measured)
            self._steps.tick(dt_s)
            if len(self._seen) > _APART:
                step = _vector(R_measured @ self._seen[0].T)
                self._gains.learn(self._steps.second_difference(step))
            R = _rotation(self._speed * dt_s) @ self._R
            departure = _vector(R_measured @ R.T)
            place, speed = self._gains.update(departure, dt_s)
            self._R = _rotation(place * departure) @ R
            self._speed = self._speed + speed * departure
        return self._R


def _size(vector: Float64Array) -> float:
    """Root mean square of the components."""
    return math.sqrt(float(vector @ vector) / len(vector))


def _rotation(vector: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)


def _vector(R: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(R)[0], dtype=np.float64).reshape(3)
