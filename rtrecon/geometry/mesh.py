"""The one type of a triangle mesh, from the face it is made of to the file it ends in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rtrecon.types import Float32Array

__all__ = ["Int32Array", "Mesh", "UInt8Array", "piece_labels", "vertex_normals"]

Int32Array = npt.NDArray[np.int32]
UInt8Array = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A triangle mesh in metres, in the camera frame unless it says otherwise.

    ``vertices`` (n, 3) float32; ``triangles`` (m, 3) int32, anticlockwise seen from outside: the
    right-hand rule gives the outward normal; ``normals`` (n, 3) float32, unit; ``colors`` (n, 3)
    uint8 RGB. ``uv`` (n, 2) float32 in [0, 1] with the origin at the top left corner of the
    texture (OBJ and OpenGL want ``1 - v``) and ``texture`` (th, tw, 3) uint8 RGB: both or neither.
    """

    vertices: Float32Array
    triangles: Int32Array
    normals: Float32Array
    colors: UInt8Array
    uv: Float32Array | None = None
    texture: UInt8Array | None = None

    def select(self, keep: npt.NDArray[np.bool_]) -> Mesh:
        """The triangles (m,) that ``keep`` names, with the vertices that they use."""
        triangles = self.triangles[keep]
        used = np.zeros(len(self.vertices), dtype=np.bool_)
        used[triangles.ravel()] = True
        index = np.cumsum(used, dtype=np.int32) - 1
        return Mesh(
            self.vertices[used],
            index[triangles],
            self.normals[used],
            self.colors[used],
            None if self.uv is None else self.uv[used],
            self.texture,
        )

    def with_normals(self) -> Mesh:
        """The same mesh with normals from its triangles."""
        return replace(self, normals=vertex_normals(self.vertices, self.triangles))


def vertex_normals(vertices: Float32Array, triangles: Int32Array) -> Float32Array:
    """(n, 3) float32 unit normals, the triangles' weighted by area.

    A vertex without a triangle, or with triangles of no area, gets (0, 0, -1): a normal in
    a file must have unit length.
    """
    corners = vertices[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.empty(vertices.shape, dtype=np.float64)
    flat = triangles.ravel()
    for axis in range(3):
        weights = np.repeat(faces[:, axis], 3)
        normals[:, axis] = np.bincount(flat, weights=weights, minlength=len(vertices))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 1e-20, normals / np.maximum(length, 1e-20), (0.0, 0.0, -1.0))
    return normals.astype(np.float32)


def piece_labels(triangles: Int32Array, vertex_count: int) -> Int32Array:
    """(n,) the least vertex index of the connected piece that each vertex is in.

    Labels are lowered along edges with pointer jumping, as in Shiloach and Vishkin, "An
    O(log n) parallel connectivity algorithm", 1982.
    """
    label = np.arange(vertex_count, dtype=np.int32)
    while True:
        least = label[triangles].min(axis=1)
        before = label.copy()
        for corner in range(3):
            np.minimum.at(label, label[triangles[:, corner]], least)
            np.minimum.at(label, triangles[:, corner], least)
        while True:
            jumped = label[label]
            if np.array_equal(jumped, label):
                break
            label = jumped
        if np.array_equal(before, label):
            return label
