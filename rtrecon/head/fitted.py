"""A person's head as it was fitted, and where it is: what everything else here is made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["FittedHead"]


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head of `HeadModel` in the camera frame.

    A vertex ``V`` of the model is at ``scale R V + t``.

    Attributes:
        model: whose modes the weights are of.
        identity: (up to k,) float32 standard deviations; the person, whatever they do.
        coefficients: (51,) float32 expression in this frame, in [0, 1].
        R: (3, 3) float64; t: (3,) float64 metres; scale: the person's size, of the model's.
    """

    model: HeadModel
    identity: Float32Array
    coefficients: Float32Array
    R: Float64Array
    t: Float64Array
    scale: float

    def at_rest(self) -> Float32Array:
        """(n, 3) the person's head at rest in the head frame, in metres, of the person's size."""
        return np.asarray(self.model.shape(self.identity) * np.float32(self.scale))

    def vertices_head(self) -> Float32Array:
        """(n, 3) as `at_rest`, with the frame's expression."""
        shaped = self.model.shape(self.identity, self.coefficients)
        return np.asarray(shaped * np.float32(self.scale))

    def vertices_camera(self) -> Float32Array:
        """(n, 3) float32 of this frame, metres in the camera frame."""
        return self.to_camera(self.vertices_head())

    def to_camera(self, points_head: Float32Array) -> Float32Array:
        """(n, 3) float32 metres in the head frame, to the camera frame."""
        return points_head @ self.R.T.astype(np.float32) + self.t.astype(np.float32)

    def to_head(self, points_camera: Float32Array) -> Float32Array:
        """(n, 3) float32 metres in the camera frame, to the head frame."""
        return (points_camera - self.t.astype(np.float32)) @ self.R.astype(np.float32)
