"""The one type of a triangle mesh, from the face it is made of to the file it ends in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtrecon.errors import MissingExtraError
from rtrecon.host import import_open3d
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

    def __repr__(self) -> str:
        said = f"{len(self.vertices)} vertices, {len(self.triangles)} triangles"
        if self.texture is not None:
            said += f", texture {self.texture.shape[1]}x{self.texture.shape[0]}"
        if len(self.vertices):
            sides_mm = np.ptp(self.vertices, axis=0) * 1000.0
            said += f", {' x '.join(f'{side:.0f}' for side in sides_mm)} mm"
        return f"Mesh({said})"

    def to_trimesh(self) -> Any:
        """The same as a ``trimesh.Trimesh``, in metres in the same frame and order of vertices.

        It has the texture where there is one, else the vertices' colours.

        Raises:
            MissingExtraError: trimesh is not installed.
        """
        try:
            import trimesh
        except ImportError as error:
            raise MissingExtraError("trimesh", "trimesh") from error
        visual: Any = None
        if self.uv is not None and self.texture is not None:
            from PIL import Image

            # Its texture coordinates begin at the lower left corner.
            uv = np.column_stack([self.uv[:, 0], 1.0 - self.uv[:, 1]])
            picture = Image.fromarray(self.texture)
            visual = trimesh.visual.TextureVisuals(uv, image=picture)  # type: ignore[no-untyped-call]
        return trimesh.Trimesh(
            self.vertices,
            self.triangles,
            vertex_normals=self.normals,
            vertex_colors=self.colors if visual is None else None,
            visual=visual,
            process=False,
        )

    def to_open3d(self) -> Any:
        """The same as an ``open3d.geometry.TriangleMesh``: colours, normals, and the texture where
        there is one.

        Raises:
            MissingExtraError: Open3D is not installed. RtreconError: it lacks a library.
        """
        o3d = import_open3d()
        made = o3d.geometry.TriangleMesh(
            o3d.utility.Vector3dVector(self.vertices.astype(np.float64)),
            o3d.utility.Vector3iVector(self.triangles),
        )
        made.vertex_normals = o3d.utility.Vector3dVector(self.normals.astype(np.float64))
        made.vertex_colors = o3d.utility.Vector3dVector(self.colors / 255.0)
        if self.uv is not None and self.texture is not None:
            corners = self.uv.astype(np.float64)[self.triangles.ravel()]
            made.triangle_uvs = o3d.utility.Vector2dVector(corners)
            made.textures = [o3d.geometry.Image(np.ascontiguousarray(self.texture))]
            made.triangle_material_ids = o3d.utility.IntVector([0] * len(self.triangles))
        return made

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
