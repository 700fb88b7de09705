"""How far hair stands from the scalp: where the head's outline ends in the picture."""

from __future__ import annotations

import numpy as np

from rtrecon.geometry.mesh import vertex_normals
from rtrecon.head.regions import Regions
from rtrecon.head.view import View, sample
from rtrecon.types import Float32Array, Float64Array

__all__ = ["hair_out"]

_INWARD_M, _OUTWARD_M, _STEP_M = 0.008, 0.050, 0.001
_EDGE_ON = 0.30  # cosine below which a vertex is taken to lie on the outline


def hair_out(
    view: View, vertices_camera: Float32Array, facing: Float64Array, regions: Regions
) -> tuple[Float64Array, Float64Array]:
    """From the head's outline to the person's.

    Args:
        view: with the person's outline.
        vertices_camera: (n, 3) of the head.
        facing: (count,) cosine between normal and view of the membrane's vertices.
        regions: of the model.

    Returns:
        Weights (count,) and displacements (count, 3) in the camera frame.
    """
    count = len(facing)
    normals = vertex_normals(vertices_camera, view.fitted.model.triangles)[:count]
    on_edge = np.clip(1.0 - np.abs(facing) / _EDGE_ON, 0.0, 1.0) * (regions.scalp > 0.3)
    weight, moved = np.zeros(count), np.zeros((count, 3))
    chosen = np.flatnonzero(on_edge > 0.0)
    if len(chosen) == 0:
        return weight, moved
    steps = np.arange(-_INWARD_M, _OUTWARD_M, _STEP_M)
    start = vertices_camera[chosen].astype(np.float64)
    # Across the line of sight, so that the step ends on the outline whatever the normal's tilt.
    rays = start / np.linalg.norm(start, axis=1, keepdims=True)
    across = normals[chosen] - (normals[chosen] * rays).sum(axis=1, keepdims=True) * rays
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    points = start[:, None] + steps[None, :, None] * across[:, None]
    pixels = view.pixels_of_outline(points.reshape(-1, 3).astype(np.float32))
    inside = (sample(view.outline, pixels) > 0.5).reshape(len(chosen), -1)
    known = (sample(view.known, pixels) > 0.5).reshape(len(chosen), -1)
    last = np.cumprod(inside, axis=1).sum(axis=1)
    found = (last > 0) & (last < len(steps))
    found &= known[np.arange(len(chosen)), np.minimum(last, len(steps) - 1)]
    length = -_INWARD_M + last * _STEP_M
    weight[chosen] = on_edge[chosen] * found
    moved[chosen] = np.where(found, length, 0.0)[:, None] * across
    return weight, moved
