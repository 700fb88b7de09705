"""Eyes that look somewhere: where to, and eyeballs that turn there.

ICT-FaceKit's eyeLook shapes move the lids alone. The balls are turned here about the sphere of
the sclera; without that, gaze is a label with nothing to see.
"""

from __future__ import annotations

import numpy as np

from rtrecon.train.face_model import PARTS, FaceModel
from rtrecon.train.heads.pose import HEAD_CAMERA
from rtrecon.types import Float32Array, Float64Array

__all__ = ["GAZE_DEG", "eye_centers", "sample_gaze", "turn_eyes"]

GAZE_DEG = (32.0, 25.0)
"""By how much a coefficient of 1 turns the eye: in or out, up or down."""

_SCLERA = {"L": (21451, 22221), "R": (23021, 23791)}
_BALL = {"L": PARTS["eye_left"], "R": PARTS["eye_right"]}
_OUTWARD = {"L": 1.0, "R": -1.0}  # along x, the face's left


def eye_centers(vertices: Float32Array) -> dict[str, Float64Array]:
    """Centre (3,) of each eyeball's sclera in the head frame, centimetres, by least squares."""
    centers = {}
    for side, (first, end) in _SCLERA.items():
        points = vertices[first:end].astype(np.float64)
        system = np.c_[2 * points, np.ones(len(points))]
        solution = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0]
        centers[side] = np.asarray(solution[:3])
    return centers


def sample_gaze(
    rng: np.random.Generator,
    model: FaceModel,
    weights: Float32Array,
    vertices: Float32Array,
    R_camera_head: Float64Array,
    t_camera: Float64Array,
) -> None:
    """Write the eyeLook weights into ``weights`` (57,): at the camera, anywhere, or ahead.

    ``vertices`` (n, 3) of the head (centimetres) whose pose is ``R_camera_head`` with the
    identity for a frontal face, and ``t_camera`` (metres). People look at the camera with their
    heads turned; a gaze that never knows of it is rare in photographs.
    """
    draw = rng.random()
    aims = {
        side: _toward_camera(c, R_camera_head, t_camera)
        for side, c in eye_centers(vertices).items()
    }
    reach = np.abs(np.array(list(aims.values()))) / GAZE_DEG
    if draw < 0.35 and reach.max() < 1.0:
        miss = rng.normal(0, 2.0, 2)
        angles_deg = {side: aim + miss for side, aim in aims.items()}
    else:
        if draw < 0.8:
            aim = rng.uniform(-1, 1, 2) * GAZE_DEG
        else:
            aim = rng.normal(0, [0.3, 0.2]) * GAZE_DEG
        inward = rng.uniform(0, 4.0) if rng.random() < 0.7 else 0.0
        angles_deg = {s: aim - np.array([_OUTWARD[s] * inward, 0.0]) for s in _OUTWARD}
    index = {name: k for k, name in enumerate(model.expression_names)}
    for side, (across, up) in angles_deg.items():
        outward = across * _OUTWARD[side] / GAZE_DEG[0]
        weights[index[f"eyeLookOut_{side}"]] = np.clip(outward, 0, 1)
        weights[index[f"eyeLookIn_{side}"]] = np.clip(-outward, 0, 1)
        weights[index[f"eyeLookUp_{side}"]] = np.clip(up / GAZE_DEG[1], 0, 1)
        weights[index[f"eyeLookDown_{side}"]] = np.clip(-up / GAZE_DEG[1], 0, 1)


def turn_eyes(model: FaceModel, vertices: Float32Array, weights: Float32Array) -> Float32Array:
    """A copy of ``vertices`` (n, 3) with the eyeballs turned as ``weights`` (57,) say."""
    index = {name: k for k, name in enumerate(model.expression_names)}
    turned = vertices.copy()
    for side, center in eye_centers(vertices).items():
        look = {
            way: float(weights[index[f"eyeLook{way}_{side}"]])
            for way in ("Out", "In", "Up", "Down")
        }
        across = np.radians(GAZE_DEG[0]) * (look["Out"] - look["In"]) * _OUTWARD[side]
        up = np.radians(GAZE_DEG[1]) * (look["Up"] - look["Down"])
        R = _gaze_rotation(across, up)
        first, end = _BALL[side]
        turned[first:end] = (vertices[first:end] - center) @ R.T + center
    return turned


def _gaze_rotation(across: float, up: float) -> Float64Array:
    """Turns straight ahead (+z) ``across`` to the face's left (+x), then ``up`` (+y), radians."""
    ca, sa, cu, su = np.cos(across), np.sin(across), np.cos(up), np.sin(up)
    yaw = np.array([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]])
    pitch = np.array([[1, 0, 0], [0, cu, su], [0, -su, cu]])
    return np.asarray(yaw @ pitch)


def _toward_camera(
    center_cm: Float64Array, R_camera_head: Float64Array, t_camera: Float64Array
) -> Float64Array:
    """Degrees (across to the face's left, up) by which an eye sees the camera."""
    M = R_camera_head @ HEAD_CAMERA
    to_camera = M.T @ -(M @ (center_cm * 0.01) + t_camera)
    to_camera /= np.linalg.norm(to_camera)
    return np.degrees([np.arctan2(to_camera[0], to_camera[2]), np.arcsin(to_camera[1])])
