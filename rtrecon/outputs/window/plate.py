"""A picture that stays where it is in the 3D window, however the view is turned."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.types import BgrImage, Float64Array

__all__ = ["Plate"]

_Z_M = 0.05  # before the virtual camera: in front of everything


class Plate:
    """A textured rectangle that is moved with the virtual camera.

    Open3D's window draws no pictures over a scene: so the rectangle is part of it.

    Args:
        o3d: the open3d module.
        window: an open `open3d.visualization.Visualizer`.
    """

    def __init__(self, o3d: Any, window: Any) -> None:
        self._o3d, self._window = o3d, window
        self._size_px = (1, 1)
        self._placed: Float64Array = np.zeros(0)
        self._shown = False
        self._quad = quad = o3d.geometry.TriangleMesh()
        quad.triangles = o3d.utility.Vector3iVector(np.array([[0, 2, 1], [1, 2, 3]]))
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)
        quad.triangle_uvs = o3d.utility.Vector2dVector(corners[[0, 2, 1, 1, 2, 3]])
        quad.triangle_material_ids = o3d.utility.IntVector([0, 0])
        # The first geometry sets the bounding box, and with it how the mouse zooms and pans:
        # as large as a head, about the origin.
        quad.vertices = o3d.utility.Vector3dVector(
            np.array([[-1, -1, -1], [1, -1, 1], [-1, 1, -1], [1, 1, 1]]) * 0.12
        )

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the picture."""
        return self._size_px

    def show(self, image: BgrImage, *, first: bool = False) -> None:
        """Show (h, w, 3) uint8 BGR, as large as it is. ``first``: of all geometry."""
        self._quad.textures = [self._o3d.geometry.Image(np.ascontiguousarray(image[..., ::-1]))]
        self._size_px = (image.shape[1], image.shape[0])
        if self._shown:
            self._window.update_geometry(self._quad)
        else:
            self._window.add_geometry(self._quad, reset_bounding_box=first)
            self._placed = np.zeros(0)
        self._shown = True

    def hide(self) -> None:
        """Show nothing."""
        if self._shown:
            self._window.remove_geometry(self._quad, reset_bounding_box=False)
        self._shown = False

    def place(self, left_px: float, top_px: float) -> bool:
        """Put its corner there in the window; whether it had to be moved."""
        if not self._shown:
            return False
        parameters = self._window.get_view_control().convert_to_pinhole_camera_parameters()
        K, E = parameters.intrinsic, parameters.extrinsic
        placed = np.array([*E.ravel(), K.width, K.height, *self._size_px, left_px, top_px])
        if np.array_equal(placed, self._placed):
            return False
        self._placed = placed
        metres = _Z_M / K.intrinsic_matrix[0, 0]
        left, top = left_px - K.width / 2, top_px - K.height / 2
        right, bottom = left + self._size_px[0], top + self._size_px[1]
        corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]]) * metres
        corners = np.column_stack([corners, np.full(4, _Z_M)])
        self._quad.vertices = self._o3d.utility.Vector3dVector((corners - E[:3, 3]) @ E[:3, :3])
        self._window.update_geometry(self._quad)
        return True
