"""The mean head with landmarks, surface and expressions (see ``rtrecon/data/README.md``)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rtrecon.assets import read_asset
from rtrecon.errors import DataError
from rtrecon.types import Float64Array

__all__ = ["LANDMARK_COUNT", "MeanHead", "mean_head"]

LANDMARK_COUNT = 68

_NAME = "mean_head.npz"


@dataclass(frozen=True, slots=True, eq=False)
class MeanHead:
    """Mean head in its own size: metres, x to the right of the picture, y down, z into the head,
    origin midway between the irises, ``ipd_m`` apart.

    ``points`` (n, 3): the 68 landmarks in Multi-PIE's order, then points spread over the face;
    ``normals`` (n, 3) outward, unit; ``expression`` (k, n, 3) what a coefficient of one adds to
    the points; ``expression_names`` (k,) as ARKit calls them. All float64.
    """

    points: Float64Array
    normals: Float64Array
    expression: Float64Array
    expression_names: tuple[str, ...]
    ipd_m: float

    @property
    def eyes_middle(self) -> Float64Array:
        """(3,) midway between the eyes where one sees them: the middle of the lids' landmarks."""
        return np.asarray(self.points[36:48].mean(axis=0), dtype=np.float64)


@lru_cache(maxsize=1)
def mean_head() -> MeanHead:
    """The shipped mean head.

    Raises:
        DataError: the package is incomplete.
    """
    try:
        with np.load(io.BytesIO(read_asset(_NAME)), allow_pickle=False) as data:
            points, normals, expression = (
                data[name].astype(np.float64) for name in ("points", "normals", "expression")
            )
            names = tuple(str(name) for name in data["expression_names"])
            ipd_m = float(data["ipd_m"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{_NAME} cannot be read ({error}): install rtrecon again") from error
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return MeanHead(points, normals, expression, names, ipd_m)
