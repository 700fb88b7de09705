"""What may be done to a face's mesh before it is written: smooth, decimate, close."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.geometry.mesh import Int32Array, Mesh, vertex_normals
from rtrecon.host import import_open3d
from rtrecon.mesh.closed import largest_body, weld, without_slivers
from rtrecon.types import Float32Array, Float64Array

__all__ = ["boundary_loops", "close_back", "decimate", "poisson", "smooth"]

_TAUBIN_SHRINK, _TAUBIN_GROW = 0.5, -0.53
_BACK_RINGS = 24
_BACK_DEPTH = 1.25  # of the head behind its border, over the border's median radius
_BACK_INWARD = 0.06  # how far inside the border the back's colours are taken
_POISSON_DEPTH = 8


def smooth(mesh: Mesh, steps: int) -> Mesh:
    """Taubin's smoothing ("A signal processing approach to fair surface design", 1995).

    Noise goes, volume stays: each step shrinks and grows again.
    """
    if steps <= 0:
        return mesh
    triangles = mesh.triangles
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    source, target = np.concatenate([edges, edges[:, ::-1]]).T
    count = len(mesh.vertices)
    degree = np.maximum(np.bincount(source, minlength=count), 1)[:, None]
    points = mesh.vertices.astype(np.float64)
    for _ in range(steps):
        for factor in (_TAUBIN_SHRINK, _TAUBIN_GROW):
            mean = np.stack(
                [
                    np.bincount(source, weights=points[target, axis], minlength=count)
                    for axis in range(3)
                ],
                axis=1,
            )
            points += factor * (mean / degree - points)
    return replace(mesh, vertices=points.astype(np.float32)).with_normals()


def decimate(mesh: Mesh, triangle_count: int) -> Mesh:
    """At most about ``triangle_count`` triangles, by Open3D's quadric error; without ``uv``.

    Raises:
        DataError: fewer than 16 triangles were asked for.
        MissingExtraError: Open3D is not installed.
    """
    if triangle_count < 16:
        raise DataError(f"a face of {triangle_count} triangles is none: decimate to 16 or more")
    if len(mesh.triangles) <= triangle_count:
        return mesh
    smaller = _to_open3d(mesh).simplify_quadric_decimation(
        target_number_of_triangles=triangle_count, boundary_weight=4.0
    )
    smaller.remove_degenerate_triangles()
    smaller.remove_unreferenced_vertices()
    return _from_open3d(smaller)


def poisson(mesh: Mesh, depth: int = _POISSON_DEPTH) -> Mesh:
    """A smooth closed surface through the vertices of ``mesh``, by Open3D; without ``uv``.

    Kazhdan and Hoppe, "Screened Poisson surface reconstruction", 2013. Give it a closed
    mesh (`close_back`): without points behind, the surface there is made up.

    Raises:
        MissingExtraError: Open3D is not installed.
    """
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud()
    cloud.points = o3d.utility.Vector3dVector(mesh.vertices.astype(np.float64))
    cloud.normals = o3d.utility.Vector3dVector(mesh.normals.astype(np.float64))
    cloud.colors = o3d.utility.Vector3dVector(mesh.colors / 255.0)
    surface, _ = o3d.geometry.TriangleMesh.create_from_point_cloud_poisson(cloud, depth=depth)
    surface.remove_degenerate_triangles()
    closed = largest_body(_without_pinches(weld(_from_open3d(surface))))
    # "Bad average roots" leave a few holes of one cell.
    for loop in boundary_loops(closed.triangles):
        closed = _close_flat(closed, loop)
    return without_slivers(largest_body(closed))


def close_back(mesh: Mesh, axis_camera: Float64Array, triangle_count: int | None = None) -> Mesh:
    """Close the head behind: a watertight mesh, for printing.

    Rings grow from the border of the face to a pole behind it, along an ellipse; the
    further back, the smoother. Remaining holes in the face are closed flat. The back takes
    the colours just inside the border.

    Args:
        mesh: in the camera frame, in one piece.
        axis_camera: (3,) unit vector into the head.
        triangle_count: of the back at most, as far as the border's length lets it.

    Raises:
        DataError: the mesh has no border to start from.
    """
    loops = boundary_loops(mesh.triangles)
    if not loops:
        raise DataError("the mesh has no border: it is closed already")
    loops.sort(key=lambda loop: _perimeter(mesh.vertices[loop]))
    before = len(mesh.triangles)
    for loop in loops[:-1]:
        mesh = _close_flat(mesh, loop)
    rings = _BACK_RINGS
    if triangle_count is not None:
        left = triangle_count - (len(mesh.triangles) - before)
        # A ring has two triangles a vertex of the border, the last one has one.
        rings = min(max((left // len(loops[-1]) + 1) // 2, 1), _BACK_RINGS)
    return _add_dome(mesh, loops[-1], axis_camera, rings)


def boundary_loops(triangles: Int32Array) -> list[Int32Array]:
    """Closed loops of vertices along edges that have one triangle, each vertex once a loop.

    A loop runs as its triangles do. Where loops touch in a vertex they are cut apart there.
    """
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    wide = edges.astype(np.int64)
    forward = wide[:, 0] << 32 | wide[:, 1]
    backward = wide[:, 1] << 32 | wide[:, 0]
    following: dict[int, list[int]] = defaultdict(list)
    for start, end in edges[~np.isin(forward, backward)].tolist():
        following[start].append(end)
    loops: list[Int32Array] = []
    while following:
        path = [next(iter(following))]
        place = {path[0]: 0}
        while path:
            vertex = path[-1]
            ends = following.get(vertex)
            if not ends:  # cannot happen on an oriented mesh; leave what does not close
                following.pop(vertex, None)
                break
            step = ends.pop()
            if not ends:
                del following[vertex]
            if step in place:
                first = place[step]
                loops.append(np.array(path[first:], dtype=np.int32))
                for dropped in path[first + 1 :]:
                    del place[dropped]
                del path[first + 1 :]
                if step not in following:
                    break
            else:
                place[step] = len(path)
                path.append(step)
    return [loop for loop in loops if len(loop) >= 3]


def _without_pinches(mesh: Mesh) -> Mesh:
    """``mesh`` without the triangles at edges that more than two of them share."""
    triangles = mesh.triangles.astype(np.int64)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    _, index, count = np.unique(
        edges[:, 0] << 32 | edges[:, 1], return_inverse=True, return_counts=True
    )
    doubled = np.asarray((count[index] > 1).reshape(3, -1).any(axis=0))
    return mesh.select(np.logical_not(doubled))


def _perimeter(points: Float32Array) -> float:
    return float(np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum())


def _close_flat(mesh: Mesh, loop: Int32Array) -> Mesh:
    center = len(mesh.vertices)
    fan = np.stack([np.roll(loop, -1), loop, np.full_like(loop, center)], axis=1)
    return _extended(mesh, mesh.vertices[loop].mean(axis=0)[None], fan, loop[None, :1], loop)


def _add_dome(mesh: Mesh, loop: Int32Array, axis_camera: Float64Array, ring_count: int) -> Mesh:
    axis = np.asarray(axis_camera, dtype=np.float64)
    axis = axis / np.linalg.norm(axis)
    border = mesh.vertices[loop].astype(np.float64)
    center = border.mean(axis=0)
    along = (border - center) @ axis
    across = border - center - along[:, None] * axis
    depth = _BACK_DEPTH * float(np.median(np.linalg.norm(across, axis=1)))
    n = len(loop)
    rings = []
    for k in range(1, ring_count):
        # Denser towards the pole, whose colour is a mean of all.
        angle = 0.5 * np.pi * (1.0 - (1.0 - k / ring_count) ** 2)
        window = max(1, round(n * 0.25 * k / ring_count)) | 1
        shape = _circular_mean(np.column_stack([across, along]), window)
        # Straight back at first, as a skull's side is, then round.
        rings.append(
            center
            + shape[:, :3] * np.cos(angle) ** 0.6
            + (shape[:, 3:] * np.cos(angle) + depth * np.sin(angle)) * axis
        )
    points = np.concatenate([*rings, (center + depth * axis)[None]])
    first = len(mesh.vertices)
    index = np.vstack([loop[None], first + np.arange((ring_count - 1) * n).reshape(-1, n)])
    a, b = index, np.roll(index, -1, axis=1)
    quads = [
        np.stack([b[:-1], a[:-1], a[1:]], axis=-1).reshape(-1, 3),
        np.stack([b[:-1], a[1:], b[1:]], axis=-1).reshape(-1, 3),
        np.stack([b[-1], a[-1], np.full(n, first + (ring_count - 1) * n)], axis=-1),
    ]
    like = np.tile(loop, (ring_count - 1, 1))
    return _extended(mesh, points, np.concatenate(quads), like, loop)


def _circular_mean(values: Float64Array, window: int) -> Float64Array:
    half = window // 2
    padded = np.concatenate([values[-half:], values, values[:half]]) if half else values
    total = np.cumsum(np.vstack([np.zeros(values.shape[1]), padded]), axis=0)
    mean: Float64Array = (total[window:] - total[:-window]) / window
    return mean


def _extended(
    mesh: Mesh,
    points: npt.NDArray[np.floating[Any]],
    triangles: npt.NDArray[np.integer[Any]],
    like: Int32Array,
    loop: Int32Array,
) -> Mesh:
    """``mesh`` with more points and triangles that look like the vertices ``like``."""
    names = like.reshape(-1)
    fill = len(points) - len(names)
    colors = np.concatenate(
        [mesh.colors, mesh.colors[names], np.tile(mesh.colors[loop].mean(axis=0), (fill, 1))]
    ).astype(np.uint8)
    uv = mesh.uv
    if uv is not None:
        middle = uv[loop].mean(axis=0)
        inward = uv[names] + _BACK_INWARD * (middle - uv[names])
        pole = inward.mean(axis=0) if len(names) else middle
        uv = np.concatenate([uv, inward, np.tile(pole, (fill, 1))])
        uv = uv.astype(np.float32)
    vertices = np.concatenate([mesh.vertices, points]).astype(np.float32)
    joined = np.concatenate([mesh.triangles, triangles]).astype(np.int32)
    return Mesh(vertices, joined, vertex_normals(vertices, joined), colors, uv, mesh.texture)


def _to_open3d(mesh: Mesh) -> Any:
    o3d = import_open3d()
    result = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.vertices.astype(np.float64)),
        o3d.utility.Vector3iVector(mesh.triangles),
    )
    result.vertex_colors = o3d.utility.Vector3dVector(mesh.colors / 255.0)
    return result


def _from_open3d(mesh: Any) -> Mesh:
    vertices = np.asarray(mesh.vertices).astype(np.float32)
    triangles = np.asarray(mesh.triangles).astype(np.int32)
    colors = np.clip(np.asarray(mesh.vertex_colors) * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return Mesh(vertices, triangles, vertex_normals(vertices, triangles), colors)
