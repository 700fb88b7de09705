"""Closed means closed: one body, two triangles at each edge, none without area, also once points
of equal coordinates are taken for one, as programs that read a file do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.geometry.mesh import Int32Array, Mesh, piece_labels

__all__ = ["check_closed", "is_closed", "largest_body", "weld", "without_slivers"]

# Files of text have micrometres: points nearer than this may be one there.
_LEAST_EDGE_M = 1e-5
_LEAST_AREA_M2 = 1e-11
_ROUNDS = 60


def is_closed(triangles: Int32Array) -> bool:
    """Whether each edge has two triangles, which run along it in opposite directions."""
    edges = _edges(triangles)
    forward, count = np.unique(edges[:, 0] << 32 | edges[:, 1], return_counts=True)
    backward = np.unique(edges[:, 1] << 32 | edges[:, 0])
    return bool((count == 1).all()) and np.array_equal(forward, backward)


def check_closed(mesh: Mesh) -> Mesh:
    """``mesh``.

    Raises:
        DataError: it is not closed, in one body and without a triangle of no area.
    """
    welded = weld(mesh)
    bodies = len(np.unique(piece_labels(welded.triangles, len(welded.vertices))))
    slivers = int((_areas(mesh.vertices, mesh.triangles) < 1e-12).sum())
    if bodies != 1 or slivers or not is_closed(welded.triangles):
        raise DataError(
            f"the mesh could not be closed ({bodies} bodies, {slivers} triangles without area): "
            "try it without --decimate or --poisson"
        )
    return mesh


def weld(mesh: Mesh) -> Mesh:
    """Points of equal coordinates made one, and the triangles that this leaves without a side
    taken away."""
    points, first, index = np.unique(mesh.vertices, axis=0, return_index=True, return_inverse=True)
    if len(points) == len(mesh.vertices):
        return mesh
    welded = first[index.reshape(-1)].astype(np.int32)[mesh.triangles]
    sides = (welded != np.roll(welded, 1, axis=1)).all(axis=1)
    return replace(mesh, triangles=welded).select(sides)


def largest_body(mesh: Mesh) -> Mesh:
    """The connected piece with the most triangles."""
    if len(mesh.triangles) == 0:
        return mesh
    label = piece_labels(mesh.triangles, len(mesh.vertices))[mesh.triangles[:, 0]]
    return mesh.select(np.asarray(label == np.bincount(label).argmax()))


def without_slivers(mesh: Mesh) -> Mesh:
    """A closed ``mesh`` without edges of no length and triangles of no area: the shortest edge of
    each becomes a point, where that leaves the surface what it is (the link condition, Dey et
    al., "Topology preserving edge contraction", 1999)."""
    vertices, triangles = mesh.vertices.copy(), mesh.triangles.copy()
    for _ in range(_ROUNDS):
        ends = _short_edges(vertices, triangles)
        if len(ends) == 0:
            break
        around = _around(triangles, ends)
        touched: set[int] = set()
        gone = np.zeros(len(triangles), dtype=np.bool_)
        for one, other in ends.tolist():
            first, second = (set(triangles[around[v]].ravel().tolist()) for v in (one, other))
            ring = first | second
            shared = [t for t in around[other] if one in triangles[t]]
            # Their common neighbours are the tips of the two triangles between them alone.
            if touched & ring or len(shared) != 2 or len((first & second) - {one, other}) != 2:
                continue
            touched |= ring
            vertices[one] = 0.5 * (vertices[one] + vertices[other])
            gone[shared] = True
            moved = triangles[around[other]]
            moved[moved == other] = one
            triangles[around[other]] = moved
        if not gone.any():
            break
        triangles = triangles[~gone]
    tidy = replace(mesh, vertices=vertices, triangles=triangles)
    return tidy.select(np.ones(len(triangles), dtype=np.bool_)).with_normals()


def _short_edges(vertices: npt.NDArray[np.float32], triangles: Int32Array) -> Int32Array:
    """(k, 2) edges that are to become points, each once."""
    edges = np.sort(_edges(triangles), axis=1)
    length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    per_triangle = length.reshape(3, -1)
    flat = _areas(vertices, triangles) < _LEAST_AREA_M2
    wanted = length < _LEAST_EDGE_M
    wanted[(per_triangle.argmin(axis=0) * len(triangles) + np.arange(len(triangles)))[flat]] = True
    return np.unique(edges[wanted], axis=0).astype(np.int32)


def _around(triangles: Int32Array, ends: Int32Array) -> dict[int, npt.NDArray[np.intp]]:
    """The triangles at each vertex of ``ends``."""
    wanted = np.unique(ends)
    row, corner = np.nonzero(np.isin(triangles, wanted))
    vertex = triangles[row, corner]
    order = np.argsort(vertex, kind="stable")
    splits = np.searchsorted(vertex[order], wanted)
    parts = np.split(row[order], splits[1:])
    return dict(zip(wanted.tolist(), parts, strict=True))


def _edges(triangles: Int32Array) -> npt.NDArray[np.int64]:
    """(3 m, 2) directed edges, all first ones first."""
    return np.concatenate(
        [triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]
    ).astype(np.int64)


def _areas(vertices: npt.NDArray[np.float32], triangles: Int32Array) -> npt.NDArray[np.float64]:
    corners = vertices.astype(np.float64)[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(0.5 * np.linalg.norm(across, axis=1))
