"""How far a face is: everything in a relief is proportional to its reference depth.

The two un-projected eyes are to be the interpupillary distance apart, which gives the
reference depth in closed form. That is ill-conditioned for a face in profile and impossible
with an eye hidden, so a person's own size is remembered: the triangle of eyes and nose tip
is rigid under expressions and the same size from any side. The size, not the distance, is
filtered over time; a step toward the camera changes the triangle in the picture and so
the distance at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtrecon.geometry.mean_face import mean_face
from rtrecon.types import Float64Array

__all__ = ["MAX_DEPTH_M", "MIN_DEPTH_M", "ScaleMemory", "reference_depth_m"]

# A telephoto lens shows a face a hundred metres away, and clamping its distance would change its
# size: only what no lens shows is out of bounds.
MIN_DEPTH_M = 0.02
MAX_DEPTH_M = 1000.0

# Share of the eye line that lies across the line of sight: trusted above the first, not at
# all below the second (eyes turned by 53 and 73 degrees).
_TRUSTED, _USELESS = 0.6, 0.3
_TAU_S = 3.0


@dataclass(slots=True)
class ScaleMemory:
    """The size of one person: ``log_size`` of the eye-nose triangle in units of the eye
    distance, and the weight (seconds of good sight, at most the time constant) behind it."""

    log_size: float = 0.0
    weight_s: float = 0.0


def reference_depth_m(
    landmarks: Float64Array,
    visible: Float64Array,
    ipd_m: float,
    memory: ScaleMemory | None,
    dt_s: float,
) -> float:
    """Depth that makes a face with ``landmarks`` life-size.

    Args:
        landmarks: (5, 3) un-projected landmarks at a reference depth of one.
        visible: (5,) in [0, 1]: whether the depth of each is that of the face.
        ipd_m: interpupillary distance in metres.
        memory: of this person; updated. None: no memory of earlier frames.
        dt_s: time since the frame before.

    Returns:
        Reference depth in metres, within `MIN_DEPTH_M` and `MAX_DEPTH_M`.
    """
    left, right, nose = landmarks[:3]
    across = right - left
    eye_distance = max(float(np.linalg.norm(across)), 1e-6)
    size = _triangle(left, right, nose)
    middle = (left + right) / 2.0
    along = float(across @ middle) / max(float(np.linalg.norm(middle)), 1e-9)
    frontal = math.sqrt(max(0.0, 1.0 - (along / eye_distance) ** 2))
    trust = min(1.0, max(0.0, (frontal - _USELESS) / (_TRUSTED - _USELESS)))
    trust *= float(visible[0] * visible[1])
    if visible[2] < 0.5 and trust > 0.0:  # the eyes alone must do
        return min(MAX_DEPTH_M, max(MIN_DEPTH_M, ipd_m / eye_distance))
    measured = math.log(size / eye_distance)
    if memory is None or not math.isfinite(measured):  # which is nothing to remember
        memory = ScaleMemory()
    if memory.weight_s == 0.0:
        # Nothing known of the person yet: the mean face, as far as the eyes are not seen.
        prior = math.log(_mean_size())
        memory.log_size = trust * measured + (1.0 - trust) * prior
        memory.weight_s = max(trust, 1e-3) * max(dt_s, 1e-3)
    else:
        gained_s = trust * max(dt_s, 0.0)
        memory.weight_s = min(memory.weight_s + gained_s, _TAU_S)
        memory.log_size += (measured - memory.log_size) * min(1.0, gained_s / memory.weight_s)
    z_ref_m = ipd_m * math.exp(memory.log_size) / size
    return min(MAX_DEPTH_M, max(MIN_DEPTH_M, z_ref_m))


def _triangle(left: Float64Array, right: Float64Array, nose: Float64Array) -> float:
    sides = (right - left, nose - left, nose - right)
    return max(1e-6, math.sqrt(sum(float(side @ side) for side in sides)))


def _mean_size() -> float:
    face = mean_face()
    left, right, nose = face.landmarks[:3]
    return _triangle(left, right, nose) / face.ipd_m
