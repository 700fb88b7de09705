"""ARKit's 52 shapes of one person's head, from the model's and the person's own proportions."""

from __future__ import annotations

import numpy as np

from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.head.lids import closed_lids
from rtrecon.head.model import HeadModel
from rtrecon.head.regions import regions_of
from rtrecon.head.tongue import tongue_out
from rtrecon.types import Float32Array, Float64Array

__all__ = ["person_shapes"]

_STILL_M = 4e-5  # what a shape moves by less, it leaves where it is
_PLACES = 96  # at which the person's proportions are compared with the mean's
_REACH_M = 0.028
_TRUST_M2 = 2e-5  # of the mean size, against what few vertices say


def person_shapes(model: HeadModel, vertices: Float32Array) -> Float32Array:
    """(52, n, 3) float32 what each of ARKit's shapes adds to a person's ``vertices`` (n, 3).

    What the model's shape adds is turned and stretched as the person's head is against the mean
    one around the vertex. The model has no ``tongueOut``; it is made (`tongue_out`).
    """
    shapes = np.zeros((len(ARKIT_NAMES), len(vertices), 3), dtype=np.float32)
    stretch = _local_stretch(model, vertices)
    index = {name: k for k, name in enumerate(ARKIT_NAMES)}
    for name, shape in zip(model.expression_names, model.expression, strict=True):
        moved = np.flatnonzero(np.abs(shape).max(axis=1) > _STILL_M)
        if _is_of_eyes(name):
            moved = moved[~_in_mouth(model)[moved]]
        shapes[index[name], moved] = np.einsum("nij,nj->ni", stretch[moved], shape[moved])
    for eye, name in enumerate(("eyeBlinkLeft", "eyeBlinkRight")):
        shapes[index[name]] = closed_lids(model, vertices, shapes[index[name]], eye)
    shapes[index["tongueOut"]] = tongue_out(model, vertices)
    _keep_lashes_at_lids(model, vertices, shapes)
    return shapes


def _keep_lashes_at_lids(model: HeadModel, vertices: Float32Array, shapes: Float32Array) -> None:
    """Lashes shorter than the model's move as much less against their roots; in place."""
    part, root = model.parts["lashes"], regions_of(model).lash_root
    lengths = [
        np.linalg.norm(head[part] - head[root], axis=1) for head in (vertices, model.vertices)
    ]
    share = np.clip(lengths[0] / np.maximum(lengths[1], 1e-6), 0.0, 1.0).astype(np.float32)
    at_root = shapes[:, root]
    shapes[:, part] = at_root + share[:, None] * (shapes[:, part] - at_root)


def _is_of_eyes(name: str) -> bool:
    return name.startswith(("eye", "brow"))


def _in_mouth(model: HeadModel) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    inside = np.zeros(len(model.vertices), dtype=np.bool_)
    for name in ("mouth_socket", "gums_tongue", "teeth"):
        inside[model.parts[name]] = True
    return inside


def _local_stretch(model: HeadModel, vertices: Float32Array) -> Float32Array:
    """(n, 3, 3) float32 how the person's head is turned and stretched against the mean around each
    vertex: affine maps at places of the face, blended between them."""
    mean = model.vertices.astype(np.float64)
    own = vertices.astype(np.float64)
    face = np.arange(model.parts["face"].stop)
    places = _spread(mean[face], _PLACES)
    whole = np.sqrt(own[face].var(axis=0).sum() / mean[face].var(axis=0).sum())
    maps = np.empty((_PLACES, 9))
    for k, place in enumerate(places):
        weight = np.exp(-((mean[face] - place) ** 2).sum(axis=1) / (2.0 * _REACH_M**2))
        total = weight.sum()
        a = mean[face] - weight @ mean[face] / total
        b = own[face] - weight @ own[face] / total
        spread = (a * weight[:, None]).T @ a / total + _TRUST_M2 * np.eye(3)
        both = (b * weight[:, None]).T @ a / total + _TRUST_M2 * whole * np.eye(3)
        maps[k] = np.linalg.solve(spread.T, both.T).T.ravel()
    squared = (mean**2).sum(axis=1)[:, None] - 2.0 * mean @ places.T + (places**2).sum(axis=1)
    share = np.exp(-squared / (2.0 * (0.6 * _REACH_M) ** 2)) + 1e-12
    share /= share.sum(axis=1, keepdims=True)
    blended: Float32Array = (share @ maps).reshape(-1, 3, 3).astype(np.float32)
    return blended


def _spread(points: Float64Array, count: int) -> Float64Array:
    """``count`` of the points, each as far as can be from those before."""
    chosen = [int(points[:, 2].argmin())]
    nearest = np.full(len(points), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(nearest.argmax()))
    return np.asarray(points[chosen])
