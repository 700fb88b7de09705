"""What a frame's depth, landmarks and silhouette ask of a head: linear equations about a guess.

As `rtrecon.geometry.head_fit`, whose head is the mean: here the person's own shape is among the
unknowns, and the head may not stick out of what was seen of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.geometry.head_fit import LookUp, Surface, cross, dot, huber, weigh_depth
from rtrecon.geometry.mask import mask_outside_picture
from rtrecon.geometry.rays import undistort
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.points import LANDMARKS, HeadPoints
from rtrecon.types import Float32Array, Float64Array

__all__ = ["POSE", "Equations", "Guess", "View", "view_of"]

POSE = 7
"""Unknowns before the shape: turn (3), shift (3) in metres, logarithm of the size."""

# Metres; the depth's points count as in the placement.
_LANDMARK_SIGMA_M, _LANDMARK_HUBER_M = 0.005, 0.0125
_RIM_SIGMA_M, _RIM_HUBER_M, _RIM_LIMIT_M = 0.004, 0.006, 0.03
_RIM_TURN = 0.35  # a silhouette is where a head's normal lies across the line of sight
_MOST_RIM, _MOST_SEEN = 40, 0.75  # equations; share of the face that is seen
_NEAREST = 0.2  # of the head's distance: no point of it is nearer


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """A head: a point ``V`` of it is at ``scale R V + t``; ``weights`` (k + e,) of its points'
    basis."""

    R: Float64Array
    t: Float64Array
    scale: float
    weights: Float64Array

    def moved(self, step: Float64Array, weights: Float64Array) -> Guess:
        """Turned, shifted and scaled by a solution's first seven, with other weights."""
        return replace(
            self,
            R=np.asarray(cv2.Rodrigues(step[:3])[0] @ self.R),
            t=self.t + step[3:6],
            scale=self.scale * math.exp(float(step[6])),
            weights=weights,
        )


@dataclass(slots=True, eq=False)
class View:
    """What a frame shows of a head.

    ``surface`` depth in metres; ``rays`` (2, 68) of the landmarks, None without them.
    """

    surface: LookUp
    rays: Float64Array | None
    _face: FaceReconstruction
    _beyond_px: Float32Array | None = None

    def beyond_px(self) -> Float32Array:
        """(h, w) how far off the seen head a pixel of the crop lies; beyond the picture nothing
        is known, and it is 0. Computed when first asked for."""
        if self._beyond_px is None:
            face = self._face
            outside = ~face.grid.valid
            mask_outside_picture(outside, face.crop, face.intrinsics.width, face.intrinsics.height)
            beyond = cv2.distanceTransform(outside.view(np.uint8), cv2.DIST_L2, 3)
            self._beyond_px = np.asarray(beyond, dtype=np.float32)
        return self._beyond_px


def view_of(face: FaceReconstruction) -> View:
    """What ``face`` shows."""
    grid = face.grid
    z = cv2.extractChannel(grid.points_camera, 2)
    surface = Surface(np.asarray(z), grid.valid, grid.normals, face.crop, face.intrinsics)
    rays = None
    marks = face.landmarks68_px
    if marks is not None and np.isfinite(marks).all():
        rays = np.ascontiguousarray(undistort(marks, face.intrinsics).T, dtype=np.float64)
    return View(LookUp(surface), rays, face)


