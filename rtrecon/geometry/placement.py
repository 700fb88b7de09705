"""Where a face is and how it is turned, in metres, frame after frame.

The mean head is fitted to the depth and the 68 landmarks (`rtrecon.geometry.head_fit`): its size
there, which is the same from every side, gives the distance. How far apart this person's eyes are
for the size of the head is learnt while they look toward the camera, and only then, so that
turning does not pull the distance to one side. A model without landmarks and rotation, or a frame
in which they cannot be used, leaves the line of the eyes (`rtrecon.geometry.scale`).
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field

import numpy as np

from rtrecon.depth.model import DepthPrediction
from rtrecon.geometry.head_fit import HeadFit, HeadFitter, Surface
from rtrecon.geometry.landmarks import Landmarks
from rtrecon.geometry.landmarks68 import landmarks_in_picture
from rtrecon.geometry.mean_head import MeanHead, mean_head
from rtrecon.geometry.pose import (
    camera_rotation,
    fit_pose,
    guess_distance_m,
    guess_pose,
    transform,
)
from rtrecon.geometry.rays import undistort
from rtrecon.geometry.scale import (
    MAX_DEPTH_M,
    MIN_DEPTH_M,
    ScaleMemory,
    reference_depth_m,
)
from rtrecon.geometry.steady import RotationFilter, ScalarFilter
from rtrecon.types import Float64Array

__all__ = ["HeadPlacer", "PersonSize", "Placement", "PlacementMemory", "apart_for_size"]

logger = logging.getLogger(__name__)

_EYES = slice(36, 48)  # six landmarks each, the picture's left one first
_FAR_OUT = 0.5  # of the crop's width: landmarks beyond its edge by more are none
# A fit is believed up to these errors, in metres of the head.
_MOST_DEPTH_M, _MOST_LANDMARK_M = 0.006, 0.012
_LEAST_K, _MOST_K = 0.6, 1.25  # of the distance over that by the five landmarks alone

# Angle between face and line of sight: the eyes are a measure up to the first, none from the
# second on. Learnt from is what is within the narrower pair.
_TOWARD, _LEARNING = (35.0, 55.0), (15.0, 30.0)
_SLIGHT = 0.02  # weight of a turned face, until a better look is had
_MOST_S = 10.0
_USUAL_M = (0.1, 10.0)  # beyond is said
_SETTLE_S = 0.5  # how fast the distance follows what is learnt
_K_TAU_S = 0.5
_GAP_S = 0.5  # beyond it the head may be turned anyhow

# Noise before any was seen, and the least believed: of the distance in metres, of turns.
_DISTANCE_NOISE = (0.0012, 0.0001)
_TURN_NOISE = (math.radians(0.25), math.radians(0.02))


@dataclass(slots=True)
class PersonSize:
    """How far apart one person's eyes are for the size of the head: ``log_apart`` over the mean
    head's, and the weight (seconds of good sight, at most ten) behind it."""

    log_apart: float = 0.0
    weight_s: float = 0.0
    shown: float | None = None

    def update(self, measured: float, turned_deg: float, dt_s: float) -> float:
        """Take in one measurement of a face ``turned_deg`` from the camera; what to believe.

        What is not finite is no measurement.
        """
        if not math.isfinite(measured):
            return self.shown or 0.0
        weight = max(_share(turned_deg, _LEARNING), _SLIGHT * _share(turned_deg, _TOWARD))
        gained_s = weight * min(max(dt_s, 1e-3), 0.1)
        if self.weight_s == 0.0:
            self.log_apart = _share(turned_deg, _TOWARD) * measured
            self.weight_s = gained_s
        elif gained_s > 0.0:
            self.weight_s = min(self.weight_s + gained_s, _MOST_S)
            self.log_apart += (measured - self.log_apart) * gained_s / self.weight_s
        if self.shown is None:
            self.shown = self.log_apart
        self.shown += (self.log_apart - self.shown) * (1.0 - math.exp(-dt_s / _SETTLE_S))
        return self.shown


@dataclass(slots=True, eq=False)
class PlacementMemory:
    """What is remembered of one face between frames."""

    person: PersonSize = field(default_factory=PersonSize)
    distance: ScalarFilter = field(default_factory=lambda: ScalarFilter(*_DISTANCE_NOISE))
    rotation: RotationFilter = field(default_factory=lambda: RotationFilter(*_TURN_NOISE))
    eyes: ScaleMemory = field(default_factory=ScaleMemory)
    ratio: Float64Array = field(default_factory=lambda: np.ones(5))
    pose: Float64Array | None = None
    fit: HeadFit | None = None
    log_k: float | None = None
    reach: float = 1.0  # distance of the head over the reference depth


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """``z_ref_m`` depth of the relief's reference; ``T_camera_face`` (4, 4) float64."""

    z_ref_m: float
    T_camera_face: Float64Array


