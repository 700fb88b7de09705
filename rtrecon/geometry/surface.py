"""The organised grid of a crop as a surface: edges, normals, triangles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.geometry.rays import CropRays
from rtrecon.types import Float32Array

__all__ = ["MAX_SLOPE", "SurfaceScratch", "grid_triangles", "surface_normals"]

BoolArray = npt.NDArray[np.bool_]
Int32Array = npt.NDArray[np.int32]

MAX_SLOPE = 6.0
"""Neighbouring pixels whose depths differ by more than so many pixel spacings (80 degrees
from facing the camera) belong to different surfaces."""

_FAR_M = 1e6
_SHARE = np.zeros(256, dtype=np.float32)  # of each of no, one or two steps in their mean
_SHARE[1:3] = 1.0, 0.5
_DIAGONAL = float(np.sqrt(2.0))


@dataclass(slots=True, eq=False)
class SurfaceScratch:
    """Work arrays for grids of ``size`` x ``size``; for one thread."""

    size: int
    maps: tuple[Float32Array, ...]
    joined: BoolArray
    count: npt.NDArray[np.uint8]

    @classmethod
    def create(cls, size: int) -> SurfaceScratch:
        """Allocate for grids of ``size`` x ``size``."""
        maps = tuple(np.empty((size, size), dtype=np.float32) for _ in range(6))
        joined = np.empty((size, size), dtype=np.bool_)
        return cls(size, maps, joined, np.empty((size, size), dtype=np.uint8))


def surface_normals(
    z: Float32Array,
    valid: BoolArray,
    rays: CropRays,
    max_step: float,
    out: Float32Array,
    scratch: SurfaceScratch,
) -> None:
    """Unit normals that face the camera, from central differences of depth.

    The surface is ``P = z * r`` with ``r = (x, y, 1)``. With ``l = ln z`` its normal is along
    ``l_c (r x r_r) + l_r (r_c x r) + r_c x r_r`` (c: column, r: row), so that only depth is
    differentiated and the rays' derivatives are exact. A neighbour that is off the mask or
    across a jump takes no part: one-sided there.

    Args:
        z: (h, w) float32 camera depth in metres, finite and above zero everywhere.
        valid: (h, w) bool.
        rays: of the grid.
        max_step: depth difference in metres beyond which neighbours are apart.
        out: (h, w, 3) float32; where ``valid`` is False its contents mean nothing.
        scratch: of the grid's size.
    """
    column, row, nx, ny, nz, work = scratch.maps
    nz.fill(_FAR_M)
    cv2.copyTo(z, valid.view(np.uint8), nz)
    _gradient(nz, 1, max_step, column, nx, scratch)
    _gradient(nz, 0, max_step, row, nx, scratch)
    np.divide(column, z, out=column)
    np.divide(row, z, out=row)
    # Outward is minus dP/dc x dP/dr: that one points away from the camera.
    np.multiply(column, rays.y_row, out=nx)
    np.multiply(row, rays.y_column, out=work)
    np.subtract(nx, work, out=nx)
    np.multiply(row, rays.x_column, out=ny)
    np.multiply(column, rays.x_row, out=work)
    np.subtract(ny, work, out=ny)
    # The third component follows from n . r = -(r_c x r_r)_z, as P's derivatives show.
    np.multiply(nx, rays.x, out=nz)
    np.multiply(ny, rays.y, out=work)
    np.add(nz, work, out=nz)
    np.add(nz, _area(rays), out=nz)
    np.negative(nz, out=nz)
    np.multiply(nx, nx, out=work)
    np.multiply(ny, ny, out=column)
    np.add(work, column, out=work)
    np.multiply(nz, nz, out=column)
    np.add(work, column, out=work)
    np.sqrt(work, out=work)
    for component in (nx, ny, nz):
        np.divide(component, work, out=component)
    cv2.merge([nx, ny, nz], out)


def grid_triangles(z: Float32Array, valid: BoolArray, max_step: float) -> Int32Array:
    """Two triangles a quad of neighbouring valid pixels, none across a depth jump.

    Corner order is top left, bottom left, top right (and top right, bottom left, bottom
    right): anticlockwise as the camera sees it, so that the right-hand rule gives the
    outward normal. Edges longer than ``max_step`` metres in depth (by the root of two more
    along the diagonal) are not bridged.

    Returns:
        (m, 3) int32 into the flattened grid.
    """
    height, width = z.shape
    across = np.abs(z[:, 1:] - z[:, :-1]) <= max_step
    across &= valid[:, 1:]
    across &= valid[:, :-1]
    down = np.abs(z[1:] - z[:-1]) <= max_step
    down &= valid[1:]
    down &= valid[:-1]
    diagonal = np.abs(z[1:, :-1] - z[:-1, 1:]) <= max_step * _DIAGONAL
    upper = np.flatnonzero(diagonal & across[:-1] & down[:, :-1])
    lower = np.flatnonzero(diagonal & across[1:] & down[:, 1:])
    corner = _quad_corners(height, width)
    triangles = np.empty((len(upper) + len(lower), 3), dtype=np.int32)
    first, second = triangles[: len(upper)], triangles[len(upper) :]
    corner.take(upper, out=first[:, 0], mode="clip")
    np.add(first[:, 0], width, out=first[:, 1])
    np.add(first[:, 0], 1, out=first[:, 2])
    second[:, 0] = corner[lower]
    second[:, 0] += 1
    np.add(second[:, 0], width - 1, out=second[:, 1])
    np.add(second[:, 0], width, out=second[:, 2])
    return triangles


def _gradient(
    far: Float32Array,
    axis: int,
    max_step: float,
    out: Float32Array,
    step: Float32Array,
    scratch: SurfaceScratch,
) -> None:
    """Derivative along ``axis`` from the neighbours that belong together.

    ``far`` (h, w) is depth, beyond any reach where it is not valid: one comparison then finds
    both the mask's edge and a jump. Works on flattened arrays, which NumPy does three times
    as fast as on columns; what runs over the end of a row is cut.
    """
    offset = far.shape[1] if axis == 0 else 1
    z, steps, total = far.reshape(-1), step.reshape(-1)[:-offset], out.reshape(-1)
    joined, count = scratch.joined, scratch.count.reshape(-1)
    np.subtract(z[offset:], z[:-offset], out=steps)
    np.abs(steps, out=total[:-offset])
    flat = joined.reshape(-1)
    np.less_equal(total[:-offset], max_step, out=flat[:-offset])
    flat[-offset:] = False
    if axis == 1:
        joined[:, -1] = False
    np.multiply(steps, flat[:-offset], out=steps)
    np.copyto(total[:-offset], steps)
    total[-offset:] = 0.0
    np.add(total[offset:], steps, out=total[offset:])
    np.copyto(count, flat.view(np.uint8))
    np.add(count[offset:], flat[:-offset].view(np.uint8), out=count[offset:])
    cv2.LUT(scratch.count, _SHARE, dst=step)
    np.multiply(out, step, out=out)


def _area(rays: CropRays) -> float | Float32Array:
    return rays.x_column * rays.y_row - rays.x_row * rays.y_column


@lru_cache(maxsize=8)
def _quad_corners(height: int, width: int) -> Int32Array:
    corners = np.arange(height * width, dtype=np.int32).reshape(height, width)
    return np.ascontiguousarray(corners[:-1, :-1]).reshape(-1)
