"""What is neutral, and what is much, for one person.

Faces at rest differ: a network says 0.2 of a smile, or of a lowered brow, for some people who do
nothing. A calibration takes that away, c' = (c - n) / (1 - n), and stretches what the person
never shows in full. It is a value: applying it changes nothing, learning gives a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtrecon.errors import DataError
from rtrecon.types import Float32Array, Float64Array

__all__ = ["Calibration"]

MOST_NEUTRAL = 0.4
"""No face at rest shows more; what seems to is not rest."""
LEAST_REACH = 0.5
"""A coefficient is stretched to at most twice what the network says."""
LEAST_SHOWN = 0.3
"""And to this much of it where a person has shown on request that they can do no more."""

# The neutral follows the value that is undercut about a tenth of the time: steps in a ratio of
# one to nine, and so slow that a smile of half a minute raises it by a twentieth.
_RISE_PER_S, _FALL_PER_S = 0.0015, 0.0135
# The reach follows what only a twentieth of the active time exceeds; at rest it learns nothing.
_ACTIVE = 0.25
_GROW_PER_S, _SHRINK_PER_S = 0.095, 0.005
_LONGEST_STEP_S = 0.5  # no gap between frames teaches more than this


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Neutral value and reach (the most that is shown) of each coefficient of one person.

    ``neutral`` (k,) is 0 to `MOST_NEUTRAL`; ``reach`` (k,), after the neutral was taken away, is
    `LEAST_SHOWN` to 1, and learnt down to `LEAST_REACH`.
    """

    names: tuple[str, ...]
    neutral: Float64Array
    reach: Float64Array

    @classmethod
    def none(cls, names: Sequence[str]) -> Calibration:
        """Changes nothing."""
        return cls(tuple(names), np.zeros(len(names)), np.ones(len(names)))

    @classmethod
    def at_rest(cls, names: Sequence[str], samples: Float32Array) -> Calibration:
        """From (n, k) coefficients of a face that is asked to do nothing: their medians.

        Raises:
            DataError: there are none, or they are not of those names.
        """
        if samples.ndim != 2 or len(samples) == 0 or samples.shape[1] != len(names):
            raise DataError(
                f"a calibration needs (n, {len(names)}) coefficients of a face at rest, "
                f"not {samples.shape}"
            )
        neutral = np.clip(np.nanmedian(samples.astype(np.float64), axis=0), 0.0, MOST_NEUTRAL)
        return cls(tuple(names), np.nan_to_num(neutral), np.ones(len(names)))

    def apply(self, values: Float32Array) -> Float32Array:
        """(k,) or (n, k) calibrated, within 0 and 1."""
        above = (values - self.neutral) / (1.0 - self.neutral)
        return np.asarray(np.clip(above / self.reach, 0.0, 1.0), dtype=np.float32)

    def learn(self, values: Float32Array, dt_s: float) -> Calibration:
        """With what (k,) uncalibrated ``values``, shown for ``dt_s`` seconds, teach."""
        dt_s = min(max(dt_s, 0.0), _LONGEST_STEP_S)
        above = (values - self.neutral) / (1.0 - self.neutral)
        neutral = self.neutral + dt_s * np.where(values > self.neutral, _RISE_PER_S, -_FALL_PER_S)
        beyond = np.where(above > self.reach, _GROW_PER_S, -_SHRINK_PER_S)
        reach = self.reach + dt_s * np.where(above > _ACTIVE, beyond, 0.0)
        least = np.minimum(self.reach, LEAST_REACH)
        known = np.isfinite(values)
        return Calibration(
            self.names,
            np.where(known, np.clip(neutral, 0.0, MOST_NEUTRAL), self.neutral),
            np.where(known, np.clip(reach, least, 1.0), self.reach),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain numbers, for a file: ``{"neutral": {name: n}, "reach": {name: r}}``."""
        return {
            "neutral": dict(zip(self.names, self.neutral.round(4).tolist(), strict=True)),
            "reach": dict(zip(self.names, self.reach.round(4).tolist(), strict=True)),
        }

    @classmethod
    def from_json(cls, names: Sequence[str], data: Mapping[str, Any]) -> Calibration:
        """What `to_json` gave; a name that is not in it is not calibrated.

        Raises:
            DataError: it is something else, or a number is out of its range.
        """
        try:
            neutral = np.array([float(data["neutral"].get(name, 0.0)) for name in names])
            reach = np.array([float(data["reach"].get(name, 1.0)) for name in names])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"this is not a calibration ({type(error).__name__}: {error}): delete it and "
                "calibrate again"
            ) from error
        inside = (neutral >= 0.0) & (neutral <= MOST_NEUTRAL)
        inside &= (reach >= LEAST_SHOWN) & (reach <= 1.0)
        if not inside.all():
            wrong = ", ".join(name for name, ok in zip(names, inside, strict=True) if not ok)
            raise DataError(
                f"a calibration's neutral is 0 to {MOST_NEUTRAL}, its reach {LEAST_SHOWN} to 1, "
                f"which is not so for {wrong}: delete it and calibrate again"
            )
        return cls(tuple(names), neutral, reach)
