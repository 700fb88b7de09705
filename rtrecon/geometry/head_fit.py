"""The mean head placed in one frame: rotation, translation and size by depth and landmarks.

Two Gauss-Newton steps from the network's rotation, or one from the frame before. What is fitted is
the network's own dense depth, point to plane (Chen and Medioni, "Object modelling by registration
of multiple range images", 1992), and its 68 landmarks. The depth may have any scale: the head's
size in it is one of the unknowns, and it is what says how large that scale is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.geometry.mean_head import LANDMARK_COUNT, MeanHead
from rtrecon.types import Float32Array, Float64Array, Intrinsics

__all__ = [
    "HeadFit",
    "HeadFitter",
    "LookUp",
    "Surface",
    "cross",
    "dot",
    "huber",
    "linear_start",
    "median",
    "ramp",
]

_STEPS = 2
# Metres of the head itself, whatever the scale of the depth.
_DEPTH_SIGMA_M, _DEPTH_HUBER_M, _DEPTH_LIMIT_M = 0.003, 0.0075, 0.02
_DEPTH_COUNT = 200  # neighbours err together: more points than these do not say more
_LANDMARK_SIGMA_M, _LANDMARK_HUBER_M = 0.005, 0.0125
# Points fade out, as one that is in or out by a hair would make a still head tremble. Cosines,
# nothing below the first and whole above the second: of a point's turn toward the camera (away
# from it the silhouette is near), and of the angle between the head's normal and the depth's.
FACING, _AGREEING = (0.2, 0.5), (0.6, 0.85)
_ROTATION_SIGMA_RAD = math.radians(1.0)  # of the network, against some hundred points: a third
_RIDGE, _LASSO = 0.35, 0.5  # spread of the coefficients, and how readily they stay at nothing
_INNER = slice(17, LANDMARK_COUNT)  # without the contour of the jaw, which slides when turned
_STEP_RAD = 0.5  # a step no longer than where the linearisation holds
_LITTLE_TURN_TRACE = 1.0 + 2.0 * math.cos(math.radians(8.0))  # of the rotation between the two
_MIN_POINTS = 30
_NEAREST = 0.2  # of the head's distance: no point of it is nearer


@dataclass(slots=True, eq=False)
class Surface:
    """The depth that a head is placed in, over the pixels of a crop.

    ``z`` (h, w) float32 in any unit, ``valid`` (h, w) bool where it is of the head, ``normals``
    (h, w, 3) float32 unit, toward the camera.
    """

    z: Float32Array
    valid: npt.NDArray[np.bool_]
    normals: Float32Array
    crop: Crop
    intrinsics: Intrinsics


@dataclass(slots=True, eq=False)
class HeadFit:
    """Where the head lies in a depth.

    A point ``V`` of the head is at ``scale R V + t``: ``R`` (3, 3) float64, ``t`` (3,) in the
    depth's unit, ``scale`` in that unit a metre of the head. ``coefficients`` (k,) in [0, 1]
    of the head's expressions, shrunk toward nothing. ``points``: how many points of depth
    took part. ``depth_m``, ``landmark_m``: median error of these and of the landmarks, in
    metres of the head.
    """

    R: Float64Array
    t: Float64Array
    scale: float
    coefficients: Float64Array
    points: int
    depth_m: float
    landmark_m: float


class HeadFitter:
    """Fits one head again and again in work arrays of its own; remembers no frame.

    Args:
        head: what is fitted.
    """

    def __init__(self, head: MeanHead) -> None:
        n, k, m = len(head.points), len(head.expression), LANDMARK_COUNT
        self._n, self._k = n, k
        # Component by component: NumPy is slow along short rows.
        self._points = np.ascontiguousarray(head.points.T)
        self._head_normals = np.ascontiguousarray(head.normals.T)
        basis = head.expression.transpose(0, 2, 1)
        self._basis = np.ascontiguousarray(basis.reshape(k, 3 * n))
        # An equation a point of depth, then two a landmark: along a direction, at a point.
        marks = basis[:, :, :m]
        self._moved = np.ascontiguousarray(np.concatenate([basis, marks, marks], axis=2))
        count = n + 2 * m
        self._direction = np.zeros((3, count))
        self._at = np.zeros((3, count))
        self._error, self._weight = np.zeros(count), np.zeros(count)
        self._rows = np.zeros((7 + k, count))
        self._prior = np.zeros(7 + k)
        self._prior[:3], self._prior[3:7] = _ROTATION_SIGMA_RAD**-2, 1e-9
        self._prior[7:] = _RIDGE**-2

    def fit(
        self,
        surface: Surface,
        landmark_rays: Float64Array,
        R_network: Float64Array,
        before: HeadFit | None = None,
    ) -> HeadFit | None:
        """Place the head.

        Args:
            surface: the depth.
            landmark_rays: (68, 2) x, y at depth one, finite.
            R_network: (3, 3) rotation to begin with, and to stay near.
            before: of the frame before: where the head has turned by little since, one step
                from there is enough.

        Returns:
            None where the depth does not show a head.
        """
        look_up, rays = LookUp(surface), landmark_rays.T
        R, e, steps = R_network, np.zeros(self._k), _STEPS
        if before is not None and np.vdot(before.R, R_network) > _LITTLE_TURN_TRACE:
            R, e, steps = before.R, before.coefficients, 1
        begun = linear_start(look_up, R @ self._points[:, _INNER], rays[:, _INNER])
        if begun is None:
            return None
        (t, scale), count = begun, 0
        for _ in range(steps):
            V = self._points + (e @ self._basis).reshape(3, -1)
            q = R @ V
            X = q + (t / scale)[:, None]
            np.maximum(X[2], _NEAREST * float(t[2]) / scale, out=X[2])
            count = self._depth(look_up, X, scale, R)
            if count < _MIN_POINTS:
                return None
            self._landmarks(rays, X)
            step = self._step(q, R, R_network, e)
            turn = math.sqrt(float(step[:3] @ step[:3]))
            if turn > _STEP_RAD:
                step *= _STEP_RAD / turn
            R = _rotation(step[:3]) @ R
            t = t + scale * step[3:6]
            scale *= math.exp(float(step[6]))
            e = np.minimum(np.maximum(e + step[7:], 0.0), 1.0)
            if not (math.isfinite(scale) and t[2] > 0.0):
                return None
        # Errors before the last step, which moves by little.
        n = self._n
        depth = np.abs(self._error[:n][self._weight[:n] > 0.0])
        marks = np.hypot(*self._error[n:].reshape(2, -1))
        return HeadFit(R, t, scale, e, count, median(depth), median(marks))

    def _depth(self, look_up: LookUp, X: Float64Array, scale: float, R: Float64Array) -> int:
        """Equations of the depth's points, in metres of the head; how many take part."""
        n = self._n
        z, normal, on_head = look_up(X)
        head_normal = R @ self._head_normals
        facing = dot(head_normal, X) / -np.sqrt(dot(X, X))
        self._direction[:, :n] = normal
        error, weight = self._error[:n], self._weight[:n]
        # The surface seen in the direction of X is at X z / X_z.
        np.multiply(dot(normal, X), z / (scale * X[2]) - 1.0, out=error)
        return weigh_depth(error, facing, dot(head_normal, normal), on_head, out=weight)

    def _landmarks(self, rays: Float64Array, X: Float64Array) -> None:
        """Equations of the landmarks, across the line of sight, in metres of the head."""
        n, m = self._n, LANDMARK_COUNT
        X = X[:, :m]
        z_m = float(X[2].sum()) / m
        seen = X[:2] / X[2]
        error = self._error[n:].reshape(2, m)
        np.multiply(rays - seen, z_m, out=error)
        size = np.sqrt(error[0] ** 2 + error[1] ** 2)
        self._weight[n:].reshape(2, m)[:] = huber(size, _LANDMARK_HUBER_M) / _LANDMARK_SIGMA_M
        # How x / z and y / z change with the point.
        per_z = z_m / X[2]
        direction = self._direction[:, n:].reshape(3, 2, m)
        direction[0, 0] = direction[1, 1] = per_z
        np.multiply(seen, -per_z, out=direction[2])

    def _step(
        self, q: Float64Array, R: Float64Array, R_network: Float64Array, e: Float64Array
    ) -> Float64Array:
        """Turn, shift (in metres of the head), logarithm of the size and coefficients."""
        n, m = self._n, LANDMARK_COUNT
        at, direction, rows = self._at, self._direction, self._rows
        at[:, :n], at[:, n : n + m], at[:, n + m :] = q, q[:, :m], q[:, :m]
        cross(at, direction, rows[:3])
        rows[3:6] = direction
        rows[6] = dot(at, direction)
        np.einsum("kin,in->kn", self._moved, R.T @ direction, out=rows[7:])
        rows *= self._weight
        system = rows @ rows.T
        toward = rows @ (self._error * self._weight)
        prior = self._prior
        system.flat[:: len(prior) + 1] += prior
        toward[:3] += prior[:3] * _rotation_vector(R_network @ R.T)
        toward[7:] -= prior[7:] * e + _LASSO
        return np.asarray(np.linalg.solve(system, toward))


