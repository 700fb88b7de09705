"""From a face's grid of points to a clean mesh: small holes closed, the border trimmed."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import Int32Array, Mesh, UInt8Array, piece_labels, vertex_normals
from rtrecon.geometry.surface import grid_triangles
from rtrecon.types import Float32Array, Float64Array

__all__ = [
    "GridLike",
    "calm_border",
    "calm_sides",
    "clean_grid_mesh",
    "close_holes",
    "trim_border",
]

BoolArray = npt.NDArray[np.bool_]

MAX_HOLE_SHARE = 0.004
"""Holes larger than this share of the face's pixels stay open (an eye is about 0.01)."""

MAX_BRIDGE_SLOPE = 12.0
"""Depth step over pixel spacing beyond which neighbours are two surfaces (85 degrees from
facing the camera). More than the live view bridges: the side of a head in front of an ear is
that steep, and a file is looked at from there too."""

# Radii of what is too thin to keep, as shares of the grid's side: anywhere, and of what
# reaches further than _REACH_SHARE (a strap, a collar).
_TRIM_SHARE, _THREAD_SHARE, _REACH_SHARE = 0.015, 0.03, 0.05
_FILL_STEPS = 200
_BORDER_STEPS = 16
_SIDE_STEPS = 10
_STEEP_BELOW, _STEEPEST = 0.5, 0.2  # cosine of the angle to the ray: smoothed, and wholly


class GridLike(Protocol):
    """An organised grid of the crop, as `rtrecon.geometry` gives it."""

    @property
    def points_camera(self) -> Float32Array:
        """(h, w, 3) metres."""

    @property
    def colors(self) -> UInt8Array:
        """(h, w, 3) RGB."""

    @property
    def valid(self) -> BoolArray:
        """(h, w) on the face."""


def clean_grid_mesh(
    grid: GridLike, texture: UInt8Array | None = None, M_uv_crop: Float64Array | None = None
) -> Mesh:
    """The grid as one connected surface in the camera frame.

    Depth in small holes is the smooth continuation of their rims (Laplace's equation); a
    fringe thinner than a few pixels goes; no triangle bridges a depth jump; of several
    pieces the largest stays.

    Args:
        grid: of one face.
        texture: (th, tw, 3) uint8 RGB; None: the grid's colours.
        M_uv_crop: (2, 3) from crop pixels to coordinates in ``texture``; None: it is the crop.
    """
    spacing = _spacing(grid.points_camera, grid.valid)
    valid = trim_border(_cut_grazing(grid, MAX_BRIDGE_SLOPE * spacing))
    closed = close_holes(valid)
    points = np.array(grid.points_camera, dtype=np.float32)
    points[~closed] = 0.0
    holes = closed & ~grid.valid
    if holes.any():
        _fill(points, closed, holes)
    z = np.where(closed, points[..., 2], np.float32(0.0))
    triangles = grid_triangles(z, closed, MAX_BRIDGE_SLOPE * spacing)
    height, width = closed.shape
    flat = points.reshape(-1, 3)
    rows, columns = np.divmod(np.arange(height * width), width)
    if M_uv_crop is None:
        M_uv_crop = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]]) / [[width], [height]]
    uv = np.stack([columns, rows], axis=1) @ M_uv_crop[:, :2].T + M_uv_crop[:, 2]
    colors = np.ascontiguousarray(grid.colors)
    mesh = Mesh(
        flat,
        triangles,
        vertex_normals(flat, triangles),
        colors.reshape(-1, 3),
        np.clip(uv, 0.0, 1.0).astype(np.float32),
        colors if texture is None else texture,
    )
    piece = mesh.select(_largest_piece(triangles, len(flat)))
    calm = calm_sides(calm_border(piece.vertices, piece.triangles), piece.triangles)
    return replace(piece, vertices=calm).with_normals()


def calm_border(
    points: Float32Array, triangles: Int32Array, steps: int = _BORDER_STEPS
) -> Float32Array:
    """``points`` (n, 3) camera frame with the depth of the surface's border smoothed along it.

    Where the side of a head is cut off, one row of pixels reaches further round it than the
    next, by millimetres: a comb, seen from the side. Points move along their rays, so that
    they stay where they were seen.
    """
    on, border = np.unique(_border_edges(triangles, len(points)), return_inverse=True)
    border = border.reshape(2, -1)
    one, other = np.concatenate([border, border[::-1]], axis=1)  # each both ways
    count = np.bincount(one)
    z = points[on, 2].astype(np.float64)
    for _ in range(steps):
        z = 0.5 * z + 0.5 * np.bincount(one, weights=z[other]) / count
    calm = points.copy()
    calm[on] *= (z / points[on, 2])[:, None].astype(np.float32)
    return calm


def calm_sides(
    points: Float32Array, triangles: Int32Array, steps: int = _SIDE_STEPS
) -> Float32Array:
    """``points`` (n, 3) camera frame with the depth of steep parts smoothed.

    On the side of a head a pixel's error in where the side begins is centimetres of depth:
    streaks, row by row. The steeper, the more it is smoothed; what faces the camera and the
    border stay. Points move along their rays.
    """
    rays = points / np.linalg.norm(points, axis=1, keepdims=True)
    facing = -(rays * vertex_normals(points, triangles)).sum(axis=1)
    share = 0.5 * np.clip((_STEEP_BELOW - facing) / (_STEEP_BELOW - _STEEPEST), 0.0, 1.0)
    share[_border_edges(triangles, len(points))] = 0.0
    one = triangles[:, [0, 1, 2, 0, 1, 2]].ravel()
    other = triangles[:, [1, 2, 0, 2, 0, 1]].ravel()
    steep = share[one] > 0.0
    if not steep.any():
        return points
    moved, place = np.unique(one[steep], return_inverse=True)
    other, share = other[steep], share[moved]
    count = np.bincount(place)
    z = points[:, 2].astype(np.float64)
    for _ in range(steps):
        z[moved] += share * (np.bincount(place, weights=z[other]) / count - z[moved])
    calm = points.copy()
    calm[moved] *= (z[moved] / points[moved, 2])[:, None].astype(np.float32)
    return calm


