"""The camera picture, the figures and the keys in a corner of the 3D window."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.draw.overlay import draw_overlay, put_text, shrink
from rtrecon.draw.state import ViewFrame
from rtrecon.types import Float64Array

__all__ = ["BACKGROUND", "KEYS", "Inset"]

BACKGROUND = 28
KEYS = (
    ("m", "points, mesh, wireframe"),
    ("l", "the bare surface in light"),
    ("d", "colour by depth"),
    ("f", "freeze"),
    ("s", "snapshot: picture and PLY"),
    ("v", "record on, off"),
    ("c", "avatars: neutral is as you look now"),
    ("x", "avatars: mirror on, off"),
    ("r", "reset the view"),
    ("h", "show these keys"),
    ("q, Esc", "quit"),
    ("+ -", "size of the points"),
    ("mouse", "turn; wheel: zoom; Ctrl: move"),
)

_SHARE = 0.24  # of the window's width
_WIDTH_PX = (200, 480)  # narrowest and widest
_MARGIN_PX = 10
_LINE_PX = 17
_TEXT_SCALE = 0.9
_Z_M = 0.05  # before the virtual camera: in front of everything


class Inset:
    """A textured rectangle that stays in the window's upper left corner.

    Open3D's window draws no pictures over a scene: so the rectangle is part of it, and is
    moved with the virtual camera.

    Args:
        o3d: the open3d module.
        window: an open `open3d.visualization.Visualizer` without geometry.
    """

    def __init__(self, o3d: Any, window: Any) -> None:
        self._o3d, self._window = o3d, window
        self._size_px = (_WIDTH_PX[0], 1)
        self._placed: Float64Array = np.zeros(0)
        self._quad = quad = o3d.geometry.TriangleMesh()
        quad.triangles = o3d.utility.Vector3iVector(np.array([[0, 2, 1], [1, 2, 3]]))
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)
        quad.triangle_uvs = o3d.utility.Vector2dVector(corners[[0, 2, 1, 1, 2, 3]])
        quad.triangle_material_ids = o3d.utility.IntVector([0, 0])
        quad.textures = [o3d.geometry.Image(np.full((1, 1, 3), BACKGROUND, np.uint8))]
        # The first geometry sets the bounding box, and with it how the mouse zooms and pans:
        # as large as a head, about the origin.
        quad.vertices = o3d.utility.Vector3dVector(
            np.array([[-1, -1, -1], [1, -1, 1], [-1, 1, -1], [1, 1, 1]]) * 0.12
        )
        window.add_geometry(quad, reset_bounding_box=True)

    @property
    def width_px(self) -> int:
        """Pixels of the window's width that it covers, with its margin."""
        return self._size_px[0] + _MARGIN_PX

    def draw(self, view: ViewFrame, *, frozen: bool, with_keys: bool) -> None:
        """Renew the picture; it is as large as it is shown, so that text stays sharp."""
        control = self._window.get_view_control()
        window_px = control.convert_to_pinhole_camera_parameters().intrinsic.width
        width = int(np.clip(_SHARE * window_px, *_WIDTH_PX))
        zoom = width / view.image.shape[1]
        small = shrink(view.image, (width, max(1, round(zoom * view.image.shape[0]))))
        draw_overlay(small, view.faces, out=small, zoom=zoom)
        figures = view.figures
        lines = [
            f"{figures.fps:.1f} fps  {figures.latency_ms:.0f} ms  {figures.frames_dropped} dropped",
            f"{figures.model} on {figures.provider}",
            ("frozen" if frozen else figures.state) + ("" if with_keys else "    h: keys"),
        ]
        if with_keys:
            lines += [f"{key}: {text}" for key, text in KEYS]
        panel = np.full((_LINE_PX * len(lines) + 8, width, 3), BACKGROUND, dtype=np.uint8)
        for k, line in enumerate(lines):
            put_text(panel, line, (4, _LINE_PX * (k + 1)), _TEXT_SCALE)
        inset = np.vstack([small, panel])
        self._quad.textures = [self._o3d.geometry.Image(np.ascontiguousarray(inset[..., ::-1]))]
        self._size_px = (inset.shape[1], inset.shape[0])
        self._window.update_geometry(self._quad)

    def place(self) -> bool:
        """Hold it in its corner, however the view was turned; whether it had to be moved."""
        parameters = self._window.get_view_control().convert_to_pinhole_camera_parameters()
        K, E = parameters.intrinsic, parameters.extrinsic
        placed = np.array([*E.ravel(), K.width, K.height, *self._size_px])
        if np.array_equal(placed, self._placed):
            return False
        self._placed = placed
        metres = _Z_M / K.intrinsic_matrix[0, 0]
        left, top = _MARGIN_PX - K.width / 2, _MARGIN_PX - K.height / 2
        right, bottom = left + self._size_px[0], top + self._size_px[1]
        corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]]) * metres
        corners = np.column_stack([corners, np.full(4, _Z_M)])
        self._quad.vertices = self._o3d.utility.Vector3dVector((corners - E[:3, 3]) @ E[:3, :3])
        self._window.update_geometry(self._quad)
        return True
