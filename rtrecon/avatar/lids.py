"""Both lids together but for a wink; the eye under a closing lid looks as the other does.

What a network says of lids is less than what they do, and one that closes pulls the other along.
Of rendered frontal heads the shipped model says 0.48 to 0.86 of a full blink, 0.05 to 0.12 of eyes
that are open, and of a wink about a fifth as much for the open eye as for the closed one. So a
wink is told by how far the lids differ for what they are, and what leaks into the open eye goes
back to the closed one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from rtrecon.expression.calibration import LEAST_SHOWN
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.types import Float32Array, Float64Array

__all__ = ["LidPolicy", "Lids", "lid_reach"]

LidPolicy = Literal["wink", "link", "free"]
"""Together but for winks; always together; each as it is measured."""

_PLACE = {name: k for k, name in enumerate(ARKIT_NAMES)}
_LEFT, _RIGHT = _PLACE["eyeBlinkLeft"], _PLACE["eyeBlinkRight"]
# What an eye's coefficient is by the other eye, which looks in where this one looks out.
_LOOKS = [
    (_PLACE[f"eyeLook{look}Left"], _PLACE[f"eyeLook{other}Right"])
    for look, other in (("Down", "Down"), ("Up", "Up"), ("In", "Out"), ("Out", "In"))
]
# Shares of the lid that is closed more. Lids that differ by less are one blink (0.28 at most), by
# more a wink (0.7 at least), in between a part of each. Once there is a wink the marks are lower,
# so that it does not end while it opens.
_BLINK_BAND, _WINK_BAND = (0.35, 0.6), (0.2, 0.4)
_FAINT, _PLAIN = 0.1, 0.2  # of lids that hardly move nothing can be told
_LEAK = 1.4  # a difference of winks was (a + b) / (a - b) times as large, with b a sixth of a
_OPEN, _SHUT = 0.08, 0.6  # what is said of open eyes, and of eyes that are shut
_CLOSING, _CLOSED = 0.5, 0.8  # as in `rtrecon.expression.gaze`


def lid_reach(neutral: Float64Array, shut: Float64Array | float = _SHUT) -> Float64Array:
    """The reach of a calibration after which lids that say ``shut`` are taken as shut here.

    Args:
        neutral: of each coefficient. shut: what is said of shut lids, before calibration.
    """
    return np.clip((shut - neutral) / (1.0 - neutral) / _SHUT, LEAST_SHOWN, 1.0)


class Lids:
    """Changes (52,) coefficients in place; remembers whether there is a wink."""

    def __init__(self, policy: LidPolicy = "wink") -> None:
        self._policy = policy
        self._winks = False

    def __call__(self, values: Float32Array) -> None:
        """Lids and gaze of one frame."""
        left, right = float(values[_LEFT]), float(values[_RIGHT])
        if self._policy != "free":
            left, right = self._together(left, right)
            values[_LEFT], values[_RIGHT] = left, right
        _follow_open_eye(values, left, right)

    def _together(self, left: float, right: float) -> tuple[float, float]:
        apart, most = abs(left - right), max(left, right)
        share = 1.0 if self._policy == "link" else self._blink_share(apart, most)
        # Without the leak, but never more than both lids say together.
        closed = min(0.5 * (left + right + _LEAK * apart), left + right)
        opened = left + right - closed
        more = _stretched(closed + share * (most - closed))
        less = _stretched(opened + share * (most - opened))
        return (more, less) if left >= right else (less, more)

    def _blink_share(self, apart: float, most: float) -> float:
        """How far the lids go together, 0 to 1."""
        if most <= _FAINT:
            self._winks = False
            return 1.0
        apart /= most
        if apart >= _BLINK_BAND[1]:
            self._winks = True
        elif apart <= _WINK_BAND[0]:
            self._winks = False
        low, high = _WINK_BAND if self._winks else _BLINK_BAND
        blink = min(max((high - apart) / (high - low), 0.0), 1.0)
        told = min((most - _FAINT) / (_PLAIN - _FAINT), 1.0)
        return 1.0 - told * (1.0 - blink)


def _stretched(lid: float) -> float:
    return min(max((lid - _OPEN) / (_SHUT - _OPEN), 0.0), 1.0)


def _follow_open_eye(values: Float32Array, left: float, right: float) -> None:
    share = _hidden(left) - _hidden(right)
    if share == 0.0:
        return
    for a, b in _LOOKS:
        own, other = (a, b) if share > 0.0 else (b, a)
        values[own] += abs(share) * (values[other] - values[own])


def _hidden(lid: float) -> float:
    return min(max((lid - _CLOSING) / (_CLOSED - _CLOSING), 0.0), 1.0)
