"""The mean face that poses are fitted to (see ``rtrecon/data/README.md``)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rtrecon.assets import read_asset
from rtrecon.errors import DataError
from rtrecon.types import Float64Array

__all__ = ["MeanFace", "mean_face"]

_NAME = "mean_face.npz"


@dataclass(frozen=True, slots=True, eq=False)
class MeanFace:
    """Mean face in the face frame: metres, origin between the pupils, x to the right of the
    picture, y down, z into the head.

    ``landmarks`` (5, 3): left eye, right eye, nose, left and right mouth corner as seen in
    the picture. ``points``, ``normals`` (n, 3): the face's surface, normals outward.
    ``ipd_m``: distance between the pupils. All float64.
    """

    landmarks: Float64Array
    points: Float64Array
    normals: Float64Array
    ipd_m: float


@lru_cache(maxsize=1)
def mean_face() -> MeanFace:
    """The shipped mean face.

    Raises:
        DataError: the package is incomplete.
    """
    try:
        with np.load(io.BytesIO(read_asset(_NAME)), allow_pickle=False) as data:
            landmarks, points, normals = (
                data[name].astype(np.float64) for name in ("landmarks", "points", "normals")
            )
            return MeanFace(landmarks, points, normals, float(data["ipd_m"]))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{_NAME} cannot be read ({error}): install rtrecon again") from error
