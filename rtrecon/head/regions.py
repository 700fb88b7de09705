"""Where on the head model things are: scalp, ears, what is too fine for the depth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import piece_labels
from rtrecon.head.membrane import membrane_of, nearest
from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["Regions", "regions_of"]

# The hairline seen from the side: height y over depth z of the mean head, metres.
_HAIRLINE_Z = np.array([-0.05, 0.0, 0.03, 0.055, 0.066, 0.085, 0.115, 0.18])
_HAIRLINE_Y = np.array([-0.085, -0.066, -0.055, -0.035, 0.0, 0.005, 0.045, 0.060])
_SOFT_M = 0.008
# Ears: beside this, between these heights and depths.
_EAR_X, _EAR_Y, _EAR_Z = 0.0755, (-0.014, 0.052), (0.040, 0.105)

_BESIDE_Y, _BESIDE_Z = 0.058, 0.034  # where hair that covers the ears ends below, and in front


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Shares in [0, 1] of the membrane's vertices.

    ``scalp``: where hair grows on most heads. ``ear``: the pinnae; ``hidden_ear``: those under
    hair; ``near_ear``: where the outline may be that of an ear. ``beside``: what hair covers that
    covers the ears. ``coarse``: how far the network's depth, blurred at lids, lips, nostrils and
    ears, may be followed. ``neck``: below the jaw, by ``below_jaw_m`` metres. ``lips``: their red;
    ``between_lips``: their inner rim; ``lip_pull``: what moves with that rim when the mouth shuts.
    ``outside``: skin, not a socket. All (n,) float64.

    ``follow`` (m,): the membrane's vertex that each vertex of the lashes moves with;
    ``lash_root`` (m,) where it grows.
    """

    scalp: Float64Array
    ear: Float64Array
    hidden_ear: Float64Array
    near_ear: Float64Array
    beside: Float64Array
    coarse: Float64Array
    neck: Float64Array
    below_jaw_m: Float64Array
    lips: Float64Array
    between_lips: Float64Array
    lip_pull: Float64Array
    outside: Float64Array
    lash_root: npt.NDArray[np.intp]
    follow: npt.NDArray[np.intp]


@lru_cache(maxsize=2)
def regions_of(model: HeadModel) -> Regions:
    """Of ``model``; made once."""
    membrane = membrane_of(model)
    count, skin = membrane.count, model.parts["head_neck"].stop
    V = model.vertices[:count].astype(np.float64)
    x, y, z = np.abs(V[:, 0]), V[:, 1], V[:, 2]
    ear = (x > _EAR_X) & (y > _EAR_Y[0]) & (y < _EAR_Y[1]) & (z > _EAR_Z[0]) & (z < _EAR_Z[1])
    ear_soft = membrane.smooth(ear.astype(np.float64)[:, None], 6)[:, 0].clip(0.0, 1.0)
    line = np.interp(z, _HAIRLINE_Z, _HAIRLINE_Y)
    scalp = np.clip((line - y) / _SOFT_M + 0.5, 0.0, 1.0) * (1.0 - np.clip(2 * ear_soft, 0, 1))
    outside = (np.arange(count) < skin).astype(np.float64)
    marks = model.vertices[model.landmarks]
    coarse = outside.copy()
    eyes = model.eye_centers(model.vertices)
    for center in eyes:
        apart = np.hypot(V[:, 0] - center[0], 1.3 * (V[:, 1] - center[1]))
        coarse *= np.maximum(_ramp(apart, 0.016, 0.024), z > 0.05)
    coarse *= _ramp(_distance(V, marks[48:68]), 0.004, 0.010)
    coarse *= _ramp(_distance(V, marks[31:36]), 0.004, 0.010)
    coarse *= 1.0 - np.clip(3.0 * ear_soft, 0.0, 1.0)
    # The jaw runs from the chin to below the ear; the neck is under it.
    jaw = np.interp(z, [-0.02, 0.05, 0.10, 0.2], [0.124, 0.10, 0.065, 0.075])
    neck = np.clip((y - jaw) / 0.01, 0.0, 1.0) * outside * (1.0 - scalp)
    # Where skin and mouth meet.
    owners = model.triangles[model.triangles.max(axis=1) < model.parts["mouth_socket"].stop]
    across = owners[(owners >= skin).any(axis=1) & (owners < skin).any(axis=1)]
    inner_lip = _distance(V, model.vertices[np.unique(across[across < skin])])
    between = 1.0 - _ramp(inner_lip, 0.002, 0.005)
    lips = (_distance(V, marks[[50, 51, 52, 56, 57, 58]]) < 0.003) & (inner_lip > 0.003)
    lash_root = _lash_roots(model)
    return Regions(
        scalp * outside,
        ear_soft * outside,
        np.zeros(count),
        ((y > -0.030) & (z > 0.02) & (z < 0.125)).astype(np.float64),
        np.clip((_BESIDE_Y - y) / 0.012, 0.0, 1.0)
        * np.clip((y + 0.05) / 0.01, 0.0, 1.0)
        * np.clip((z - _BESIDE_Z) / 0.008, 0.0, 1.0)
        * outside,
        coarse,
        neck,
        np.maximum(y - jaw, 0.0) * outside,
        lips * outside,
        between * outside,
        np.exp(-0.5 * (_distance(V, marks[60:68]) / 0.0045) ** 2) * (z < 0.012),
        outside,
        lash_root,
        nearest(model.vertices[lash_root], model.vertices[:skin]),
    )


def _lash_roots(model: HeadModel) -> npt.NDArray[np.intp]:
    """(m,) the vertex at the lid that each of the lashes' grows from: a strip's first in the
    texture's height, and nearest along it."""
    part = model.parts["lashes"]
    uv = np.zeros((len(model.vertices), 2))
    uv[model.triangles.ravel()] = model.uv[model.uv_triangles.ravel()]
    strip_of = piece_labels(model.triangles, len(model.vertices))
    roots = np.arange(part.start, part.stop)
    for strip in np.unique(strip_of[part]):
        members = part.start + np.flatnonzero(strip_of[part] == strip)
        high = uv[members, 1]
        first = members[high < high.min() + 0.2 * np.ptp(high) + 1e-9]
        apart = np.abs(uv[members, :1] - uv[first, 0])
        roots[members - part.start] = first[apart.argmin(axis=1)]
    return roots


def _distance(points: Float64Array, among: Float32Array) -> Float64Array:
    apart = points[:, None, :] - among[None].astype(np.float64)
    return np.asarray(np.sqrt((apart**2).sum(axis=2)).min(axis=1))


def _ramp(value: Float64Array, low: float, high: float) -> Float64Array:
    return np.asarray(np.clip((value - low) / (high - low), 0.0, 1.0))
