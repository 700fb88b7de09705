"""Shapes that the head model's own modes do not have: folds of age, asymmetry, one's own bumps.

A network that has only seen a hundred linear modes reads every face as a mixture of them; the
shading of a real one says more than that.
"""

from __future__ import annotations

import numpy as np

from rtrecon.train.face_model import LANDMARKS_68, PARTS, FaceModel
from rtrecon.train.heads.regions import distance_to_line
from rtrecon.types import Float32Array

__all__ = ["ShapeVariety"]

# Folds on the left half of the mean head in the frontal view, mirrored for the right one:
# landmarks (0 to 67) with an offset in centimetres, outward and up.
_FOLDS: dict[str, tuple[tuple[int, float, float], ...]] = {
    "nasolabial": ((35, 0.55, 0.5), (35, 1.25, -0.5), (54, 0.55, 0.6), (54, 0.75, -0.4)),
    "marionette": ((54, 0.25, -0.3), (54, 0.35, -1.1), (54, 0.3, -1.9)),
    "eye bag": ((42, 0.2, -0.7), (47, 0.1, -0.75), (46, 0.1, -0.7), (45, 0.5, -0.35)),
    "tear trough": ((42, 0.15, -0.45), (47, -0.3, -1.25), (46, 0.2, -1.6)),
    "crow's foot": ((45, 0.55, 0.1), (45, 1.5, 0.45)),
    "crow's lower foot": ((45, 0.55, -0.1), (45, 1.4, -0.5)),
    "frown": ((22, -0.25, -0.3), (22, -0.2, 0.9)),
    "forehead, low": ((22, 0.0, 1.5), (24, 0.0, 1.3), (26, 0.3, 1.6)),
    "forehead, middle": ((22, 0.0, 2.4), (24, 0.0, 2.3), (26, 0.2, 2.5)),
    "forehead, high": ((22, 0.0, 3.3), (24, 0.0, 3.2), (26, 0.0, 3.3)),
    "chin": ((8, 0.0, 1.75), (8, 0.9, 1.55)),
}


class ShapeVariety:
    """Displaces the vertices of a head, eyes and teeth with it, by smooth random fields.

    Args:
        model: the parametric head.
    """

    def __init__(self, model: FaceModel) -> None:
        V = model.vertices
        marks = V[LANDMARKS_68]
        first, end = PARTS["face"]
        self._skin = np.arange(first, end)
        self._mean_skin = V[first:end]
        front = self._mean_skin[:, 2] > 2.0
        self._folds: list[Float32Array] = []
        for line in _FOLDS.values():
            near = np.full(end - first, np.inf, dtype=np.float32)
            path = np.array([marks[k, :2] + (x, y) for k, x, y in line], dtype=np.float32)
            for side in (1.0, -1.0):
                flip = np.array([side, 1.0], dtype=np.float32)
                near = np.minimum(near, distance_to_line(self._mean_skin, path * flip))
            self._folds.append(np.where(front, near, np.inf).astype(np.float32))
        # Small bumps stay away from lids and lips, which rest on eyes and teeth.
        soft = marks[36:68]
        apart = self._mean_skin[:, None] - soft[None]
        self._free = np.flatnonzero((np.linalg.norm(apart, axis=2).min(axis=1) > 1.6) & front)
        self._anchors = np.flatnonzero(front)
        self._teeth = slice(*PARTS["teeth"])
        # Gums and tongue are one piece: the tongue is what moves with the jaw within its arch.
        first, end = PARTS["gums_tongue"]
        jaw = np.abs(model.expression[model.expression_names.index("jawOpen"), first:end]).max(1)
        x, y, z = V[first:end].T
        within = 1.0 - (x / 1.7) ** 2 - ((z - 5.6) / 4.3) ** 2
        tongue = (jaw > 0.6) & (within > 0) & (y > -4.45)
        self._tongue = first + np.flatnonzero(tongue)
        tip = np.clip((z[tongue] - 5.6) / 3.4, 0, 1) ** 1.5 * np.clip(4 * within[tongue], 0, 1)
        self._tip = tip.astype(np.float32)

    def __call__(
        self, rng: np.random.Generator, vertices: Float32Array, normals: Float32Array
    ) -> Float32Array:
        """The head ``vertices`` (26719, 3) centimetres, with ``normals``, changed."""
        moved = vertices.copy()
        strength = float(rng.uniform(0.0, 1.2))
        for _ in range(int(rng.poisson(5))):
            self._bump(rng, vertices, normals, moved, rng.uniform(1.8, 4.5), 0.20 * strength)
        moved *= 1.0 + strength * rng.normal(0, [0.03, 0.03, 0.04])
        skin = moved[self._skin]
        normal = normals[self._skin]
        push = np.zeros(len(skin), dtype=np.float32)
        for _ in range(int(rng.poisson(6))):
            k = self._free[rng.integers(len(self._free))]
            size = rng.uniform(0.5, 1.1)
            apart2 = np.sum((self._mean_skin - self._mean_skin[k]) ** 2, axis=1)
            push += np.float32(rng.normal(0, 0.06) * strength) * np.exp(-apart2 / (2 * size**2))
        if rng.random() < 0.5:
            push += self._aged(rng)
        moved[self._skin] = skin + push[:, None] * normal
        moved[self._teeth, 2] += np.float32(rng.normal(0.0, 0.12))
        return moved

    def put_tongue_forward(
        self, vertices: Float32Array, forward_cm: float, aside_cm: float
    ) -> Float32Array:
        """``vertices`` with the tongue forward between the lips; for an open mouth."""
        moved = vertices.copy()
        z = moved[self._tongue, 2] + forward_cm * self._tip
        moved[self._tongue, 0] += aside_cm * self._tip**2
        moved[self._tongue, 1] += 0.9 * self._tip - 0.35 * np.clip(z - 10.8, 0, None)
        moved[self._tongue, 2] = z
        return moved

    def _bump(
        self,
        rng: np.random.Generator,
        vertices: Float32Array,
        normals: Float32Array,
        moved: Float32Array,
        size_cm: float,
        amplitude_cm: float,
    ) -> None:
        """Move everything near a point of the face, its mirror image too in half of the cases."""
        k = self._skin[self._anchors[rng.integers(len(self._anchors))]]
        direction = normals[k] + rng.normal(0, 0.35, 3)
        step = rng.normal(0, amplitude_cm) * direction / np.linalg.norm(direction)
        for mirror in (1.0, -1.0) if rng.random() < 0.5 else (1.0,):
            flip = np.array([mirror, 1.0, 1.0], dtype=np.float32)
            apart2 = np.sum((vertices - vertices[k] * flip) ** 2, axis=1)
            weight = np.exp(-apart2 / np.float32(2 * size_cm**2))
            moved += weight[:, None] * (step * flip).astype(np.float32)

    def _aged(self, rng: np.random.Generator) -> Float32Array:
        """Depth (n,) of the folds of one face along its skin's normals, centimetres."""
        age = float(rng.random())
        push = np.zeros(len(self._skin), dtype=np.float32)
        for near in self._folds:
            depth = age * rng.uniform(0.0, 0.11)
            width = rng.uniform(0.14, 0.3)
            push -= np.float32(depth) * np.exp(-(near**2) / np.float32(2 * width**2))
            # What is pushed out of a fold stands beside it.
            beside = (near - np.float32(2.2 * width)) ** 2
            push += np.float32(0.4 * depth) * np.exp(-beside / np.float32(3 * width**2))
        return push
