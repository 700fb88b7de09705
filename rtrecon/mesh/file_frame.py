"""The one frame that all files are in, and where a picture's pixels lie on a mesh.

*File frame*: metres, x right, y up, z out of the picture towards the viewer, as glTF has
it; a face that looks into the camera looks along +z. It is the camera frame turned by 180
degrees about x and moved so that the head's origin (the translation of
``T_camera_face``) is at zero. A mesh without a pose keeps the camera as its origin.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rtrecon.faces.align import Crop
from rtrecon.geometry.mesh import Mesh
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["picture_uv", "to_file_frame"]

_FILE_CAMERA = np.array([1.0, -1.0, -1.0], dtype=np.float32)


def to_file_frame(mesh: Mesh, origin_camera: Float64Array | None = None) -> Mesh:
    """``mesh`` from the camera frame into the file frame.

    Args:
        mesh: in the camera frame.
        origin_camera: (3,) metres, the point that becomes zero; None: the camera.
    """
    vertices = mesh.vertices
    if origin_camera is not None:
        vertices = vertices - np.asarray(origin_camera, dtype=np.float32)
    return replace(mesh, vertices=vertices * _FILE_CAMERA, normals=mesh.normals * _FILE_CAMERA)


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