class LookUp:
    """The surface where points of a head project to."""

    def __init__(self, surface: Surface) -> None:
        self._z, self._normals = surface.z, surface.normals
        # A pixel less all around: depth next to a silhouette is of what is behind as well.
        self._inner = cv2.erode(
            surface.valid.view(np.uint8), _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=0
        )
        self._inner *= np.uint8(255)
        self._intrinsics = surface.intrinsics
        M, i = surface.crop.M_crop_picture, surface.intrinsics
        self._M = M
        self._A, self._b = M[:, :2], M[:, 2:]
        if not i.dist:
            self._A = M[:, :2] * (i.fx, i.fy)
            self._b = M[:, :2] @ [[i.cx], [i.cy]] + M[:, 2:]

    def __call__(self, X: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Depth (n,) and normal (3, n) of the surface seen in the direction of ``X`` (3, n), and
        the share (n,) of it that is the head's.

        Between pixels: with the nearest one a still head trembles.
        """
        x, y = self.pixels(X).astype(np.float32)
        z, normal, inner = (
            cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            for image in (self._z, self._normals, self._inner)
        )
        return (
            z[0].astype(np.float64),
            normal[0].T.astype(np.float64, order="C"),
            inner[0].astype(np.float64) / 255.0,
        )

    @property
    def pixels_per_slope(self) -> Float64Array:
        """(2, 2) how crop pixels change with x / z and y / z, but for the lens's distortion."""
        i = self._intrinsics
        return np.asarray(self._M[:, :2] * (i.fx, i.fy))

    def nearest(self, X: Float64Array) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
        """Depth (n,) of the nearest pixel, and whether it is the head's."""
        x, y = np.rint(self.pixels(X)).astype(np.intp)
        last = len(self._z) - 1
        x, y = np.minimum(np.maximum(x, 0), last), np.minimum(np.maximum(y, 0), last)
        return self._z[y, x].astype(np.float64), self._inner[y, x] > 0

    def pixels(self, X: Float64Array) -> Float64Array:
        """(2, n) crop pixels that points (3, n) project to."""
        i = self._intrinsics
        if i.dist:
            picture, _ = cv2.projectPoints(
                X.T.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), i.matrix(), np.array(i.dist)
            )
            seen = np.asarray(picture, dtype=np.float64).reshape(-1, 2).T
        else:
            seen = X[:2] / X[2]
        return np.asarray(self._A @ seen + self._b)


