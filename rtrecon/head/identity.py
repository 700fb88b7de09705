"""A person's identity from all the frames in which they were seen.

The person does not change: each frame's equations, with pose and expression eliminated, add to
what is known of the shape (an information filter). Frames of one view err alike, so they are
averaged, and count as few however many they are; another view adds to them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from rtrecon.types import Float64Array

__all__ = ["PersonShape", "eliminate"]

_YAW_ENDS_DEG = (-40.0, -15.0, 15.0, 40.0)  # between the views
_WORTH = 2.0  # how many independent frames those of one view are worth at the most
_WINDOW = 90  # frames over which a view is averaged: older ones were linearised elsewhere


@dataclass(slots=True, eq=False)
class _Seen:
    information: Float64Array
    toward: Float64Array
    frames: int = 0


@dataclass(slots=True, eq=False)
class PersonShape:
    """What is known of one person's head.

    ``modes`` how many; ``sigma`` of each beforehand, about the mean head. ``identity`` (modes,)
    float64 is the estimate; ``frames`` how many have added to it.
    """

    modes: int
    sigma: float
    identity: Float64Array = field(init=False)
    frames: int = field(init=False, default=0)
    _views: dict[int, _Seen] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.identity = np.zeros(self.modes)

    def add(self, information: Float64Array, toward: Float64Array, R: Float64Array) -> None:
        """Take in a frame: normal equations of the identity itself (not of its change), with all
        else eliminated; ``R`` (3, 3) of the head. What is not finite is left out."""
        if not (np.isfinite(information).all() and np.isfinite(toward).all()):
            return
        yaw_deg = math.degrees(math.atan2(float(R[0, 2]), float(R[2, 2])))
        view = int(np.searchsorted(_YAW_ENDS_DEG, yaw_deg))
        seen = self._views.get(view)
        if seen is None:
            seen = self._views[view] = _Seen(np.zeros((self.modes,) * 2), np.zeros(self.modes))
        seen.frames += 1
        self.frames += 1
        share = 1.0 / min(seen.frames, _WINDOW)
        seen.information += (information - seen.information) * share
        seen.toward += (toward - seen.toward) * share

    def prior(self) -> tuple[Float64Array, Float64Array]:
        """(modes, modes) information, and (modes,) that times the best estimate: of the mean head
        and all frames."""
        A, b = np.eye(self.modes) * self.sigma**-2, np.zeros(self.modes)
        for seen in self._views.values():
            worth = min(float(seen.frames), _WORTH)
            A += worth * seen.information
            b += worth * seen.toward
        return A, b

    def solve(self) -> Float64Array:
        """The best estimate, also kept as ``identity``."""
        A, b = self.prior()
        self.identity = np.asarray(np.linalg.solve(A, b))
        return self.identity


def eliminate(
    A: Float64Array, b: Float64Array, own: slice
) -> tuple[Float64Array, Float64Array, Float64Array] | None:
    """Normal equations of the unknowns ``own`` alone, whatever the others are, and the step of
    the others while these stay; None if there is none."""
    rest = np.delete(np.arange(len(b)), own)
    across = A[rest, own]
    try:
        together = np.column_stack([across, b[rest]])
        through: Float64Array = np.linalg.solve(A[np.ix_(rest, rest)], together).astype(
            np.float64, copy=False
        )
    except np.linalg.LinAlgError:
        return None
    if not np.isfinite(through).all():
        return None
    step = through[:, -1]
    return A[own, own] - across.T @ through[:, :-1], b[own] - across.T @ step, step