class HeadPlacer:
    """Places heads; what is remembered of each face is the caller's. For one thread.

    Args:
        ipd_m: interpupillary distance in metres.

    Attributes:
        rotations_dropped: rotations that were not finite or none, and sets of landmarks that
            lie far off their crop, so far.
    """

    def __init__(self, ipd_m: float) -> None:
        self._ipd_m = ipd_m
        self._head = mean_head()
        self._fitter = HeadFitter(self._head)
        self._said: set[str] = set()
        self.rotations_dropped = 0

    def by_eyes(self, marks: Landmarks, memory: PlacementMemory | None, dt_s: float) -> float:
        """Reference depth by the line of the eyes."""
        eyes = None if memory is None else memory.eyes
        return reference_depth_m(marks.points(), marks.visible, self._ipd_m, eyes, dt_s)

    def place(
        self,
        prediction: DepthPrediction,
        surface: Surface,
        marks: Landmarks,
        z_eyes_m: float | None,
        metric: bool,
        memory: PlacementMemory | None,
        dt_s: float,
    ) -> Placement:
        """Place one face.

        Args:
            prediction: of the depth model, for its landmarks and rotation.
            surface: depth over the reference depth.
            marks: the five landmarks, with their depths.
            z_eyes_m: the network's own, or from `by_eyes`; None: found here if it is needed.
            metric: it is the network's own, and stays.
            memory: of this face; updated. None: no memory of earlier frames.
            dt_s: time since the frame before.
        """
        R_network = self._rotation(prediction, surface)
        rays = self._landmark_rays(prediction, surface)
        fit = None
        if R_network is not None and rays is not None:
            fit = self._fit(surface, rays, R_network, memory, dt_s)
        if metric or (fit is None and (memory is None or memory.log_k is None)):
            if z_eyes_m is None:
                z_eyes_m = self.by_eyes(marks, memory, dt_s)
            z_ref_m = self._steadied(z_eyes_m, 0.0, memory, dt_s)
        else:
            guess_m = guess_distance_m(marks.rays, self._ipd_m)
            z_ref_m = self._by_head(fit, rays, guess_m, memory, dt_s)
        if fit is not None:
            R = fit.R if memory is None else memory.rotation.update(fit.R, dt_s)
            eyes = fit.scale * (R @ self._head.eyes_middle) + fit.t
            return Placement(z_ref_m, transform(R, z_ref_m * eyes))
        if memory is not None:
            memory.ratio = marks.ratio
        T = self._five_landmarks(marks, z_ref_m, memory)
        if R_network is not None:
            T[:3, :3] = R_network
        if memory is not None:
            T[:3, :3] = memory.rotation.update(T[:3, :3].copy(), dt_s)
        return Placement(z_ref_m, T)

    def _by_head(
        self,
        fit: HeadFit | None,
        rays: Float64Array | None,
        guess_m: float,
        memory: PlacementMemory | None,
        dt_s: float,
    ) -> float:
        """Reference depth in metres by the head's size; without a fit, by what fits before said
        of ``guess_m``, the distance that the five landmarks alone give."""
        log_apart = 0.0
        if fit is not None and rays is not None:
            reach = float(fit.t[2])
            k = self._ipd_m * reach / (fit.scale * self._head.ipd_m * guess_m)
            log_k = math.log(min(max(k, _LEAST_K), _MOST_K))
            log_apart = self._apart(fit, rays, memory, dt_s)
            if memory is None:
                return self._steadied(guess_m * math.exp(log_k) / reach, log_apart, None, dt_s)
            if memory.log_k is None:
                memory.log_k = log_k
            memory.log_k += (log_k - memory.log_k) * (1.0 - math.exp(-dt_s / _K_TAU_S))
            memory.reach = reach
        else:
            assert memory is not None
            assert memory.log_k is not None
            log_k, log_apart = memory.log_k, memory.person.shown or 0.0
        return self._steadied(guess_m * math.exp(log_k) / memory.reach, log_apart, memory, dt_s)

    def _steadied(
        self, z_m: float, log_apart: float, memory: PlacementMemory | None, dt_s: float
    ) -> float:
        """Reference depth in metres, steady over time.

        Filtered is the distance of the head itself: an error of the relief that is the same
        everywhere moves the reference, and leaves the head where it is.
        """
        held_m = min(MAX_DEPTH_M, max(MIN_DEPTH_M, z_m))
        if not MIN_DEPTH_M < z_m < MAX_DEPTH_M:
            self._say_once(
                f"a face cannot be at {z_m:g} m: held at {held_m:g}, and its size is wrong; is the "
                "field of view right (--fov)?"
            )
            z_m = held_m
        elif not _USUAL_M[0] < z_m < _USUAL_M[1]:
            self._say_once(
                f"a face seems to be {z_m:.2g} m away: is the field of view right (--fov)?"
            )
        if memory is not None:
            z_m = memory.distance.update(z_m * memory.reach, dt_s) / memory.reach
        return z_m * math.exp(-log_apart)

    def _rotation(self, prediction: DepthPrediction, surface: Surface) -> Float64Array | None:
        if prediction.rotation is None:
            return None
        R = camera_rotation(prediction.rotation, surface.crop, surface.intrinsics)
        if R is None:
            self._drop("a rotation that is none")
        return R

    def _landmark_rays(self, prediction: DepthPrediction, surface: Surface) -> Float64Array | None:
        shares = prediction.landmarks68
        if shares is None or not np.isfinite(shares).all():
            return None  # those that are not finite are counted where they are given out
        if np.abs(shares - 0.5).max() > 0.5 + _FAR_OUT:
            self._drop("landmarks far off the crop")
            return None
        return undistort(landmarks_in_picture(shares, surface.crop), surface.intrinsics)

    def _fit(
        self,
        surface: Surface,
        rays: Float64Array,
        R_network: Float64Array,
        memory: PlacementMemory | None,
        dt_s: float,
    ) -> HeadFit | None:
        before = None if memory is None or dt_s > _GAP_S else memory.fit
        fit = self._fitter.fit(surface, rays, R_network, before)
        # So that a fit that is not finite is none.
        if fit is not None and not (
            fit.depth_m <= _MOST_DEPTH_M and fit.landmark_m <= _MOST_LANDMARK_M
        ):
            fit = None
        if memory is not None:
            memory.fit = fit
        return fit

    def _apart(
        self, fit: HeadFit, rays: Float64Array, memory: PlacementMemory | None, dt_s: float
    ) -> float:
        measured = apart_for_size(self._head, fit, rays)
        toward = float(fit.R[:, 2] @ fit.t) / max(float(np.linalg.norm(fit.t)), 1e-9)
        turned_deg = math.degrees(math.acos(min(max(toward, -1.0), 1.0)))
        if memory is None:
            return _share(turned_deg, _TOWARD) * measured
        return memory.person.update(measured, turned_deg, dt_s)

    def _five_landmarks(
        self, marks: Landmarks, z_ref_m: float, memory: PlacementMemory | None
    ) -> Float64Array:
        """The mean face's rotation, its origin moved to the middle of the eyes as measured."""
        depths_m = np.where(marks.visible > 0.0, marks.ratio * z_ref_m, np.nan)
        start = None if memory is None else memory.pose
        if start is None:
            start = guess_pose(marks.rays, self._ipd_m)
        T = fit_pose(marks.rays, depths_m, self._ipd_m, start)
        if memory is not None:
            memory.pose = T.copy()
        T[:3, 3] = marks.points()[:2].mean(axis=0) * z_ref_m
        return T

    def _drop(self, what: str) -> None:
        self.rotations_dropped += 1
        self._say_once(f"the model gave {what}: dropped, and counted")

    def _say_once(self, message: str) -> None:
        kind = message.split(":")[0][:20]
        if kind not in self._said:
            self._said.add(kind)
            logger.warning(message)


def apart_for_size(head: MeanHead, fit: HeadFit, rays: Float64Array) -> float:
    """Logarithm of how far apart the eyes seen at ``rays`` (68, 2) are, over the head's own.

    The eyes are the middles of the lids' landmarks, at the depth of the fitted head: their own
    depth would be read off a lid or a lash, and lean when the head turns.
    """
    z = fit.scale * (head.points[_EYES] @ fit.R[2]) + fit.t[2]
    seen = np.empty((2, 6, 3))
    np.multiply(rays[_EYES].reshape(2, 6, 2), z.reshape(2, 6, 1), out=seen[..., :2])
    seen[..., 2] = z.reshape(2, 6)
    left, right = seen.mean(axis=1).tolist()
    own_left, own_right = head.points[_EYES].reshape(2, 6, 3).mean(axis=1).tolist()
    apart = math.dist(left, right) / fit.scale
    return math.log(max(apart, 1e-6) / math.dist(own_left, own_right))


def _share(turned_deg: float, ends_deg: tuple[float, float]) -> float:
    """One below the first angle, nothing from the second on."""
    first, second = ends_deg
    return min(1.0, max(0.0, (second - turned_deg) / (second - first)))
