"""The shape that the model does not have: its tongue, put out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import vertex_normals
from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["tongue_out", "tongue_share"]

_LOWER_MOVES_M = 0.005  # what a jaw that opens moves by less is not of the lower half

# The tongue of the mean head, seen from above: half its width and its top from tip to root.
_Z_M = np.array([-0.0131, -0.0114, -0.0050, 0.0036, 0.0120, 0.0200, 0.0480])
_HALF_WIDTH_M = np.array([0.0045, 0.0080, 0.0135, 0.0175, 0.0205, 0.0220, 0.0220])
_TOP_Y_M = np.array([0.0733, 0.0733, 0.0700, 0.0674, 0.0668, 0.0669, 0.0770])
_ROOT_Z_M = 0.045
_AXIS_Z_M = 0.010  # the tongue's sides face away from here, its neighbours toward it
_ROUND_M = 0.0045  # its top is no deeper beside the middle
_THICK_M, _SOFT_M = 0.013, 0.009  # what lies deeper is the floor of the mouth

_OUT_M = 0.032
_OVER_TEETH_M = 0.008
_CLEAR_M = 0.0015
_DROOP_M = 0.008
_THINNER, _WIDER = 0.4, 0.35


def tongue_share(model: HeadModel) -> Float64Array:
    """(n,) how far a vertex goes with the tip: 1 there, 0 at the root and off the tongue."""
    place = model.vertices.astype(np.float64)
    x, y, z = place.T
    normals = vertex_normals(model.vertices, model.triangles).astype(np.float64)
    side = np.stack([x, np.minimum(z - _AXIS_Z_M, 0.0)], axis=1)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    faces_away = (normals[:, [0, 2]] * side).sum(axis=1)
    is_tongue = _lower_half(model, "gums_tongue")
    is_tongue &= (np.abs(x) <= np.interp(z, _Z_M, _HALF_WIDTH_M)) & (z > _Z_M[0])
    depth = y - np.interp(z, _Z_M, _TOP_Y_M)
    # Its neighbours look at it or, if they look up, lie deeper than its top does.
    is_tongue &= np.where(normals[:, 1] < -0.5, depth < _ROUND_M, faces_away > -0.25)
    is_tongue = _of_one_piece(model, is_tongue)
    along = np.clip((_ROOT_Z_M - z) / (_ROOT_Z_M - _Z_M[0]), 0.0, 1.0)
    held = _ease((_THICK_M + _SOFT_M - depth) / _SOFT_M)
    return np.where(is_tongue, along**1.3 * held, 0.0)


def tongue_out(model: HeadModel, vertices: Float32Array) -> Float32Array:
    """(n, 3) float32 what putting the tongue out adds to a head's ``vertices`` (n, 3) at rest.

    It leaves over the lower teeth, thinner toward its tip, and hangs a little where
    it has passed the lip: to open the mouth is the jaw's doing.
    """
    share = tongue_share(model)
    place = vertices.astype(np.float64)
    teeth = _lower_half(model, "teeth")
    size = np.ptp(place[teeth, 0]) / np.ptp(model.vertices[teeth, 0])
    middle = 0.5 * (place[teeth, 0].min() + place[teeth, 0].max())
    front = teeth & (np.abs(place[:, 0] - middle) < 0.008 * size)
    top_y, front_z = place[front, 1].min(), place[front, 2].min()
    jaw = model.expression[model.expression_names.index("jawOpen"), model.landmarks[57]]
    lip_z = place[model.landmarks[57], 2] + 0.6 * size * jaw[2]  # of a mouth that is open

    moved = place.copy()
    moved[:, 2] -= _OUT_M * size * share
    over = _ease((front_z + 0.030 * size - moved[:, 2]) / (0.022 * size))
    above = np.interp(model.vertices[:, 2], _Z_M, _TOP_Y_M) - model.vertices[:, 1]
    moved[:, 1] += size * share * (_THINNER * above - _OVER_TEETH_M * over)
    # Its underside passes over the teeth too, and comes up to that behind them.
    behind = np.maximum(moved[:, 2] - (front_z + 0.011 * size), 0.0)
    lowest = top_y - _CLEAR_M * size + 1.2 * behind
    moved[:, 1] -= np.maximum(moved[:, 1] - lowest, 0.0) * np.minimum(3.0 * share, 1.0)
    past = np.clip((lip_z - moved[:, 2]) / (0.020 * size), 0.0, 1.2)
    moved[:, 1] += _DROOP_M * size * past**1.5
    moved[:, 0] += _WIDER * share**3 * (moved[:, 0] - middle)
    out: Float32Array = (moved - place).astype(np.float32)
    out[share <= 0.0] = 0.0
    return out


def _of_one_piece(model: HeadModel, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Those of the chosen vertices that hang together with the highest of them."""
    edges = model.triangles[chosen[model.triangles].sum(axis=1) >= 2]
    edges = np.concatenate([edges[:, [0, 1]], edges[:, [1, 2]], edges[:, [2, 0]]])
    edges = edges[chosen[edges].all(axis=1)]
    reached = np.zeros_like(chosen)
    highest = np.flatnonzero(chosen)
    reached[highest[model.vertices[highest, 1].argmin()]] = True
    count = 0
    while count != (count := int(reached.sum())):
        touched = edges[reached[edges].any(axis=1)]
        reached[touched.ravel()] = True
    return reached


def _lower_half(model: HeadModel, part: str) -> npt.NDArray[np.bool_]:
    """(n,) which vertices of a part go down with the jaw."""
    jaw = model.expression[model.expression_names.index("jawOpen")]
    chosen = np.zeros(len(jaw), dtype=np.bool_)
    chosen[model.parts[part]] = True
    moves = np.linalg.norm(jaw, axis=1) > _LOWER_MOVES_M
    return np.asarray(chosen & moves)


def _ease(t: Float64Array) -> Float64Array:
    """Smoothly from 0 (at 0 and below) to 1 (at 1 and above)."""
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))
