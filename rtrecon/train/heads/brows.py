"""Brows of one's own: their height, thickness, arch and ends, painted onto the skin.

On the head model they would lie on the same vertices for everyone, and their place alone would
tell how far they are raised. In life it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtrecon.train.face_model import LANDMARKS_68, PARTS, FaceModel
from rtrecon.train.heads.regions import distance_to_line
from rtrecon.types import Float32Array

__all__ = ["Brows", "sample_brows"]

_LINES = ((17, 22), (22, 27))  # landmarks of the right and left brow; outer end first and last


@dataclass(frozen=True, slots=True, eq=False)
class Brows:
    """``weight`` (n,) float32 of brow a vertex; ``shift_cm`` (68, 3) that its landmarks move."""

    weight: Float32Array
    shift_cm: Float32Array


def sample_brows(rng: np.random.Generator, model: FaceModel) -> Brows:
    """Brows for the vertices of ``model``; both sides alike but for a little."""
    V = model.vertices
    marks = V[LANDMARKS_68]
    weight = np.zeros(len(V), dtype=np.float32)
    shift = np.zeros((68, 3), dtype=np.float32)
    height, arch, tail = rng.normal(0, [0.12, 0.07, 0.12])
    half_cm, soft_cm = float(rng.uniform(0.16, 0.5)), float(rng.uniform(0.12, 0.35))
    gap = float(rng.normal(0, 0.12))
    for first, end in _LINES:
        along = np.linspace(0, 1, end - first)  # from the outer end of the right one
        if first == 22:
            along = along[::-1]
        own = rng.normal(0, 0.03, 3)
        up = (
            height
            + own[0]
            + (arch + own[1]) * np.sin(np.pi * along)
            + (tail + own[2]) * (1 - along)
        )
        outward = np.sign(marks[first + 2, 0]) * gap * along
        shift[first:end, 0], shift[first:end, 1] = outward, up
        line = (marks + shift)[first:end]
        low, high = line.min(axis=0) - 1.0, line.max(axis=0) + 1.0
        near = np.flatnonzero(
            (V[:, 2] > 2.0) & (V[:, :2] > low[:2]).all(axis=1) & (V[:, :2] < high[:2]).all(axis=1)
        )
        near = near[near < PARTS["face"][1]]
        distance = distance_to_line(V[near], line)
        solid = np.clip(0.5 + (half_cm - distance) / soft_cm, 0.0, 1.0)
        weight[near] = np.maximum(weight[near], solid)
    return Brows(weight, shift)
