"""A triangle mesh on its way to a file, and the one frame that all files are in.

*File frame*: metres, x right, y up, z out of the picture towards the viewer, as glTF has
it; a face that looks into the camera looks along +z. It is the camera frame turned by 180
degrees about x and moved so that the head's origin (the translation of
``T_camera_face``) is at zero. A mesh without a pose keeps the camera as its origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = [
    "Int32Array",
    "MeshLike",
    "SurfaceMesh",
    "Uint8Array",
    "picture_uv",
    "to_file_frame",
    "vertex_normals",
]

Int32Array = npt.NDArray[np.int32]
Uint8Array = npt.NDArray[np.uint8]

_FILE_CAMERA = np.array([1.0, -1.0, -1.0], dtype=np.float32)


class MeshLike(Protocol):
    """What `rtrecon.geometry` gives as a mesh; see `SurfaceMesh` for shapes."""

    @property
    def vertices(self) -> Float32Array:
        """(n, 3) metres."""

    @property
    def triangles(self) -> Int32Array:
        """(m, 3) into the vertices."""

    @property
    def normals(self) -> Float32Array:
        """(n, 3) unit length, outward."""

    @property
    def colors(self) -> Uint8Array:
        """(n, 3) RGB."""

    @property
    def uv(self) -> Float32Array | None:
        """(n, 2) texture coordinates."""

    @property
    def texture(self) -> Uint8Array | None:
        """(th, tw, 3) RGB."""


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceMesh:
    """A mesh in metres, in the camera frame until `to_file_frame`.

    ``vertices`` and ``normals`` (n, 3) float32, normals of unit length and outward;
    ``triangles`` (m, 3) int32, anticlockwise seen from outside; ``colors`` (n, 3) uint8 RGB;
    ``uv`` (n, 2) float32 in [0, 1] with the origin at the texture's top left corner and
    ``texture`` (th, tw, 3) uint8 RGB, both or neither.
    """

    vertices: Float32Array
    triangles: Int32Array
    normals: Float32Array
    colors: Uint8Array
    uv: Float32Array | None = None
    texture: Uint8Array | None = None

    @classmethod
    def of(cls, mesh: MeshLike) -> SurfaceMesh:
        """``mesh`` as this type, without copies where its arrays fit."""
        textured = mesh.uv is not None and mesh.texture is not None
        return cls(
            np.asarray(mesh.vertices, dtype=np.float32),
            np.asarray(mesh.triangles, dtype=np.int32),
            np.asarray(mesh.normals, dtype=np.float32),
            np.asarray(mesh.colors, dtype=np.uint8),
            np.asarray(mesh.uv, dtype=np.float32) if textured else None,
            np.asarray(mesh.texture, dtype=np.uint8) if textured else None,
        )

    def select(self, keep: npt.NDArray[np.bool_]) -> SurfaceMesh:
        """The triangles (m,) that ``keep`` names, with the vertices that they use."""
        triangles = self.triangles[keep]
        used = np.zeros(len(self.vertices), dtype=np.bool_)
        used[triangles.ravel()] = True
        index = np.cumsum(used, dtype=np.int32) - 1
        return SurfaceMesh(
            self.vertices[used],
            index[triangles],
            self.normals[used],
            self.colors[used],
            None if self.uv is None else self.uv[used],
            self.texture,
        )

    def with_normals(self) -> SurfaceMesh:
        """The same mesh with normals from its triangles."""
        return replace(self, normals=vertex_normals(self.vertices, self.triangles))


def to_file_frame(mesh: SurfaceMesh, origin_camera: Float64Array | None = None) -> SurfaceMesh:
    """``mesh`` from the camera frame into the file frame.

    Args:
        mesh: in the camera frame.
        origin_camera: (3,) metres, the point that becomes zero; None: the camera.
    """
    vertices = mesh.vertices
    if origin_camera is not None:
        vertices = vertices - np.asarray(origin_camera, dtype=np.float32)
    return replace(mesh, vertices=vertices * _FILE_CAMERA, normals=mesh.normals * _FILE_CAMERA)


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


def picture_uv(
    points_camera: Float32Array, intrinsics: Intrinsics, crop: Crop, M_uv_crop: Float64Array
) -> Float32Array:
    """(n, 2) float32 texture coordinates of points that were seen in the picture.

    Args:
        points_camera: (n, 3) metres.
        intrinsics: of the picture.
        crop: of the face in the picture.
        M_uv_crop: (2, 3) from crop pixels to texture coordinates.
    """
    zero = np.zeros(3)
    dist = np.array(intrinsics.dist, dtype=np.float64) if intrinsics.dist else None
    points = points_camera.astype(np.float64)
    points[:, 2] = np.maximum(points[:, 2], 1e-6)
    projected = cv2.projectPoints(points, zero, zero, intrinsics.matrix(), dist)[0]
    points_crop = crop.to_crop(projected.reshape(-1, 2).astype(np.float32))
    uv = points_crop @ M_uv_crop[:, :2].T + M_uv_crop[:, 2]
    return np.clip(uv, 0.0, 1.0).astype(np.float32)