class Equations:
    """Rows, errors and weights of one frame, in work arrays of their own.

    The unknowns are what changes the guess: `POSE`, then the weights of the points' basis.

    Args:
        points: of the head.

    Attributes:
        count: points of depth that took part.
    """

    def __init__(self, points: HeadPoints) -> None:
        self.points = points
        n, m = len(points.vertices), LANDMARKS
        self._n = n
        marks, none = points.basis[:, :, :m], np.zeros((len(points.basis), 3, _MOST_RIM))
        self._basis = points.basis.reshape(len(points.basis), -1)
        # An equation a point of depth, two a landmark, one a point that sticks out.
        self._moved = np.concatenate([points.basis, marks, marks, none], axis=2)
        total = self._total = n + 2 * m + _MOST_RIM
        self._direction, self._at = np.zeros((3, total)), np.zeros((3, total))
        self._error, self._weight = np.zeros(total), np.zeros(total)
        self._rows = np.zeros((POSE + len(points.basis), total))
        self.count = 0

    def set(self, view: View, guess: Guess) -> None:
        """Linearise about ``guess``; `count` says how many points of depth take part."""
        n, m = self._n, LANDMARKS
        V = self.points.mean + (guess.weights @ self._basis).reshape(3, -1)
        q = guess.scale * (guess.R @ V)
        X = q + guess.t[:, None]
        np.maximum(X[2], _NEAREST * float(guess.t[2]), out=X[2])
        normal = guess.R @ self.points.normals
        facing = dot(normal, X) / -np.sqrt(dot(X, X))
        self.count, on_head = self._depth(view.surface, X, normal, facing)
        if view.rays is None:
            self._weight[n : n + 2 * m] = 0.0
        else:
            self._landmarks(view.rays, X)
        out = self._sticking_out(facing, on_head)
        self._total = total = n + 2 * m + len(out)
        at, rows = self._at[:, :total], self._rows[:, :total]
        at[:, :n], at[:, n : n + m], at[:, n + m : n + 2 * m] = q, q[:, :m], q[:, :m]
        if len(out):
            self._rim(view, X[:, out])
            at[:, n + 2 * m :] = q[:, out]
            self._moved[:, :, n + 2 * m : total] = self.points.basis[:, :, out]
        direction = self._direction[:, :total]
        cross(at, direction, rows[:3])
        rows[3:6] = direction
        rows[6] = dot(at, direction)
        turned = guess.R.T @ direction
        turned *= guess.scale
        np.einsum("kin,in->kn", self._moved[:, :, :total], turned, out=rows[POSE:])
        rows *= self._weight[:total]
        self._error[:total] *= self._weight[:total]

    def normal(self) -> tuple[Float64Array, Float64Array]:
        """Normal equations of the last `set`: (p, p), and (p,) of the change of the guess."""
        rows = self._rows[:, : self._total]
        return rows @ rows.T, rows @ self._error[: self._total]

    def _depth(
        self, surface: LookUp, X: Float64Array, head_normal: Float64Array, facing: Float64Array
    ) -> tuple[int, Float64Array]:
        n = self._n
        z, normal, on_head = surface(X)
        self._direction[:, :n] = normal
        error, weight = self._error[:n], self._weight[:n]
        # The surface seen in the direction of X is at X z / X_z.
        np.multiply(dot(normal, X), z / X[2] - 1.0, out=error)
        return weigh_depth(error, facing, dot(head_normal, normal), on_head, out=weight), on_head

    def _landmarks(self, rays: Float64Array, X: Float64Array) -> None:
        """Across the line of sight, in metres."""
        n, m = self._n, LANDMARKS
        X = X[:, :m]
        z_m = float(X[2].sum()) / m
        seen = X[:2] / X[2]
        error = self._error[n : n + 2 * m].reshape(2, m)
        np.multiply(rays - seen, z_m, out=error)
        size = np.sqrt(error[0] ** 2 + error[1] ** 2)
        weight = self._weight[n : n + 2 * m].reshape(2, m)
        weight[:] = huber(size, _LANDMARK_HUBER_M) / _LANDMARK_SIGMA_M
        # How x / z and y / z change with the point.
        per_z = z_m / X[2]
        direction = self._direction[:, n : n + 2 * m].reshape(3, 2, m)
        direction[0, 0] = direction[1, 1] = per_z
        np.multiply(seen, -per_z, out=direction[2])

    def _sticking_out(self, facing: Float64Array, on_head: Float64Array) -> npt.NDArray[np.intp]:
        """Points of cheek and jaw on the head's outline that may lie off the seen one."""
        toward = facing > _RIM_TURN
        if float(on_head[toward].sum()) < _MOST_SEEN * np.count_nonzero(toward):
            return self.points.rim[:0]  # what covers a face draws the outline then
        rim = self.points.rim
        out = rim[(np.abs(facing[rim]) < _RIM_TURN) & (on_head[rim] < 1.0)]
        return out[:: len(out) // _MOST_RIM + 1]

    def _rim(self, view: View, X: Float64Array) -> None:
        """One-sided: only where the head sticks out, towards what is seen."""
        part = slice(self._n + 2 * LANDMARKS, self._total)
        px = view.surface.pixels(X).astype(np.float32)
        x, y = px[0] + _ASIDE[0], px[1] + _ASIDE[1]
        beyond = cv2.remap(
            view.beyond_px(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        ).astype(np.float64)
        # How pixels of the crop, and so the distance, change with the point.
        A = view.surface.pixels_per_slope
        grow_x, grow_y = (beyond[1] - beyond[2]) * 0.5, (beyond[3] - beyond[4]) * 0.5
        gx, gy = grow_x * A[0, 0] + grow_y * A[1, 0], grow_x * A[0, 1] + grow_y * A[1, 1]
        metres = X[2] / math.sqrt(abs(float(A[0, 0] * A[1, 1] - A[0, 1] * A[1, 0])))
        over = beyond[0] * metres
        self._error[part] = -over
        direction, per_z = self._direction[:, part], metres / X[2]
        direction[0], direction[1] = gx * per_z, gy * per_z
        np.multiply(direction[0] * X[0] + direction[1] * X[1], -1.0 / X[2], out=direction[2])
        weight = self._weight[part]
        np.multiply(over > 0.0, over < _RIM_LIMIT_M, out=weight)
        weight *= huber(over, _RIM_HUBER_M) / _RIM_SIGMA_M


_ASIDE = np.array(
    [[0.0, 1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, -1.0]], dtype=np.float32
).reshape(2, 5, 1)
