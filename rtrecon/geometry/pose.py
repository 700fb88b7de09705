"""Head pose: the mean face fitted to five landmarks, with their depths where they are known.

Face frame: origin midway between the eyes, x to the right of the picture, y down, z into
the head, so that a face that looks straight at the camera has the identity as rotation.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.geometry.mean_face import mean_face
from rtrecon.geometry.rays import undistort
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = ["camera_rotation", "fit_pose", "guess_distance_m", "guess_pose", "transform"]

# What a landmark of the detector misses the mean face by, in metres, across and along the
# line of sight: a person's own shape, the expression (mouth), the network (depth).
_SIGMA_ACROSS_M = np.array([0.002, 0.002, 0.003, 0.005, 0.005])
_SIGMA_DEPTH_M = np.array([0.004, 0.004, 0.006, 0.007, 0.007])
# Without depths five noisy points allow mirrored poses: heads seldom turn further than this.
_SIGMA_PRIOR_RAD = np.radians(35.0)
_ITERATIONS = 6
_DONE = 1e-4  # radians and metres
_LINEAR_RAD = 0.6  # a step no longer than where the linearisation holds
_NEAREST_M = 0.02
_UNIT = np.eye(3)


def transform(R: Float64Array, t: Float64Array) -> Float64Array:
    """(4, 4) float64 from a rotation (3, 3) and a translation (3,)."""
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t
    return T


def camera_rotation(
    R_crop: Float32Array, crop: Crop, intrinsics: Intrinsics
) -> Float64Array | None:
    """A network's rotation, from the head to the camera of the picture; (3, 3) float64.

    The network sees a crop: its camera looks along the ray through the crop's middle and is
    rolled as the crop is (`rtrecon.depth.model.DepthPrediction`).

    Returns:
        None where ``R_crop`` is not finite or not a rotation.
    """
    R = np.asarray(R_crop, dtype=np.float64)
    # A rotation in float32 is one to six digits; what is wrong, or not finite, is off by more.
    if not float(np.abs(R @ R.T - _UNIT).max()) < 0.05 or _determinant(R) < 0.0:
        return None
    M, middle = crop.M_picture_crop, np.full((1, 2), (crop.size_px - 1) / 2.0)
    ray = undistort(middle @ M[:, :2].T + M[:, 2], intrinsics)[0]
    turned = R.copy()  # by the crop's roll, about the ray through its middle
    turned[:2] = M[:, :2] * (crop.size_px / crop.side_px) @ R[:2]
    return _nearest_rotation(_facing(ray).T @ turned)


def guess_pose(rays: Float64Array, ipd_m: float) -> Float64Array:
    """A face turned to the camera, rolled and placed as five landmark rays (5, 2) say; (4, 4)."""
    eyes, across, along = _cross_of_face(rays)
    width, height = max(math.hypot(*across), 1e-9), max(math.hypot(*along), 1e-9)
    right, down = (across[0] / width, across[1] / width), (along[0] / height, along[1] / height)
    roll = math.atan2(right[1] - down[0], right[0] + down[1])
    R = _toward(np.array(eyes)) @ _rotation(np.array([0.0, 0.0, roll]))
    return transform(R, guess_distance_m(rays, ipd_m) * np.array([*eyes, 1.0]))


def guess_distance_m(rays: Float64Array, ipd_m: float) -> float:
    """Camera depth of the middle of the eyes of a mean face seen at five landmark rays (5, 2)."""
    _, across, along = _cross_of_face(rays)
    face = mean_face()
    tall_m = float(face.landmarks[3:, 1].mean()) * ipd_m / face.ipd_m
    # Turning shortens the eye line, nodding the height: the larger of the two is closer to true.
    return min(
        ipd_m / max(math.hypot(*across), 1e-6),
        tall_m / max(math.hypot(*along), 1e-6),
    )


_Vector = tuple[float, float]


def _cross_of_face(rays: Float64Array) -> tuple[_Vector, _Vector, _Vector]:
    """The middle of the eyes, from the left to the right one, and down to the mouth's middle."""
    (lx, ly), (rx, ry), _, (ax, ay), (bx, by) = rays.tolist()
    eyes = (0.5 * (lx + rx), 0.5 * (ly + ry))
    return eyes, (rx - lx, ry - ly), (0.5 * (ax + bx) - eyes[0], 0.5 * (ay + by) - eyes[1])


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
    # Residuals in metres at the landmark's own depth, so that one unit serves all three axes.
    residual = np.zeros((5, 3))
    by_point = np.zeros((5, 3, 3))  # residual by camera point
    by_step = np.zeros((5, 3, 6))  # camera point by turn about the face's origin and translation
    by_step[:, :, 3:] = np.eye(3)
    by_point[:, 2, 2] = weight_depth
    for _ in range(_ITERATIONS):
        turned = points @ R.T
        camera = turned + t
        Z = np.maximum(camera[:, 2], _NEAREST_M)
        seen = camera[:, :2] / Z[:, None]
        weight = max(float(t[2]), _NEAREST_M) / _SIGMA_ACROSS_M
        residual[:, :2] = (seen - rays) * weight[:, None]
        residual[:, 2] = (Z - depth) * weight_depth
        by_point[:, 0, 0] = by_point[:, 1, 1] = scaled = weight / Z
        by_point[:, :2, 2] = -seen * scaled[:, None]
        # The derivative of a turned point is minus its cross product matrix.
        by_step[:, 0, 1], by_step[:, 1, 0] = turned[:, 2], -turned[:, 2]
        by_step[:, 2, 0], by_step[:, 0, 2] = turned[:, 1], -turned[:, 1]
        by_step[:, 1, 2], by_step[:, 2, 1] = turned[:, 0], -turned[:, 0]
        jacobian = (by_point @ by_step).reshape(15, 6)
        normal = jacobian.T @ jacobian
        gradient = jacobian.T @ residual.reshape(15)
        if R_prior is not None:
            precision = 1.0 / _SIGMA_PRIOR_RAD**2
            gradient[:3] += _rotation_vector(R @ R_prior.T) * precision
            normal.flat[:15:7] += precision
        normal.flat[::7] *= 1.0 + 1e-6
        step = np.linalg.solve(normal, -gradient)
        turn = math.sqrt(float(step[:3] @ step[:3]))
        if turn > _LINEAR_RAD:
            step *= _LINEAR_RAD / turn
        R = _rotation(step[:3]) @ R
        t = t + step[3:]
        t[2] = max(t[2], _NEAREST_M)
        if turn < _DONE and np.abs(step[3:]).max() < _DONE:
            break
    return transform(R, t)


def _toward(ray: Float64Array) -> Float64Array:
    """Rotation of a face at (x, y, 1) that looks at the camera."""
    return _rotation(np.array([-np.arctan(ray[1]), np.arctan(ray[0]), 0.0]))


def _facing(ray: Float64Array) -> Float64Array:
    """The least rotation (3, 3) that turns the ray (x, y, 1) into the optical axis."""
    x, y = ray.tolist()
    n = math.sqrt(x * x + y * y + 1.0)
    k = 1.0 / (n * (n + 1.0))
    return np.array(
        [
            [1.0 - k * x * x, -k * x * y, -x / n],
            [-k * x * y, 1.0 - k * y * y, -y / n],
            [x / n, y / n, 1.0 / n],
        ]
    )


def _determinant(R: Float64Array) -> float:
    (a, b, c), (d, e, f), (g, h, i) = R.tolist()
    return float(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))


def _nearest_rotation(R: Float64Array) -> Float64Array:
    return _rotation(_rotation_vector(R))  # the second makes it orthonormal first


def _rotation(vector: npt.NDArray[np.floating]) -> Float64Array:
    return np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)


def _rotation_vector(R: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(R)[0], dtype=np.float64).reshape(3)
