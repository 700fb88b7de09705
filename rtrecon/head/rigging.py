"""From a person's head at rest to one that can be animated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rtrecon._version import __version__
from rtrecon.errors import ArgumentError, DataError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mesh import Int32Array, UInt8Array, vertex_normals
from rtrecon.head.model import PART_NAMES, HeadModel
from rtrecon.head.rig import Joint, Piece, RiggedHead
from rtrecon.head.shapes import person_shapes
from rtrecon.types import Float32Array, Float64Array

__all__ = ["rig_head"]

_PIECE_OF_PART = {
    "face": "skin",
    "head_neck": "skin",
    "mouth_socket": "mouth",
    "eye_sockets": "skin",
    "gums_tongue": "mouth",
    "teeth": "teeth",
    "eye_left": "eyes",
    "eye_right": "eyes",
    "lashes": "lashes",
}
# Joints of the mean head, y and z: where the head turns on the neck, and the neck's root.
_HEAD_YZ_M = (0.045, 0.078)
_NECK_YZ_M = (0.150, 0.112)
# From where on the neck's skin goes with the head alone: y at z = 0, and how it falls with z.
_NECK_TOP_M, _NECK_TOP_SLOPE = 0.126, -0.42


def rig_head(
    model: HeadModel,
    vertices: Float32Array,
    texture: UInt8Array,
    *,
    extras: Mapping[str, object] | None = None,
) -> RiggedHead:
    """A person's head with joints, weights and ARKit's shapes; the neck closed below.

    Args:
        model: whose topology the vertices have.
        vertices: (n, 3) float32 at rest, head frame, metres (`FittedHead.at_rest`).
        texture: (s, s, 3) uint8 RGB in the layout of the model's ``uv``.
        extras: facts to travel with it; JSON values.

    Raises:
        ArgumentError: there are other vertices than the model's, or the texture is no square
            picture.
        DataError: a vertex is not finite.
    """
    if vertices.shape != model.vertices.shape:
        raise ArgumentError(f"vertices must be {model.vertices.shape}, not {vertices.shape}")
    if texture.ndim != 3 or texture.shape[2] != 3 or texture.shape[0] != texture.shape[1]:
        raise ArgumentError(f"a head's texture must be (s, s, 3), not {texture.shape}")
    if not np.isfinite(vertices).all():
        raise DataError("the head has vertices that are not finite")
    ring = _neck_ring(model)
    count = len(vertices)
    normals = vertex_normals(vertices, model.triangles)
    middle = vertices[ring].mean(axis=0, keepdims=True)
    cap = np.stack([ring, np.roll(ring, -1), np.full(len(ring), count)], axis=1)
    # One colour for all of it, of the neck's skin at the front: a picture has no underside.
    plain = np.full_like(cap, _uv_of(model, int(ring[vertices[ring, 2].argmin()])))
    below = np.cross(vertices[cap[:, 1]] - vertices[cap[:, 0]], middle - vertices[cap[:, 0]]).sum(
        axis=0
    )
    normal = (below / max(float(np.linalg.norm(below)), 1e-12)).astype(np.float32)
    shapes = person_shapes(model, vertices)
    still = np.zeros((len(shapes), 1, 3), dtype=np.float32)
    weights = joint_weights(model)
    return RiggedHead(
        vertices=np.concatenate([vertices, middle]).astype(np.float32),
        normals=np.concatenate([normals, normal[None]]),
        triangles=np.concatenate([model.triangles, cap.astype(np.int32)]),
        uv=model.uv,
        uv_triangles=np.concatenate([model.uv_triangles, plain.astype(np.int32)]),
        texture=texture,
        shapes=np.concatenate([shapes, still], axis=1),
        shape_names=ARKIT_NAMES,
        joints=_joints(model, vertices),
        weights=np.concatenate([weights, weights[ring[:1]]]),
        pieces=_pieces(model, len(cap)),
        landmarks=model.landmarks,
        extras={"generator": f"rtrecon {__version__}", **(extras or {})},
    )


def joint_weights(model: HeadModel) -> Float32Array:
    """(n, 4) float32 share of Neck, Head, LeftEye and RightEye in each vertex.

    Eyeballs turn whole. The neck's skin goes over from Neck at the cut to Head under the jaw and
    at the skull's base; all else is the head's.
    """
    place = model.vertices.astype(np.float64)
    ring = place[_neck_ring(model)]
    line = np.polyfit(ring[:, 2], ring[:, 1], 1)
    bottom = np.polyval(line, place[:, 2]) - 0.004
    top = _NECK_TOP_M + _NECK_TOP_SLOPE * place[:, 2]
    t = np.clip((bottom - place[:, 1]) / (bottom - top), 0.0, 1.0)
    head = t * t * (3.0 - 2.0 * t)
    head[model.parts["head_neck"].stop :] = 1.0
    weights = np.zeros((len(place), 4), dtype=np.float32)
    weights[:, 1] = head
    weights[:, 0] = 1.0 - weights[:, 1]
    for joint, name in ((2, "eye_left"), (3, "eye_right")):
        weights[model.parts[name]] = 0.0
        weights[model.parts[name], joint] = 1.0
    return weights


def _joints(model: HeadModel, vertices: Float32Array) -> tuple[Joint, ...]:
    left, right = model.eye_centers(vertices)
    neck = _carried(model, vertices, np.array([0.0, *_NECK_YZ_M]))
    head = _carried(model, vertices, np.array([0.0, *_HEAD_YZ_M]))
    return (
        Joint("Neck", None, neck),
        Joint("Head", "Neck", head),
        Joint("LeftEye", "Head", left),
        Joint("RightEye", "Head", right),
    )


def _carried(model: HeadModel, vertices: Float32Array, point: Float64Array) -> Float64Array:
    """A point within the mean head, in the person's: as the skin at its height went."""
    skin = np.arange(model.parts["head_neck"].stop)
    mean = model.vertices[skin].astype(np.float64)
    near = np.abs(mean[:, 1] - point[1]) < 0.012
    a, b = mean[near], vertices[skin][near].astype(np.float64)
    size = np.ptp(b, axis=0)[[0, 2]].sum() / np.ptp(a, axis=0)[[0, 2]].sum()
    moved = b.mean(axis=0) + size * (point - a.mean(axis=0))
    moved[0] = b[:, 0].mean()
    return np.asarray(moved)


