"""What stands in the 3D window: heads, or what the network saw as points and lines."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.draw.live_head import HeadView
from rtrecon.draw.raster import BACKGROUND
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Float32Array, Float64Array

__all__ = ["Heads", "Look", "Points", "Style", "Wires", "depth_colors", "middle_of"]

logger = logging.getLogger(__name__)

Style = Literal["points", "mesh", "wireframe"]
Look = Literal["picture", "depth", "clay"]

_MOST_POINTS = 1 << 18
_DEPTH_SPAN_M = 0.16
_CLAY = (0.66, 0.62, 0.58)  # what the surface is made of when it is lit
_DIM = 0.4
_WIRE_STEP = 4  # crop pixels between the lines of the wireframe
_SHADE = 0.3  # what faces away from the camera is so much darker: nothing lit it


class _Shown:
    """A geometry that is in the window or not."""

    def __init__(self, window: Any, geometry: Any) -> None:
        self._window, self._geometry, self._there = window, geometry, False

    def show(self, wanted: bool) -> None:
        if wanted and self._there:
            self._window.update_geometry(self._geometry)
        elif wanted:
            self._window.add_geometry(self._geometry, reset_bounding_box=False)
        elif self._there:
            self._window.remove_geometry(self._geometry, reset_bounding_box=False)
        self._there = wanted


class Heads:
    """Whole heads: the picture as texture where it was seen, colours of vertices elsewhere.

    Args:
        o3d: the open3d module.
        window: an open `open3d.visualization.Visualizer`.
    """

    def __init__(self, o3d: Any, window: Any) -> None:
        self._o3d, self._window = o3d, window
        self._slots: list[_Slot] = []

    def draw(
        self, views: Sequence[HeadView], center: Float32Array, look: Look, *, dim: bool = False
    ) -> None:
        """Show these heads relative to ``center``, and no others."""
        while len(self._slots) < len(views):
            self._slots.append(_Slot(self._o3d, self._window))
        for k, slot in enumerate(self._slots):
            if k < len(views):
                slot.draw(views[k], center, look, dim=dim)
            else:
                slot.hide()


class _Slot:
    """One head: two meshes without a triangle in common."""

    def __init__(self, o3d: Any, window: Any) -> None:
        self._utility, self._image = o3d.utility, o3d.geometry.Image
        self._textured, self._plain = (o3d.geometry.TriangleMesh() for _ in range(2))
        self._shown = tuple(_Shown(window, mesh) for mesh in (self._textured, self._plain))

    def draw(self, view: HeadView, center: Float32Array, look: Look, *, dim: bool) -> None:
        surface, utility = view.surface, self._utility
        points = utility.Vector3dVector((surface.vertices - center).astype(np.float64))
        share = surface.seen.take(surface.triangles.T).min(axis=0)
        seen = share > 0.5 if look == "picture" else np.zeros(len(share), dtype=np.bool_)
        colors = _vertex_colors(view, look)
        image = np.asarray(cv2.cvtColor(surface.texture_bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        if dim:
            colors = BACKGROUND / 255 + _DIM * (colors - BACKGROUND / 255)
            image = (BACKGROUND + _DIM * (image.astype(np.float32) - BACKGROUND)).astype(np.uint8)
        textured, plain = self._textured, self._plain
        if seen.any():
            corners = surface.triangles[seen]
            textured.vertices = points
            textured.triangles = utility.Vector3iVector(corners)
            textured.triangle_uvs = utility.Vector2dVector(
                surface.uv.take(corners.ravel(), axis=0).astype(np.float64)
            )
            textured.triangle_material_ids = utility.IntVector(np.zeros(len(corners), np.int32))
            textured.textures = [self._image(image)]
        plain.vertices = points
        plain.triangles = utility.Vector3iVector(surface.triangles[~seen])
        plain.vertex_colors = utility.Vector3dVector(colors)
        if look == "clay":
            plain.vertex_normals = utility.Vector3dVector(surface.normals.astype(np.float64))
            # Open3D lights a mesh that has both kinds, and uses those of the vertices.
            plain.compute_triangle_normals()
        else:
            plain.vertex_normals = utility.Vector3dVector()
            plain.triangle_normals = utility.Vector3dVector()
        self._shown[0].show(bool(seen.any()))
        self._shown[1].show(not seen.all())

    def hide(self) -> None:
        for shown in self._shown:
            shown.show(False)


class Points:
    """The network's depth as points.

    Args:
        o3d: the open3d module.
        window: an open `open3d.visualization.Visualizer`.
    """

    def __init__(self, o3d: Any, window: Any) -> None:
        self._vector = o3d.utility.Vector3dVector
        self._cloud = o3d.geometry.PointCloud()
        self._shown = _Shown(window, self._cloud)
        self._points = np.zeros((0, 3), dtype=np.float64)
        self._colors = np.zeros((0, 3), dtype=np.float64)
        self._full = False

    def draw(
        self,
        faces: Sequence[FaceReconstruction],
        center: Float32Array,
        *,
        by_depth: bool,
        dim: bool = False,
    ) -> None:
        """Show these faces relative to ``center``, and no others."""
        if faces and not len(self._points):  # memory for those who look at points alone
            self._points = np.zeros((_MOST_POINTS, 3), dtype=np.float64)
            self._colors = np.zeros((_MOST_POINTS, 3), dtype=np.float64)
        count = 0
        for face in faces:
            points = face.points_camera
            end = count + len(points)
            if end > _MOST_POINTS:
                self._say_full()
                break
            np.subtract(points, center, out=self._points[count:end])
            tones = depth_colors(face, points[:, 2:])[:, 0] if by_depth else face.colors
            np.divide(tones, 255.0, out=self._colors[count:end])
            count = end
        if count:
            colors = self._colors[:count]
            if dim:
                colors *= _DIM
            self._cloud.points = self._vector(self._points[:count])
            self._cloud.colors = self._vector(colors)
        self._shown.show(count > 0)

    def _say_full(self) -> None:
        if not self._full:
            logger.warning("the window shows at most %d points: faces are left out", _MOST_POINTS)
        self._full = True


class Wires:
    """The network's depth as lines.

    Args:
        o3d: the open3d module.
        window: an open `open3d.visualization.Visualizer`.
    """

    def __init__(self, o3d: Any, window: Any) -> None:
        self._utility = o3d.utility
        self._lines = o3d.geometry.LineSet()
        self._shown = _Shown(window, self._lines)

    def draw(
        self,
        faces: Sequence[FaceReconstruction],
        center: Float32Array,
        *,
        by_depth: bool,
        dim: bool = False,
    ) -> None:
        """Show these faces relative to ``center``, and no others."""
        points, colors, lines, count = [], [], [], 0
        for face in faces:
            step = _WIRE_STEP
            valid = face.grid.valid[::step, ::step]
            place = (np.cumsum(valid, dtype=np.int32) - 1).reshape(valid.shape) + count
            grid = face.grid.points_camera[::step, ::step]
            points.append(grid[valid] - center)
            tones = face.grid.colors[::step, ::step]
            if by_depth:
                tones = depth_colors(face, grid[..., 2])
            jump = 3.0 * step * face.grid.max_step_m
            for a, b in (
                ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
                ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
            ):
                joined = valid[a] & valid[b] & (np.abs(grid[a][..., 2] - grid[b][..., 2]) < jump)
                lines.append(np.stack([place[a][joined], place[b][joined]], axis=1))
                colors.append(tones[a][joined])
            count += len(points[-1])
        if count:
            vector = self._utility.Vector3dVector
            self._lines.points = vector(np.concatenate(points).astype(np.float64))
            # Thin lines look darker than surfaces.
            light = 0.35 + np.concatenate(colors) * (0.65 / 255.0)
            self._lines.colors = vector(light * (_DIM if dim else 1.0))
            pairs = np.concatenate(lines).astype(np.int32)
            self._lines.lines = self._utility.Vector2iVector(pairs)
        self._shown.show(count > 0)


def middle_of(face: FaceReconstruction) -> Float32Array:
    """(3,) metres, camera frame: the middle of the head's front."""
    below = np.array([0.0, 0.03, 0.03, 1.0])
    return np.asarray((face.T_camera_face @ below)[:3], dtype=np.float32)


def depth_colors(face: FaceReconstruction, z_m: Float32Array) -> npt.NDArray[np.uint8]:
    """(h, w, 3) RGB of depths (h, w): near bright."""
    return _by_depth(z_m, float(middle_of(face)[2]))


def _by_depth(z_m: Float32Array, middle_m: float) -> npt.NDArray[np.uint8]:
    level = np.clip(1 - (z_m - (middle_m - 0.09)) / _DEPTH_SPAN_M, 0, 1)
    colored = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(colored[..., ::-1], dtype=np.uint8)


def _vertex_colors(view: HeadView, look: Look) -> Float64Array:
    """(n, 3) RGB, 0 to 1."""
    surface = view.surface
    if look == "clay":
        return np.full((len(surface.vertices), 3), _CLAY)
    if look == "depth":
        # The centre of a head is 3 cm behind the middle of its front.
        colored = _by_depth(surface.vertices[:, 2:], float(view.center[2]) - 0.03)
        return np.asarray(colored[:, 0] / 255.0)
    facing = np.clip(-surface.normals[:, 2:], -0.7, 0.3)
    return np.asarray(surface.colors * ((1.0 - _SHADE * (0.3 - facing)) / 255.0), np.float64)
