"""Heads of known shape as a perfect network would see them."""

from __future__ import annotations

import numpy as np

from rtrecon.draw.raster import rasterize
from rtrecon.faces.align import Crop
from rtrecon.geometry.mesh import vertex_normals
from rtrecon.geometry.reconstruction import FaceGrid, FaceReconstruction, Texture
from rtrecon.head.fitted import FittedHead
from rtrecon.head.model import head_model
from rtrecon.types import Expression, Intrinsics
from tests.geometry.scenes import rotation

SIZE = 192
CAMERA = Intrinsics(620.0, 620.0, 319.5, 239.5, 640, 480)
CROP = Crop(np.array([[1.5, 0.0, 176.0], [0.0, 1.5, 96.0]]), SIZE, 288.0)


def person(seed: int, sigma: float = 1.2, modes: int = 20) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(modes) * sigma).astype(np.float32)


def head_of(
    identity: np.ndarray,
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: float = 1.0,
    **shapes: float,
) -> FittedHead:
    model = head_model()
    coefficients = np.zeros(len(model.expression_names), dtype=np.float32)
    for name, value in shapes.items():
        coefficients[model.expression_names.index(name)] = value
    t = np.array([0.005, -0.01, 0.55])
    return FittedHead(model, identity, coefficients, rotation(*turn), t, scale)


def seen(
    head: FittedHead,
    *,
    landmarks: bool = True,
    expression: bool = True,
    noise_m: float = 0.0,
    turn_error: tuple[float, float, float] = (0.0, 0.0, 0.0),
    face_id: int = 0,
    seed: int = 0,
) -> FaceReconstruction:
    """What is seen of a head by `CAMERA` in `CROP`, with the pose off by ``turn_error``."""
    rng = np.random.default_rng(seed)
    model, X = head.model, head.vertices_camera()
    pixels = X[:, :2] / X[:, 2:] * (CAMERA.fx, CAMERA.fy) + (CAMERA.cx, CAMERA.cy)
    at = CROP.to_crop(pixels.astype(np.float32))
    found = rasterize(at, X[:, 2], model.triangles, SIZE, SIZE)
    corners = model.triangles[found.triangle]
    valid = np.zeros(SIZE * SIZE, dtype=bool)
    valid[found.pixel] = True
    z = np.full(SIZE * SIZE, head.t[2], dtype=np.float32)
    z[found.pixel] = 1.0 / (found.weights / X[:, 2][corners]).sum(axis=1)
    z += np.float32(noise_m) * rng.standard_normal(z.shape).astype(np.float32)
    normals = np.tile(np.float32([0, 0, -1]), (SIZE * SIZE, 1))
    own = vertex_normals(X, model.triangles)
    smooth = (own[corners] * found.weights[:, :, None]).sum(axis=1)
    normals[found.pixel] = smooth / np.linalg.norm(smooth, axis=1, keepdims=True)
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1).reshape(-1, 2)
    M = CROP.M_picture_crop
    rays = (grid @ M[:, :2].T + M[:, 2] - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy)
    points = np.column_stack([rays * z[:, None], z]).astype(np.float32)
    marks = pixels[model.landmarks].astype(np.float32)
    T = np.eye(4)
    T[:3, :3] = rotation(*turn_error) @ head.R
    T[:3, 3] = X[model.landmarks[36:48]].mean(axis=0)
    square = (SIZE, SIZE)
    return FaceReconstruction(
        id=face_id,
        box_px=np.float32([200, 100, 440, 400]),
        landmarks_px=marks[[36, 45, 30, 48, 54]],
        score=0.99,
        intrinsics=CAMERA,
        crop=CROP,
        z_ref_m=float(head.t[2]),
        grid=FaceGrid(
            points.reshape(*square, 3),
            np.full((*square, 3), 128, dtype=np.uint8),
            normals.reshape(*square, 3),
            valid.reshape(square),
            0.01,
        ),
        T_camera_face=T,
        texture=Texture(np.zeros((2, 2, 3), dtype=np.uint8), np.eye(2, 3)),
        landmarks68_px=marks if landmarks else None,
        expression=Expression(model.expression_names, head.coefficients) if expression else None,
    )


def shape_error_m(head: FittedHead, truth: FittedHead) -> float:
    """Mean distance of the face's vertices in the camera frame, depth and all."""
    face = slice(0, 6706)  # the narrow face
    apart = head.vertices_camera()[face] - truth.vertices_camera()[face]
    return float(np.linalg.norm(apart, axis=1).mean())
