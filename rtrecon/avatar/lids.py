"""Both lids together but for a wink; the eye under a closing lid looks as the other does."""

from __future__ import annotations

from typing import Literal

from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.types import Float32Array

__all__ = ["LidPolicy", "Lids"]

LidPolicy = Literal["wink", "link", "free"]
"""Together but for winks; always together; each as it is measured."""

_PLACE = {name: k for k, name in enumerate(ARKIT_NAMES)}
_LEFT, _RIGHT = _PLACE["eyeBlinkLeft"], _PLACE["eyeBlinkRight"]
# What an eye's coefficient is by the other eye, which looks in where this one looks out.
_LOOKS = [
    (_PLACE[f"eyeLook{look}Left"], _PLACE[f"eyeLook{other}Right"])
    for look, other in (("Down", "Down"), ("Up", "Up"), ("In", "Out"), ("Out", "In"))
]
# Lids that differ by less are one blink, by more a wink, in between a part of each. Once there is
# a wink the marks are lower, so that it does not end while it opens.
_BLINK_BAND, _WINK_BAND = (0.15, 0.35), (0.05, 0.2)
_CLOSING, _CLOSED = 0.5, 0.8  # as in `rtrecon.expression.gaze`


class Lids:
    """Changes (52,) coefficients in place; remembers whether there is a wink."""

    def __init__(self, policy: LidPolicy = "wink") -> None:
        self._policy = policy
        self._winks = False

    def __call__(self, values: Float32Array) -> None:
        """Lids and gaze of one frame."""
        left, right = float(values[_LEFT]), float(values[_RIGHT])
        self._follow_open_eye(values, left, right)
        if self._policy == "free":
            return
        together = 1.0 if self._policy == "link" else self._share(abs(left - right))
        closed = max(left, right)
        values[_LEFT] = left + together * (closed - left)
        values[_RIGHT] = right + together * (closed - right)

    def _share(self, apart: float) -> float:
        """How far the lids go together, 0 to 1."""
        if apart >= _BLINK_BAND[1]:
            self._winks = True
        elif apart <= _WINK_BAND[0]:
            self._winks = False
        low, high = _WINK_BAND if self._winks else _BLINK_BAND
        return min(max((high - apart) / (high - low), 0.0), 1.0)

    @staticmethod
    def _follow_open_eye(values: Float32Array, left: float, right: float) -> None:
        share = _shut(left) - _shut(right)
        if share == 0.0:
            return
        for a, b in _LOOKS:
            own, other = (a, b) if share > 0.0 else (b, a)
            values[own] += abs(share) * (values[other] - values[own])


def _shut(blink: float) -> float:
    return min(max((blink - _CLOSING) / (_CLOSED - _CLOSING), 0.0), 1.0)
