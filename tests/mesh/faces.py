"""An ellipsoid with a nose, as a reconstructed face: everything about it is known."""

from __future__ import annotations

import numpy as np

from rtrecon.faces.align import Crop
from rtrecon.geometry.reconstruction import FaceGrid, FaceReconstruction, Texture
from rtrecon.types import Intrinsics

SIZE = 96
FOCAL = 240.0
DISTANCE_M = 0.5


def make_face(size: int = SIZE) -> FaceReconstruction:
    """An ellipsoid 0.5 m away whose nose points into the camera and lies above the middle."""
    middle = (size - 1) / 2.0
    focal = FOCAL * size / SIZE
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    x, y = (column - middle) / focal, (row - middle) / focal
    radius2 = (x / 0.15) ** 2 + (y / 0.18) ** 2
    valid = radius2 < 0.85
    bulge = 0.08 * np.sqrt(np.maximum(1.0 - radius2, 0.0))
    nose = 0.03 * np.exp(-((x**2 + (y + 0.03) ** 2) / 0.02**2))
    z = (DISTANCE_M - bulge - nose).astype(np.float32)
    points = np.stack([x * z, y * z, z], axis=-1).astype(np.float32)
    colors = np.stack([column * 255 // size, row * 255 // size, 128 + 0 * row], axis=-1)
    T = np.eye(4)
    T[:3, 3] = (0.0, -0.02, 0.45)
    rgb = colors.astype(np.uint8)
    return FaceReconstruction(
        id=0,
        box_px=np.array([10, 5, size - 10, size - 5], dtype=np.float32),
        landmarks_px=np.array([[35, 40], [60, 40], [48, 50], [38, 65], [58, 65]], np.float32),
        score=0.99,
        intrinsics=Intrinsics(focal, focal, middle, middle, size, size),
        crop=Crop(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), size, float(size)),
        z_ref_m=0.45,
        grid=FaceGrid(points, rgb, np.zeros_like(points), valid, 6 * DISTANCE_M / focal),
        T_camera_face=T,
        texture=Texture(
            np.ascontiguousarray(rgb[:, :, ::-1]), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        ),
    )
