"""What is believed of a head before its equations are looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.head.equations import POSE, Guess
from rtrecon.head.points import HeadPoints
from rtrecon.types import Float64Array

__all__ = ["MODE_SIGMA", "Beliefs", "rotation_vector"]

MODE_SIGMA = 0.7
"""Of a mode of identity."""
_ROTATION_SIGMA_RAD = math.radians(1.3)
# Depth and landmarks tell size and place; depth alone may slide and shrink along a strip of skin.
_LOG_SIZE_SIGMA, _SHIFT_SIGMA_M = (0.03, 0.2), (0.015, 10.0)
_SHAPE_SIGMA = 0.1  # of a coefficient: landmarks and depth see the jaw and the lips, not the lids


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """Near what a head is: turned by ``R`` (3, 3), at ``t`` (3,), as large as ``scale``, with
    ``network`` (e,) coefficients. ``with_landmarks``: they are seen, and tell more of size and
    place. Of the identity: see `PersonShape`."""

    R: Float64Array
    t: Float64Array
    scale: float
    network: Float64Array
    with_landmarks: bool

    def add(self, points: HeadPoints, guess: Guess, A: Float64Array, b: Float64Array) -> None:
        """Add them to normal equations of the change of ``guess``, in place."""
        weight = np.zeros(len(b))
        weight[:3] = _ROTATION_SIGMA_RAD**-2
        weight[3:6] = _SHIFT_SIGMA_M[self.with_landmarks] ** -2
        weight[6] = _LOG_SIZE_SIGMA[self.with_landmarks] ** -2
        shapes = slice(POSE + points.modes, len(b))
        weight[shapes] = _SHAPE_SIGMA**-2
        A.flat[:: len(b) + 1] += weight
        b[:3] += weight[:3] * rotation_vector(self.R @ guess.R.T)
        b[3:6] += weight[3:6] * (self.t - guess.t)
        b[6] += weight[6] * math.log(self.scale / guess.scale)
        b[shapes] += weight[shapes] * (self.network - guess.weights[points.modes :])


def rotation_vector(R: Float64Array) -> Float64Array:
    """(3,) radians about the axis of a rotation (3, 3)."""
    return np.asarray(cv2.Rodrigues(R)[0], dtype=np.float64).reshape(3)
