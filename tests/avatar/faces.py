"""Results with faces whose pose and coefficients are given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from rtrecon.avatar.rotations import Quaternion, from_angles, to_matrix
from rtrecon.expression.names import ARKIT_NAMES
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