_SQUARE = np.ones((3, 3), dtype=np.uint8)


def linear_start(
    look_up: LookUp, turned: Float64Array, rays: Float64Array
) -> tuple[Float64Array, float] | None:
    """Translation and scale of a head whose turned landmarks are (3, n), seen at (2, n)."""
    # x (V_z + t_z) = V_x + t_x and the same for y: linear in t, the head in its own size.
    n = rays.shape[1]
    wanted = rays * turned[2] - turned[:2]
    x, y = rays.sum(axis=1)
    system = np.array([[n, 0.0, -x], [0.0, n, -y], [-x, -y, np.vdot(rays, rays)]])
    toward = np.array([*wanted.sum(axis=1), -np.vdot(rays, wanted)])
    try:
        t = np.linalg.solve(system, toward)
    except np.linalg.LinAlgError:
        return None
    X = turned + t[:, None]
    if not float(X[2].min()) > 0.0:
        return None
    z, seen = look_up.nearest(X)
    if np.count_nonzero(seen) < n // 4:
        return None
    scale = median(z[seen] / X[2, seen])
    return (t * scale, scale) if scale > 0.0 else None


def weigh_depth(
    error_m: Float64Array,
    facing: Float64Array,
    agreeing: Float64Array,
    on_head: Float64Array,
    *,
    out: Float64Array,
) -> int:
    """What each point of depth counts, one over its deviation; returns how many do.

    Args:
        error_m: (n,) of the points, in metres of the head.
        facing: (n,) cosines of their turn toward the camera.
        agreeing: (n,) cosines between the head's normals and the depth's.
        on_head: (n,) how far the depth there is the head's.
        out: (n,) the weights.
    """
    np.multiply(ramp(facing, FACING), on_head, out=out)
    out *= ramp(agreeing, _AGREEING)
    size = np.abs(error_m)
    out *= np.maximum(1.0 - (size / _DEPTH_LIMIT_M) ** 2, 0.0)
    out *= huber(size, _DEPTH_HUBER_M)
    count = int(np.count_nonzero(out))
    out /= _DEPTH_SIGMA_M * math.sqrt(max(count / _DEPTH_COUNT, 1.0))
    return count


def huber(size: Float64Array, limit: float) -> Float64Array:
    """Square root of Huber's weight."""
    return np.asarray(np.sqrt(limit / np.maximum(size, limit)))


def ramp(value: Float64Array, ends: tuple[float, float]) -> Float64Array:
    """Nothing below the first end, one from the second on, straight between."""
    slope = 1.0 / (ends[1] - ends[0])
    return np.asarray(np.minimum(np.maximum(value * slope - ends[0] * slope, 0.0), 1.0))


def dot(a: Float64Array, b: Float64Array) -> Float64Array:
    """(n,) of ``a`` and ``b``, both (3, n)."""
    return np.asarray(np.einsum("in,in->n", a, b))


def cross(a: Float64Array, b: Float64Array, out: Float64Array) -> None:
    """``a`` x ``b``, all (3, n)."""
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        np.multiply(a[i], b[j], out=out[k])
        out[k] -= a[j] * b[i]


def median(values: Float64Array) -> float:
    """NumPy's own takes as long as the rest of a step."""
    middle = len(values) // 2
    return float(np.partition(values, middle)[middle]) if len(values) else math.inf


def _rotation(vector: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)


def _rotation_vector(R: Float64Array) -> Float64Array:
    return np.asarray(cv2.Rodrigues(R)[0], dtype=np.float64).reshape(3)
