"""Head rotation, 68 landmarks and distance against the truth; pure functions of arrays."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rtrecon.types import Float32Array, Float64Array

__all__ = [
    "PARTS_68",
    "YAW_EDGES_DEG",
    "YawBin",
    "distance_by_yaw",
    "landmark_error",
    "mean_rotation",
    "rotation_errors_deg",
    "yaw_deg",
]

PARTS_68: Mapping[str, slice] = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
YAW_EDGES_DEG = (0.0, 15.0, 30.0, 45.0, 90.0)

_LEAST_ACROSS = 0.2  # of the eyes' width is left in a profile; with less it says nothing


@dataclass(frozen=True, slots=True)
class YawBin:
    """Distances of heads turned ``from_deg`` to ``to_deg`` to either side.

    ``bias_percent``: mean error of the distance, above zero too far; ``spread_percent``: its
    standard deviation; ``constant_percent``: mean absolute error of the dataset's mean distance.
    """

    from_deg: float
    to_deg: float
    frames: int
    bias_percent: float
    spread_percent: float
    constant_percent: float


def yaw_deg(R: Float64Array) -> float:
    """How far a head (3, 3) is turned about the vertical; positive to its own right."""
    return float(np.degrees(np.arctan2(R[0, 2], R[2, 2])))


def mean_rotation(rotations: Float64Array) -> Float64Array:
    """(3, 3) closest to all of (n, 3, 3): the best constant in the mean of squares."""
    U, _, Vt = np.linalg.svd(np.asarray(rotations, dtype=np.float64).mean(axis=0))
    return np.asarray(U * [1.0, 1.0, np.linalg.det(U @ Vt)] @ Vt)


def rotation_errors_deg(said: Float64Array, truth: Float64Array) -> Float64Array:
    """(n,) angle between (n, 3, 3) and (n, 3, 3) or (3, 3)."""
    trace = np.einsum("nij,nij->n", said, np.broadcast_to(truth, said.shape))
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))))


def landmark_error(
    said_px: Float32Array, truth_px: Float32Array, R: Float64Array | None
) -> dict[str, float]:
    """Mean distance of 68 landmarks in percent of that between the outer corners of the eyes.

    Both (68, 2) picture pixels. Where the head's rotation ``R`` (3, 3) is known, the eyes count
    as wide as they would be from the front, so that a turned head scores no worse for being
    narrow.

    Returns:
        By part of `PARTS_68`, and ``all``.
    """
    eyes_px = float(np.linalg.norm(truth_px[45] - truth_px[36]))
    if R is not None:
        eyes_px /= max(float(np.hypot(R[0, 0], R[1, 0])), _LEAST_ACROSS)
    apart = np.linalg.norm(said_px.astype(np.float64) - truth_px, axis=1) / max(eyes_px, 1e-6)
    found = {part: float(apart[points].mean() * 100.0) for part, points in PARTS_68.items()}
    return {"all": float(apart.mean() * 100.0), **found}


def distance_by_yaw(
    yaws_deg: Sequence[float], said_m: Sequence[float], true_m: Sequence[float]
) -> list[YawBin]:
    """Errors of the distance in bins of `YAW_EDGES_DEG`; bins without a frame are left out."""
    yaws, said, true = (np.array(v, dtype=np.float64) for v in (yaws_deg, said_m, true_m))
    bins = []
    for low, high in itertools.pairwise(YAW_EDGES_DEG):
        here = (np.abs(yaws) >= low) & (np.abs(yaws) < high)
        if not here.any():
            continue
        error = (said[here] / true[here] - 1.0) * 100.0
        constant = np.abs(true.mean() / true[here] - 1.0) * 100.0
        bins.append(
            YawBin(
                low,
                high,
                int(here.sum()),
                float(error.mean()),
                float(error.std()),
                float(constant.mean()),
            )
        )
    return bins
