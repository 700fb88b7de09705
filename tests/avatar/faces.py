"""Results with faces whose pose and coefficients are given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from rtrecon.avatar.frame import AvatarFrame, eyes_of
from rtrecon.avatar.rotations import Quaternion, from_angles, to_matrix
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mean_head import mean_head
from rtrecon.result import LiveResult
from rtrecon.types import Expression, Frame

PICTURE = np.zeros((48, 64, 3), dtype=np.uint8)


def turned(pitch_deg: float = 0.0, yaw_deg: float = 0.0, roll_deg: float = 0.0) -> Quaternion:
    return from_angles(*np.radians([pitch_deg, yaw_deg, roll_deg]).tolist())


def face(
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0),
    at_m: tuple[float, float, float] = (0.0, 0.0, 0.5),
    id: int = 0,  # noqa: A002
    **coefficients: float,
) -> Any:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = to_matrix(rotation), at_m
    values = [coefficients.get(name, 0.0) for name in ARKIT_NAMES[:51]]
    return SimpleNamespace(
        id=id,
        T_camera_face=T,
        box_px=np.array([10, 10, 40, 40], dtype=np.float32),
        expression=Expression(ARKIT_NAMES[:51], values),
        landmarks68_px=None,
        landmarks68_camera=None,
    )


def result(t_s: float, *faces: Any, index: int = 0) -> LiveResult:
    return LiveResult(Frame(PICTURE, index, round(t_s * 1e9)), faces, 5.0)


def sample() -> AvatarFrame:
    """Ten degrees down, twenty to the own right, five to the own left shoulder; the left eye
    closes and looks out, the jaw is open."""
    values = np.zeros(52, dtype=np.float32)
    for name, value in {"eyeBlinkLeft": 0.9, "eyeLookOutLeft": 0.5, "jawOpen": 0.4}.items():
        values[ARKIT_NAMES.index(name)] = value
    count = np.arange(68, dtype=np.float32)
    return AvatarFrame(
        t_s=12.5,
        sequence=375,
        face_id=0,
        rotation=turned(10, 20, 5),
        position_m=(0.01, -0.02, 0.03),
        coefficients=values,
        eyes=eyes_of(values),
        state="tracked",
        landmarks68_px=np.stack([count, count + 1], axis=1),
        landmarks68_face=mean_head().points[:68].astype(np.float32),
    )
