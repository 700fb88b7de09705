"""The shape that the model does not have: its tongue, put out."""

from __future__ import annotations

import numpy as np

from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["tongue_out", "tongue_share"]

_LOWER_MOVES_M = 0.005  # what a jaw that opens moves by less is not of the lower half

# The tongue of the mean head, seen from above: half its width at places from its tip to its root.
_Z_M = np.array([-0.0125, -0.0114, -0.0050, 0.0036, 0.0120, 0.0200, 0.0480])
_HALF_WIDTH_M = np.array([0.0, 0.0030, 0.0095, 0.0150, 0.0185, 0.0205, 0.0205])
_TIP_Z_M, _ROOT_Z_M = -0.0114, 0.045
_TOP_Y_M = np.array([0.0733, 0.0733, 0.0700, 0.0674, 0.0668, 0.0669, 0.0770])
_THICK_M, _SOFT_M = 0.010, 0.006  # what lies deeper is the floor of the mouth

_OUT_M = 0.027
_OVER_TEETH_M = 0.011
_DROOP_M = 0.006
_THINNER = 0.3
_NARROWER = 0.15


def tongue_share(model: HeadModel) -> Float64Array:
    """(n,) how far a vertex goes with the tip: 1 there, 0 at the root and off the tongue."""
    place = model.vertices.astype(np.float64)
    x, y, z = place.T
    jaw = model.expression[model.expression_names.index("jawOpen")]
    is_tongue = np.zeros(len(place), dtype=np.bool_)
    is_tongue[model.parts["gums_tongue"]] = True
    is_tongue &= np.linalg.norm(jaw, axis=1) > _LOWER_MOVES_M
    is_tongue &= np.abs(x) <= np.interp(z, _Z_M, _HALF_WIDTH_M)
    along = np.clip((_ROOT_Z_M - z) / (_ROOT_Z_M - _TIP_Z_M), 0.0, 1.0)
    depth = y - np.interp(z, _Z_M, _TOP_Y_M)
    held = _ease((_THICK_M + _SOFT_M - depth) / _SOFT_M)
    return np.where(is_tongue, along**1.3 * held, 0.0)


def tongue_out(model: HeadModel, vertices: Float32Array) -> Float32Array:
    """(n, 3) float32 what putting the tongue out adds to a head's ``vertices`` (n, 3) at rest.

    It leaves over the lower teeth, a little thinner and narrower, and hangs behind them: an open
    mouth is the jaw's doing.
    """
    share = tongue_share(model)
    place = vertices.astype(np.float64)
    teeth = place[model.parts["teeth"]]
    size = np.ptp(teeth[:, 2]) / np.ptp(model.vertices[model.parts["teeth"], 2])
    teeth_z = teeth[:, 2].min()
    moved = place.copy()
    moved[:, 2] -= _OUT_M * size * share
    # Behind the teeth, over them, and past them.
    over = _ease((teeth_z + 0.030 * size - moved[:, 2]) / (0.024 * size))
    past = np.clip((teeth_z + 0.002 * size - moved[:, 2]) / (0.018 * size), 0.0, 1.5)
    top = np.interp(model.vertices[:, 2], _Z_M, _TOP_Y_M) - model.vertices[:, 1]
    moved[:, 1] += size * share * (_THINNER * top - _OVER_TEETH_M * over + _DROOP_M * past**2)
    middle = 0.5 * (teeth[:, 0].min() + teeth[:, 0].max())
    moved[:, 0] -= _NARROWER * share * (moved[:, 0] - middle)
    out: Float32Array = (moved - place).astype(np.float32)
    out[share <= 0.0] = 0.0
    return out


def _ease(t: Float64Array) -> Float64Array:
    """Smoothly from 0 (at 0 and below) to 1 (at 1 and above)."""
    t = np.clip(t, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))
