"""One-Euro filter over a face's coefficients, with a cutoff for each part of the face.

After Casiez, Roussel, Vogel: "1 Euro Filter", CHI 2012. A lid closes within three frames and is
let through nearly as it comes; what trembles most on a still face, brows and gaze, is held.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtrecon.expression.names import Group, group_of
from rtrecon.types import Float32Array, Float64Array

__all__ = ["CUTOFFS", "Cutoff", "ExpressionFilter"]


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Cutoff of a coefficient that does not move, and its growth for a speed of 1 a second.

    A coefficient that keeps moving lags by 1 / (2 pi opening) at most.
    """

    still_hz: float
    opening: float


CUTOFFS: Mapping[Group, Cutoff] = {
    "blink": Cutoff(6.0, 12.0),
    "gaze": Cutoff(1.5, 6.0),
    "eyes": Cutoff(1.5, 6.0),
    "brows": Cutoff(1.2, 6.0),
    "mouth": Cutoff(2.0, 8.0),
    "other": Cutoff(1.5, 6.0),
}
_SPEED_HZ = 2.0
_LONG_GAP_S = 0.5  # after which what was filtered before means nothing any more


class ExpressionFilter:
    """Filters the coefficients of one face over time.

    Each opens by its own speed, so that a mouth that talks does not let a brow tremble; those
    of the gaze by the fastest of them, so that both eyes arrive together.
    """

    def __init__(self, names: Sequence[str], cutoffs: Mapping[Group, Cutoff] = CUTOFFS) -> None:
        groups = [group_of(name) for name in names]
        self._still_hz = np.array([cutoffs[g].still_hz for g in groups])
        self._opening = np.array([cutoffs[g].opening for g in groups])
        self._gaze = np.array([g == "gaze" for g in groups], dtype=bool)
        self._value: Float64Array | None = None
        self._speed: Float64Array = np.zeros(len(groups))
        self._t_ns = 0

    def __call__(self, values: Float32Array, t_ns: int) -> Float32Array:
        """Filtered (k,) float32 of (k,) at ``t_ns``; begins anew where time jumps.

        A coefficient that is not finite is none: the filter is where it was.
        """
        known = np.isfinite(values)
        if not known.all():
            instead = np.zeros(len(values)) if self._value is None else self._value
            values = np.where(known, values, instead).astype(np.float32)
        dt_s = (t_ns - self._t_ns) * 1e-9
        self._t_ns = t_ns
        if self._value is None or not 0.0 <= dt_s <= _LONG_GAP_S:
            self._value = values.astype(np.float64)
            self._speed[:] = 0.0
            return values.astype(np.float32)
        dt_s = max(dt_s, 1e-3)
        step = values - self._value
        self._speed += _smoothing(_SPEED_HZ, dt_s) * (step / dt_s - self._speed)
        pace = np.abs(self._speed)
        if self._gaze.any():
            pace[self._gaze] = pace[self._gaze].max()
        self._value += _smoothing(self._still_hz + self._opening * pace, dt_s) * step
        return self._value.astype(np.float32)


def _smoothing(cutoff_hz: float | Float64Array, dt_s: float) -> Float64Array:
    """Weight of the newest sample in a first order low pass."""
    turn = np.asarray(2.0 * math.pi * cutoff_hz * dt_s)
    return np.asarray(turn / (turn + 1.0))
