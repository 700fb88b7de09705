"""What an avatar shows while its person is gone, and when they come back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.avatar.frame import TrackingState
from rtrecon.avatar.rotations import IDENTITY, Quaternion, Vector, toward
from rtrecon.types import Float32Array

__all__ = ["Posture", "Presence"]

HOLD_S = 0.3
"""So long a face that is gone is shown as it was."""
EASE_S = 0.5
"""So long it takes to neutral then."""
RESUME_S = 0.2
"""And so long from what is shown to what is seen again."""


@dataclass(frozen=True, slots=True, eq=False)
class Posture:
    """A head and its (52,) coefficients."""

    rotation: Quaternion
    position_m: Vector
    coefficients: Float32Array

    def toward(self, other: Posture, share: float) -> Posture:
        """``other`` at a share of 1."""
        if share >= 1.0:
            return other
        if share <= 0.0:
            return self
        a, b = self.position_m, other.position_m
        return Posture(
            toward(self.rotation, other.rotation, share),
            (
                a[0] + share * (b[0] - a[0]),
                a[1] + share * (b[1] - a[1]),
                a[2] + share * (b[2] - a[2]),
            ),
            self.coefficients + np.float32(share) * (other.coefficients - self.coefficients),
        )


class Presence:
    """Holds, eases to neutral and resumes."""

    def __init__(self, count: int) -> None:
        self._neutral = Posture(IDENTITY, (0.0, 0.0, 0.0), np.zeros(count, dtype=np.float32))
        self._shown = self._from = self._neutral
        self._gone_s: float | None = None  # since when nobody is seen
        self._resumed_s: float | None = None
        self._was_seen = False

    def __call__(self, seen: Posture | None, t_s: float) -> tuple[Posture, TrackingState]:
        """What to show at ``t_s``; ``seen`` is None where there is no face."""
        if seen is None:
            return self._without(t_s)
        if self._gone_s is not None and self._was_seen:
            self._from, self._resumed_s = self._shown, t_s
        self._gone_s, self._was_seen = None, True
        share = 1.0
        if self._resumed_s is not None:
            share = (t_s - self._resumed_s) / RESUME_S
            if not 0.0 <= share < 1.0:  # done, or time jumped back
                self._resumed_s, share = None, 1.0
        self._shown = self._from.toward(seen, _soft(share))
        return self._shown, "tracked"

    def _without(self, t_s: float) -> tuple[Posture, TrackingState]:
        if not self._was_seen:
            return self._neutral, "lost"
        if self._gone_s is None:
            self._gone_s, self._from, self._resumed_s = t_s, self._shown, None
        gone_s = t_s - self._gone_s
        if gone_s < 0.0:  # time jumped back
            self._gone_s, gone_s = t_s, 0.0
        if gone_s < HOLD_S:
            return self._shown, "held"
        share = (gone_s - HOLD_S) / EASE_S
        if share >= 1.0:
            self._shown = self._neutral
            return self._neutral, "lost"
        self._shown = self._from.toward(self._neutral, _soft(share))
        return self._shown, "easing"


def _soft(share: float) -> float:
    """Begins and ends without a jerk."""
    return share * share * (3.0 - 2.0 * share)
