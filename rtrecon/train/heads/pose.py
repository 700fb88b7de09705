"""Expression, pose and place of a head before the camera."""

from __future__ import annotations

import numpy as np

from rtrecon.train.face_model import LANDMARKS_68, FaceModel
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["HEAD_CAMERA", "angles", "place_head", "rotation", "sample_expression"]

HEAD_CAMERA = np.diag([1.0, -1.0, -1.0])  # head frame (y up, z out) to a frontal face's camera
"""Turns the head frame's axes into the camera's for a frontal face."""


def sample_expression(rng: np.random.Generator, model: FaceModel) -> Float32Array:
    """Weights (57,): neutral, one, mixed or talking; eyes and gaze on their own."""
    names = model.expression_names
    w = np.zeros(len(names), dtype=np.float32)
    index = {name: k for k, name in enumerate(names)}

    def both(stem: str, value: float, skew: float = 0.15) -> None:
        for side in ("_L", "_R"):
            w[index[stem + side]] = np.clip(value + rng.normal(0, skew * abs(value) + 1e-6), 0, 1)

    kind = rng.choice(
        ["neutral", "smile", "talk", "mixed", "strong"], p=[0.2, 0.25, 0.22, 0.23, 0.1]
    )
    if kind == "smile":
        both("mouthSmile", rng.uniform(0.2, 1.0))
        both("cheekSquint", rng.uniform(0, 0.7))
        toothy = rng.random() < 0.6  # a row of teeth between lips, not an open mouth
        both("mouthUpperUp", rng.uniform(0.3, 0.9) if toothy else rng.uniform(0, 0.4))
        if toothy:
            both("mouthLowerDown", rng.uniform(0, 0.5))
        w[index["jawOpen"]] = max(0.0, rng.normal(0.05, 0.1))
    elif kind == "talk":
        w[index["jawOpen"]] = rng.uniform(0, 0.55)
        for stem in ("mouthFunnel", "mouthPucker", "mouthRollLower", "mouthShrugUpper"):
            if rng.random() < 0.35:
                w[index[stem]] = rng.uniform(0, 0.7)
        both("mouthLowerDown", rng.uniform(0, 0.5))
        both("mouthUpperUp", rng.uniform(0, 0.3))
    elif kind in ("mixed", "strong"):
        count = int(rng.integers(2, 8))
        chosen = rng.choice(len(names), count, replace=False)
        w[chosen] = rng.uniform(0, 1.0 if kind == "strong" else 0.55, count)
        w[
            [k for name, k in index.items() if name.startswith(("eyeLook", "Pupil", "mouthClose"))]
        ] = 0
    if rng.random() < 0.4:
        both("browDown" if rng.random() < 0.4 else "browOuterUp", rng.uniform(0, 0.7))
        both("browInnerUp", rng.uniform(0, 0.6), 0.0)
    blink = rng.uniform(0.85, 1.0) if rng.random() < 0.1 else max(0.0, rng.normal(0.08, 0.12))
    both("eyeBlink", min(1.0, blink), 0.05)
    gaze = rng.normal(0, [0.3, 0.2])
    side = ("eyeLookOut_L", "eyeLookIn_R") if gaze[0] > 0 else ("eyeLookIn_L", "eyeLookOut_R")
    for name in side:
        w[index[name]] = min(1.0, abs(gaze[0]))
    both("eyeLookUp" if gaze[1] > 0 else "eyeLookDown", min(1.0, abs(float(gaze[1]))), 0.0)
    return np.clip(w, 0, 1)


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
