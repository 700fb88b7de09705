"""An ellipsoid head with a painted face, as the geometry stage would hand it over."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.draw.state import Figures, ViewFrame
from rtrecon.faces.align import Crop
from rtrecon.geometry.reconstruction import FaceGrid, FaceReconstruction, Texture
from rtrecon.types import BgrImage, Intrinsics

CAMERA = Intrinsics(620.0, 620.0, 319.5, 239.5, 640, 480)
SIZE = 128
RADII_M = np.array([0.075, 0.105, 0.09])
SKIN = (205, 150, 120)
RED = (220, 30, 30)
GREEN = (30, 190, 40)
FIGURES = Figures(29.7, 13.2, 4, "face-dpt", "cpu", "running", 120)

# Face frame: x right in the picture, y down, metres from the middle of the eyes.
_LANDMARKS = np.array([[-31, 0], [31, 0], [0, 40], [-24, 70], [24, 70]]) * 1e-3
_PATCHES = ((RED, (-0.040, 0.035)), (GREEN, (0.040, 0.035)))


def head(
    x_m: float = 0.0, y_m: float = 0.0, z_m: float = 0.6, face_id: int = 0
) -> FaceReconstruction:
    """A head whose front is ``z_m`` away; red cheek left in the picture, green cheek right."""
    center = np.array([x_m, y_m, z_m + RADII_M[2]])
    eyes = np.array([x_m, y_m - 0.02, z_m])
    side_px = 0.26 * CAMERA.fx / z_m
    middle = CAMERA.fx * center[:2] / z_m + (CAMERA.cx, CAMERA.cy)
    zoom = side_px / SIZE
    M = np.array([[zoom, 0, 0], [0, zoom, 0]])
    M[:, 2] = middle - 0.5 * zoom * (SIZE - 1)
    columns, rows = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    pixels = np.stack([columns, rows], axis=-1) * zoom + M[:, 2]
    rays = np.concatenate(
        [(pixels - (CAMERA.cx, CAMERA.cy)) / CAMERA.fx, np.ones((SIZE, SIZE, 1))], axis=-1
    )
    a = ((rays / RADII_M) ** 2).sum(-1)
    b = (rays * center / RADII_M**2).sum(-1)
    c = ((center / RADII_M) ** 2).sum() - 1
    inside = b * b - a * c
    valid = inside > 0
    depth = np.where(valid, (b - np.sqrt(np.maximum(inside, 0))) / a, z_m)
    points = (rays * depth[..., None]).astype(np.float32)
    normals = (points - center) / RADII_M**2
    normals = (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)
    colors = _paint(points - eyes)
    landmarks = CAMERA.fx * (eyes[:2] + _LANDMARKS) / z_m + (CAMERA.cx, CAMERA.cy)
    T = np.eye(4)
    T[:3, 3] = eyes
    low, high = landmarks.min(axis=0) - 40, landmarks.max(axis=0) + 30
    return FaceReconstruction(
        id=face_id,
        box_px=np.concatenate([low, high]).astype(np.float32),
        landmarks_px=landmarks.astype(np.float32),
        score=0.99,
        intrinsics=CAMERA,
        crop=Crop(M, SIZE, side_px),
        z_ref_m=z_m,
        grid=FaceGrid(points, colors, normals, valid, 0.02),
        T_camera_face=T,
        texture=Texture(np.ascontiguousarray(colors[..., ::-1]), np.eye(2, 3)),
    )


def picture_of(*faces: FaceReconstruction) -> BgrImage:
    """(480, 640, 3) uint8 BGR: the heads before a grey wall."""
    picture = np.full((CAMERA.height, CAMERA.width, 3), 90, dtype=np.uint8)
    for face in faces:
        painted = np.where(face.grid.valid[..., None], face.grid.colors[..., ::-1], 90)
        size = (CAMERA.width, CAMERA.height)
        M = face.crop.M_picture_crop
        warped = cv2.warpAffine(painted.astype(np.uint8), M, size)
        covered = cv2.warpAffine(face.grid.valid.astype(np.uint8), M, size)
        picture[covered > 0] = warped[covered > 0]
    return picture


def view_of(*faces: FaceReconstruction) -> ViewFrame:
    """What the pipeline would give a view."""
    return ViewFrame(picture_of(*faces), faces, 0, FIGURES)


def share_of(image: BgrImage, rgb: tuple[int, int, int], tolerance: int = 40) -> np.ndarray:
    """(H, W) bool: where the picture has this colour."""
    near: np.ndarray = np.abs(image.astype(int) - np.array(rgb[::-1])).max(axis=-1) < tolerance
    return near


def _paint(at: np.ndarray) -> np.ndarray:
    colors = np.empty((*at.shape[:2], 3), dtype=np.uint8)
    colors[:] = SKIN
    for rgb, (x, y) in _PATCHES:
        colors[np.hypot(at[..., 0] - x, at[..., 1] - y) < 0.012] = rgb
    for x, y in _LANDMARKS[:2]:
        colors[np.hypot(at[..., 0] - x, at[..., 1] - y) < 0.007] = (20, 20, 20)
    mouth = (np.abs(at[..., 0]) < 0.024) & (np.abs(at[..., 1] - 0.07) < 0.005)
    colors[mouth] = (120, 40, 50)
    return colors