def _border_edges(triangles: Int32Array, vertex_count: int) -> npt.NDArray[np.int64]:
    """(2, k) vertices of the edges that one triangle alone has."""
    one, other = triangles.ravel(), np.roll(triangles, -1, axis=1).ravel()
    edges = np.minimum(one, other).astype(np.int64) * vertex_count
    edges += np.maximum(one, other)
    edges.sort()
    repeated = edges[1:] == edges[:-1]
    alone = ~(np.append(repeated, False) | np.insert(repeated, 0, False))
    return np.stack(np.divmod(edges[alone], vertex_count))


def trim_border(valid: BoolArray) -> BoolArray:
    """The largest piece of ``valid`` (h, w), without spikes and threads on its border."""
    solid = close_holes(valid, max_share=1.0).astype(np.uint8)
    side = max(valid.shape)
    fine, coarse, reach = (
        _disc(max(1, round(share * side))) for share in (_TRIM_SHARE, _THREAD_SHARE, _REACH_SHARE)
    )
    # Outside the crop counts as face: a head cut by the crop's edge keeps that edge.
    pad = reach.shape[0]
    padded = cv2.copyMakeBorder(solid, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    near_thick = cv2.dilate(cv2.morphologyEx(padded, cv2.MORPH_OPEN, coarse), reach)
    opened = cv2.min(cv2.morphologyEx(padded, cv2.MORPH_OPEN, fine), near_thick)
    opened = np.ascontiguousarray(opened[pad:-pad, pad:-pad])
    _, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if len(stats) < 2:
        return valid
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return np.asarray(valid & (labels == largest))


def _disc(radius: int) -> npt.NDArray[np.uint8]:
    size = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)


def close_holes(valid: BoolArray, max_share: float = MAX_HOLE_SHARE) -> BoolArray:
    """``valid`` (h, w) with its enclosed holes of up to ``max_share`` of its pixels filled."""
    outside = np.pad(~valid, 1, constant_values=True).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
    limit = max_share * np.count_nonzero(valid)
    small = np.zeros(count, dtype=np.bool_)
    small[1:] = stats[1:, cv2.CC_STAT_AREA] <= limit
    small[labels[0, 0]] = False
    return np.asarray(valid | small[labels][1:-1, 1:-1])


def _cut_grazing(grid: GridLike, max_step: float) -> BoolArray:
    """``grid.valid`` without the steep pixels that hang together with its outside."""
    z, valid = grid.points_camera[:, :, 2], grid.valid
    steep = np.zeros_like(valid)
    for near, far in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        jump = (np.abs(z[near] - z[far]) > max_step) & valid[near] & valid[far]
        # Of the two the farther one turns away, or belongs to what is behind.
        steep[near] |= jump & (z[near] > z[far])
        steep[far] |= jump & (z[near] <= z[far])
    outside = np.pad(~valid | steep, 1, constant_values=True).astype(np.uint8)
    labels = cv2.connectedComponents(outside, connectivity=4)[1]
    off = np.pad(~valid, 1, constant_values=True)
    small = cv2.connectedComponents(off.astype(np.uint8), connectivity=4)[1]
    reached = np.isin(labels, np.unique(labels[small == small[0, 0]]))
    return valid & ~(reached & outside.astype(np.bool_))[1:-1, 1:-1]


def _fill(points: Float32Array, closed: BoolArray, holes: BoolArray) -> None:
    """Solve Laplace's equation for the points of ``holes``, in place."""
    known = (closed & ~holes).astype(np.float32)
    values = points * known[..., None]
    weight = cv2.GaussianBlur(known, (0, 0), 3.0)
    guess = cv2.GaussianBlur(values, (0, 0), 3.0) / np.maximum(weight, 1e-6)[..., None]
    values = np.where(holes[..., None], guess, values)
    around = closed.astype(np.float32)
    kernel = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=np.float32)
    count = np.maximum(cv2.filter2D(around, -1, kernel, borderType=cv2.BORDER_CONSTANT), 1.0)
    rows, columns = np.nonzero(holes)
    y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    box = np.s_[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1]
    part, part_holes = values[box].copy(), holes[box][..., None]
    part_around, part_count = around[box][..., None], count[box][..., None]
    for _ in range(_FILL_STEPS):
        mean = cv2.filter2D(part * part_around, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        part = np.where(part_holes, mean / part_count, part)
    points[box] = np.where(part_holes, part, points[box])


def _spacing(points: Float32Array, valid: BoolArray) -> float:
    """Median distance in metres, across the view, between neighbouring pixels."""
    both = valid[:, 1:] & valid[:, :-1]
    steps = points[:, 1:, :2][both] - points[:, :-1, :2][both]
    return float(np.median(np.linalg.norm(steps, axis=1))) if len(steps) else 1e-3


def _largest_piece(triangles: Int32Array, vertex_count: int) -> BoolArray:
    """(m,) which triangles belong to the largest connected piece."""
    label = piece_labels(triangles, vertex_count)[triangles[:, 0]] if len(triangles) else triangles
    if len(label) == 0:
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(label == np.bincount(label).argmax())
