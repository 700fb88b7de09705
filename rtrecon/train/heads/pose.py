"""Pose and place of a head before the camera."""

from __future__ import annotations

import numpy as np

from rtrecon.train.face_model import LANDMARKS_68
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["HEAD_CAMERA", "angles", "place_head", "rotation"]

HEAD_CAMERA = np.diag([1.0, -1.0, -1.0])  # head frame (y up, z out) to a frontal face's camera
"""Turns the head frame's axes into the camera's for a frontal face."""


def rotation(yaw: float, pitch: float, roll: float) -> Float64Array:
    """R = Rz(roll) Rx(pitch) Ry(yaw), radians, camera axes."""
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw),
        np.sin(yaw),
        np.cos(pitch),
        np.sin(pitch),
        np.cos(roll),
        np.sin(roll),
    )
    Ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    Rx = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    Rz = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(Rz @ Rx @ Ry, dtype=np.float64)


def angles(R: Float64Array) -> tuple[float, float, float]:
    """Yaw, pitch, roll of `rotation`."""
    pitch = float(np.arcsin(np.clip(R[2, 1], -1, 1)))
    return float(np.arctan2(-R[2, 0], R[2, 2])), pitch, float(np.arctan2(-R[0, 1], R[1, 1]))


def place_head(
    rng: np.random.Generator, vertices: Float32Array
) -> tuple[Float64Array, Float64Array, Intrinsics]:
    """Head rotation, translation (metres, of the head frame's origin) and the camera."""
    yaw = rng.normal(0, 20) if rng.random() < 0.65 else rng.uniform(-65, 65)
    pitch = rng.normal(0, 11)
    roll = rng.normal(0, 8) if rng.random() < 0.85 else rng.uniform(-45, 45)
    R = rotation(*np.radians([yaw, pitch, roll]))
    width, height = ((640, 480), (1280, 720), (1920, 1080))[rng.integers(3)]
    camera = Intrinsics.from_fov(width, height, float(rng.uniform(45, 100)))
    distance = float(np.exp(rng.uniform(np.log(0.25), np.log(1.4))))
    if rng.random() < 0.08:
        distance = float(rng.uniform(1.5, 3.0))
    spread = 0.2 if rng.random() < 0.92 else 0.45
    at_px = np.array(
        [
            width * np.clip(rng.normal(0.5, spread * 0.6), 0.08, 0.92),
            height * np.clip(rng.normal(0.48, spread * 0.5), 0.12, 0.88),
        ]
    )
    ray = np.array([(at_px[0] - camera.cx) / camera.fx, (at_px[1] - camera.cy) / camera.fy, 1.0])
    nose = vertices[LANDMARKS_68][27].astype(np.float64) * 0.01
    t = ray * distance - R @ HEAD_CAMERA @ nose
    return R, t, camera