def _neck_ring(model: HeadModel) -> Int32Array:
    """The border of the skin at the neck, in the order in which a cap goes along it."""
    skin = model.triangles[model.triangles.max(axis=1) < model.parts["head_neck"].stop]
    edges = np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])
    count = len(model.vertices)
    there = edges[:, 0].astype(np.int64) * count + edges[:, 1]
    back = edges[:, 1].astype(np.int64) * count + edges[:, 0]
    border = edges[~np.isin(back, there)]
    low = border[:, 0][model.vertices[border[:, 0], 1] > 0.1]
    following = dict(border[:, ::-1].tolist())  # the cap runs against the skin
    start = int(low[0])
    ring = [start]
    while (following[ring[-1]]) != start:
        ring.append(following[ring[-1]])
    return np.array(ring, dtype=np.int32)


def _uv_of(model: HeadModel, vertex: int) -> int:
    triangle, corner = np.argwhere(model.triangles == vertex)[0]
    return int(model.uv_triangles[triangle, corner])


def _pieces(model: HeadModel, cap_triangles: int) -> tuple[Piece, ...]:
    part = model.part_of_triangles()
    names = np.array([_PIECE_OF_PART[name] for name in PART_NAMES])[part]
    names = np.concatenate([names, np.full(cap_triangles, "skin")])
    kinds = dict.fromkeys(_PIECE_OF_PART.values())
    return tuple(Piece(name, np.flatnonzero(names == name)) for name in kinds)
