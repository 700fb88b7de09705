"""Head pose: the mean face fitted to five landmarks, with their depths where they are known.

Face frame: origin midway between the eyes, x to the right of the picture, y down, z into
the head, so that a face that looks straight at the camera has the identity as rotation.
"""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.geometry.mean_face import mean_face
from rtrecon.types import Float64Array

__all__ = ["fit_pose", "guess_pose", "transform"]

# What a landmark of the detector misses the mean face by, in metres, across and along the
# line of sight: a person's own shape, the expression (mouth), the network (depth).
_SIGMA_ACROSS_M = np.array([0.002, 0.002, 0.003, 0.005, 0.005])
_SIGMA_DEPTH_M = np.array([0.004, 0.004, 0.006, 0.007, 0.007])
# Without depths five noisy points allow mirrored poses: heads seldom turn further than this.
_SIGMA_PRIOR_RAD = np.radians(35.0)
_ITERATIONS = 6
_DONE = 1e-5


def transform(R: Float64Array, t: Float64Array) -> Float64Array:
    """(4, 4) float64 from a rotation (3, 3) and a translation (3,)."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return T


def guess_pose(rays: Float64Array, ipd_m: float) -> Float64Array:
    """A face turned to the camera, rolled and placed as five landmark rays (5, 2) say; (4, 4)."""
    eyes, mouth = rays[:2].mean(axis=0), rays[3:].mean(axis=0)
    across, along = rays[1] - rays[0], mouth - eyes
    right = across / max(np.linalg.norm(across), 1e-9)
    down = along / max(np.linalg.norm(along), 1e-9)
    roll = np.arctan2(right[1] - down[0], right[0] + down[1])
    face = mean_face()
    tall_m = float(face.landmarks[3:, 1].mean()) * ipd_m / face.ipd_m
    # Turning shortens the eye line, nodding the height: the larger of the two is closer to true.
    z_m = min(ipd_m / max(np.linalg.norm(across), 1e-6), tall_m / max(np.linalg.norm(along), 1e-6))
    R = _toward(eyes) @ _rotation(np.array([0.0, 0.0, roll]))
    return transform(R, z_m * np.array([eyes[0], eyes[1], 1.0]))


def fit_pose(
    rays: Float64Array,
    depths_m: Float64Array | None,
    ipd_m: float,
    start: Float64Array,
) -> Float64Array:
    """Gauss-Newton fit of the mean face to landmarks.

    Args:
        rays: (5, 2) undistorted x, y at depth one.
        depths_m: (5,) camera depths of the landmarks, NaN where unknown; None: none known, and
            a weak prior holds the pose near `guess_pose`, so that noise does not mirror it.
        ipd_m: pupils' distance that the mean face is scaled to.
        start: (4, 4) first guess, from `guess_pose` or the frame before.

    Returns:
        (4, 4) float64 ``T_camera_face``. Its translation is that of the fitted mean face.
    """
    face = mean_face()
    points = face.landmarks * (ipd_m / face.ipd_m)
    R, t = start[:3, :3].copy(), start[:3, 3].copy()
    R_prior = guess_pose(rays, ipd_m)[:3, :3] if depths_m is None else None
    known = np.zeros(5, dtype=bool) if depths_m is None else np.isfinite(depths_m)
    weight_depth = known / _SIGMA_DEPTH_M
    depth = np.zeros(5) if depths_m is None else np.where(known, depths_m, 0.0)
    jacobian = np.zeros((18, 6))
    residual = np.zeros(18)
    for _ in range(_ITERATIONS):
        turned = points @ R.T
        X, Y, Z = (turned + t).T
        Z = np.maximum(Z, 0.02)
        # Residuals in metres at the landmark's own depth, so that one unit serves all three.
        weight = float(t[2]) / _SIGMA_ACROSS_M
        residual[0:5] = (X / Z - rays[:, 0]) * weight
        residual[5:10] = (Y / Z - rays[:, 1]) * weight
        residual[10:15] = (Z - depth) * weight_depth
        _fill(jacobian, turned, X, Y, Z, weight, weight_depth)
        if R_prior is not None:
            residual[15:] = _rotation_vector(R @ R_prior.T) / _SIGMA_PRIOR_RAD
            jacobian[15:, :3] = np.eye(3) / _SIGMA_PRIOR_RAD
        normal = jacobian.T @ jacobian
        normal.flat[::7] *= 1.0 + 1e-6
        step = np.linalg.solve(normal, -(jacobian.T @ residual))
        turn = float(np.linalg.norm(step[:3]))
        if turn > 0.6:  # stay where the linearisation holds
            step *= 0.6 / turn
        R = _rotation(step[:3]) @ R
        t = t + step[3:]
        t[2] = max(t[2], 0.02)
        if turn < _DONE and np.abs(step[3:]).max() < _DONE:
            break
    return transform(R, t)


def _fill(
    jacobian: Float64Array,
    turned: Float64Array,
    X: Float64Array,
    Y: Float64Array,
    Z: Float64Array,
    weight: Float64Array,
    weight_depth: Float64Array,
) -> None:
    """Derivatives by a turn about the face's origin (left) and by translation."""
    # d(turned)/d(turn) = -[turned]x: rows for x, y, z.
    px, py, pz = turned.T
    zero = np.zeros(5)
    dx = np.stack([zero, pz, -py], axis=1)
    dy = np.stack([-pz, zero, px], axis=1)
    dz = np.stack([py, -px, zero], axis=1)
    inverse = (weight / Z)[:, None]
    x, y = (X / Z)[:, None], (Y / Z)[:, None]
    jacobian[0:5, :3] = (dx - x * dz) * inverse
    jacobian[5:10, :3] = (dy - y * dz) * inverse
    jacobian[10:15, :3] = dz * weight_depth[:, None]
    jacobian[0:5, 3] = inverse[:, 0]
    jacobian[0:5, 5] = (-x * inverse)[:, 0]
    jacobian[5:10, 4] = inverse[:, 0]
    jacobian[5:10, 5] = (-y * inverse)[:, 0]
    jacobian[10:15, 5] = weight_depth


def _toward(ray: Float64Array) -> Float64Array:
    """Rotation of a face at (x, y, 1) that looks at the camera."""
    return _rotation(np.array([-np.arctan(ray[1]), np.arctan(ray[0]), 0.0]))


def _rotation(vector: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)


def _rotation_vector(R: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(R)[0], dtype=np.float64).reshape(3)
