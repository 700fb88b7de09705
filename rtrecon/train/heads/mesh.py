"""Meshes as arrays, with what the renderer needs of every vertex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtrecon.types import Float32Array

__all__ = ["Part", "grid_triangles", "join", "vertex_normals"]

Int32Array = npt.NDArray[np.int32]


@dataclass(slots=True, eq=False)
class Part:
    """A piece of the scene in the head frame (centimetres).

    ``vertices`` (n, 3), ``normals`` (n, 3), ``triangles`` (m, 3), ``material`` (n,),
    ``uv`` (n, 2) and ``weights`` (n, 8); ``cover`` (n,) is 1 where solid, below where strands thin.
    """

    vertices: Float32Array
    triangles: Int32Array
    material: float | Float32Array
    uv: Float32Array
    cover: Float32Array | None = None
    normals: Float32Array | None = None
    weights: Float32Array | None = None


def vertex_normals(vertices: Float32Array, triangles: Int32Array) -> Float32Array:
    """Unit normals (n, 3), area weighted."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    flat = triangles.ravel()
    for axis in range(3):
        normals[:, axis] = np.bincount(
            flat, weights=np.repeat(face[:, axis], 3), minlength=len(vertices)
        )
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return normals


def grid_triangles(rows: int, columns: int, *, wrap: bool = False) -> Int32Array:
    """Two triangles a cell of a (rows, columns) grid of vertices; ``wrap`` joins the sides."""
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    if wrap:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return np.stack([np.stack([a, c, b], axis=-1), np.stack([b, c, d], axis=-1)], axis=2).reshape(
        -1, 3
    )


def join(parts: list[Part]) -> tuple[Float32Array, Int32Array]:
    """Interleaved vertex rows (n, 18) and triangles.

    A row is position, normal, uv, material, cover and the eight region weights.
    """
    rows, triangles, offset = [], [], 0
    for part in parts:
        normals = (
            vertex_normals(part.vertices, part.triangles) if part.normals is None else part.normals
        )
        count = len(part.vertices)
        row = np.zeros((count, 18), dtype=np.float32)
        row[:, 0:3] = part.vertices
        row[:, 3:6] = normals
        row[:, 6:8] = part.uv
        row[:, 8] = part.material
        row[:, 9] = 1.0 if part.cover is None else part.cover
        if part.weights is not None:
            row[:, 10:18] = part.weights
        rows.append(row)
        triangles.append(part.triangles + offset)
        offset += count
    return np.concatenate(rows), np.concatenate(triangles).astype(np.int32)
