"""The few hundred points of the head model that a fit looks at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import vertex_normals
from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["LANDMARKS", "HeadPoints", "head_points"]

LANDMARKS = 68

# Of the head frame, in metres: the neck below moves on its own, the scalp above is hair.
_LOWEST, _HIGHEST, _BEHIND = 0.13, -0.078, 0.075
_RIM_BELOW = 0.005  # cheeks and jaw, where a silhouette is the head's and not of its hair
_UNSEEN = "eyeLook"  # these move the lids by less than is seen: where eyes look is the network's


@dataclass(frozen=True, slots=True, eq=False)
class HeadPoints:
    """Points of a head, component by component: NumPy is slow along short rows.

    Attributes:
        vertices: (n,) of the model: its 68 landmarks, then points spread over the face.
        mean, normals: (3, n) float64 metres and unit, outward; of the mean head.
        basis: (k + e, 3, n) float64 what a weight of one adds: k modes of identity, then
            expressions.
        modes: k.
        shapes: (e,) which of the model's expressions.
        rim: (r,) those of cheek and jaw.
    """

    vertices: npt.NDArray[np.intp]
    mean: Float64Array
    normals: Float64Array
    basis: Float64Array
    modes: int
    shapes: npt.NDArray[np.intp]
    rim: npt.NDArray[np.intp]


@lru_cache(maxsize=4)
def head_points(model: HeadModel, modes: int, count: int, least_m: float = 0.0) -> HeadPoints:
    """Points of ``model`` and how ``modes`` of identity and its expressions move them.

    Args:
        model: the head.
        modes: of identity, the first ones.
        count: points beside the landmarks.
        least_m: expressions that move no point by as much are left out.
    """
    normals = vertex_normals(model.vertices, model.triangles)
    skin = model.vertices[model.parts["face"]]
    y, z = skin[:, 1], skin[:, 2]
    on_face = (y > _HIGHEST) & (y < _LOWEST) & (z < _BEHIND)
    spread = _spread(skin, np.flatnonzero(on_face), count)
    vertices = np.concatenate([model.landmarks.astype(np.intp), spread])
    shapes = np.array(
        [
            k
            for k, name in enumerate(model.expression_names)
            if not name.startswith(_UNSEEN)
            and float(np.linalg.norm(model.expression[k, vertices], axis=1).max()) >= least_m
        ],
        dtype=np.intp,
    )
    basis = np.concatenate(
        [model.identity[:modes, vertices], model.expression[shapes][:, vertices]]
    )
    mean = model.vertices[vertices]
    return HeadPoints(
        vertices,
        np.ascontiguousarray(mean.T, dtype=np.float64),
        np.ascontiguousarray(normals[vertices].T, dtype=np.float64),
        np.ascontiguousarray(basis.transpose(0, 2, 1), dtype=np.float64),
        min(modes, len(model.identity)),
        shapes,
        np.flatnonzero(mean[:, 1] > _RIM_BELOW),
    )


def _spread(
    points: Float32Array, allowed: npt.NDArray[np.intp], count: int
) -> npt.NDArray[np.intp]:
    """``count`` of the ``allowed`` points, each the farthest from those before (Gonzalez,
    "Clustering to minimize the maximum intercluster distance", 1985); the nose is the first."""
    at = points[allowed]
    chosen = [int(np.argmin(at[:, 2]))]
    distance = np.full(len(at), np.inf, dtype=np.float32)
    while len(chosen) < min(count, len(at)):
        np.minimum(distance, ((at - at[chosen[-1]]) ** 2).sum(axis=1), out=distance)
        chosen.append(int(np.argmax(distance)))
    return np.asarray(allowed[np.sort(chosen)])
