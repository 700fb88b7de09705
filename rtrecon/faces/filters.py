"""One-Euro filter (Casiez, Roussel, Vogel: "1 Euro Filter", CHI 2012) for points of a face."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtrecon.types import Float64Array

__all__ = ["OneEuroFilter", "smoothing"]


def smoothing(cutoff_hz: float, dt_s: float) -> float:
    """Weight of the newest sample in a first order low pass of ``cutoff_hz``."""
    turn = 2.0 * math.pi * cutoff_hz * dt_s
    return turn / (turn + 1.0)


class OneEuroFilter:
    """Smooths points that move together: still when the face is still, open when it moves.

    All points of a part (the whole, unless ``parts`` says otherwise) share one cutoff, taken
    from the root mean square of their speeds, so that filtering never bends it. Speeds are in
    lengths of the face a second, so that a near and a far face are treated alike.

    Args:
        still_hz: cutoff for a face that does not move.
        opening: growth of the cutoff in Hz for a speed of one face length a second; a
            fast face lags by 1 / (2 pi opening) of its length at most.
        speed_hz: cutoff for the speed itself.
        parts: the first point of each part.
    """

    def __init__(
        self,
        still_hz: float = 0.8,
        opening: float = 14.0,
        speed_hz: float = 1.5,
        parts: Sequence[int] = (0,),
    ) -> None:
        self._still_hz, self._opening, self._speed_hz = still_hz, opening, speed_hz
        self._parts = self._counts = np.array(parts)
        self._value: Float64Array | None = None
        self._speed: Float64Array | None = None

    def __call__(self, points_px: Float64Array, length_px: float, dt_s: float) -> Float64Array:
        """Filtered (n, 2) float64 of (n, 2) float64, ``dt_s`` after the last call.

        ``length_px`` is the length of the face, the unit of speed. Points that are not finite
        are none: the filter is where it was.
        """
        if not np.isfinite(points_px).all():
            return points_px.copy() if self._value is None else self._value.copy()
        if self._value is None or self._speed is None:
            self._value, self._speed = points_px.copy(), np.zeros_like(points_px)
            self._counts = np.diff(self._parts, append=len(points_px))
            return self._value.copy()
        # Against the filtered value, as the authors' later versions do: against the last
        # raw one the noise would be counted twice.
        speed = (points_px - self._value) / (max(length_px, 1.0) * max(dt_s, 1e-3))
        self._speed += smoothing(self._speed_hz, dt_s) * (speed - self._speed)
        squares = np.add.reduceat((self._speed**2).sum(axis=1), self._parts)
        turn = self._still_hz + self._opening * np.sqrt(squares / self._counts)
        turn *= 2.0 * math.pi * max(dt_s, 1e-3)
        weight = np.repeat(turn / (turn + 1.0), self._counts)[:, None]
        self._value += weight * (points_px - self._value)
        return self._value.copy()

    def reset(self) -> None:
        """Start anew at the next points."""
        self._value = self._speed = None
