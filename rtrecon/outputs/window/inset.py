"""The camera picture, the figures and the keys in a corner of the 3D window, and large words."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.draw.marks import draw_overlay, put_large, put_text, shrink
from rtrecon.draw.raster import BACKGROUND
from rtrecon.draw.state import ViewFrame
from rtrecon.outputs.window.plate import Plate

__all__ = ["BACKGROUND", "KEYS", "Banner", "Inset"]

KEYS = (
    ("m", "head, wireframe, points"),
    ("l", "the bare surface in light"),
    ("d", "colour by depth"),
    ("f", "freeze"),
    ("s", "snapshot: pictures, PLY, GLB"),
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
_HEIGHT_SHARE = 0.5  # of the window's height, at most
_LEAST_PX = 32  # of the picture's height, whatever the words below it take
_MARGIN_PX = 10
_LINE_PX = 17.0  # at the narrowest; text grows with the inset
_TEXT_SCALE = 0.9
_BANNER_SHARE = 0.5, 0.08  # of the window: width, and where its middle is above the lower edge


class Inset:
    """What stays in the window's upper left corner.

    Args:
        o3d: the open3d module.
        window: an open `open3d.visualization.Visualizer` without geometry.
    """

    def __init__(self, o3d: Any, window: Any) -> None:
        self._window = window
        self._plate = Plate(o3d, window)
        self._plate.show(np.full((1, _WIDTH_PX[0], 3), BACKGROUND, np.uint8), first=True)

    @property
    def width_px(self) -> int:
        """Pixels of the window's width that it covers, with its margin."""
        return self._plate.size_px[0] + _MARGIN_PX

    def draw(self, view: ViewFrame, *, frozen: bool, with_keys: bool) -> None:
        """Renew the picture; it is as large as it is shown, so that text stays sharp."""
        window_width, window_height = _window_px(self._window)
        width = int(np.clip(_SHARE * window_width, *_WIDTH_PX))
        figures = view.figures
        lines = [
            f"{figures.fps:.1f} fps  {figures.latency_ms:.0f} ms  {figures.frames_dropped} dropped",
            f"{figures.model} on {figures.provider}",
            ("frozen" if frozen else figures.state) + ("" if with_keys else "    h: keys"),
        ]
        if with_keys:
            lines += [f"{key}: {text}" for key, text in KEYS]
        large = (width / _WIDTH_PX[0]) ** 0.5  # not as fast as the picture: it is to be read
        line_px = round(_LINE_PX * large)
        panel = np.full((line_px * len(lines) + 8, width, 3), BACKGROUND, dtype=np.uint8)
        for k, line in enumerate(lines):
            put_text(panel, line, (4, line_px * (k + 1)), _TEXT_SCALE * large)
        # A picture on end leaves room for the words below it.
        room = window_height - 2 * _MARGIN_PX - len(panel)
        height = max(min(room, round(_HEIGHT_SHARE * window_height)), _LEAST_PX)
        zoom = min(width / view.image.shape[1], height / view.image.shape[0])
        size = [max(1, round(zoom * side)) for side in view.image.shape[1::-1]]
        small = shrink(view.image, (size[0], size[1]))
        draw_overlay(small, view.faces, out=small, zoom=zoom)
        beside = np.full((len(small), width - size[0], 3), BACKGROUND, dtype=np.uint8)
        self._plate.show(np.vstack([np.hstack([small, beside]), panel]))

    def place(self) -> bool:
        """Hold it in its corner, however the view was turned; whether it had to be moved."""
        return self._plate.place(_MARGIN_PX, _MARGIN_PX)


class Banner:
    """Large words across the window's lower part.

    Args:
        o3d: the open3d module.
        window: an open `open3d.visualization.Visualizer`.
    """

    def __init__(self, o3d: Any, window: Any) -> None:
        self._window = window
        self._plate = Plate(o3d, window)
        self._said: tuple[str, int] = ("", 0)

    def say(self, text: str) -> None:
        """Show ``text``; nothing where it is empty."""
        width = round(_BANNER_SHARE[0] * _window_px(self._window)[0])
        if (text, width) == self._said:
            return
        self._said = text, width
        if not text:
            self._plate.hide()
            return
        plate = np.full((max(24, width // 6), width, 3), BACKGROUND, dtype=np.uint8)
        put_large(plate, text)
        self._plate.show(plate)

    def place(self) -> bool:
        """Hold it there, however the view was turned; whether it had to be moved."""
        wide, high = _window_px(self._window)
        width, height = self._plate.size_px
        return self._plate.place((wide - width) / 2, high * (1 - _BANNER_SHARE[1]) - height / 2)


def _window_px(window: Any) -> tuple[int, int]:
    intrinsic = window.get_view_control().convert_to_pinhole_camera_parameters().intrinsic
    return int(intrinsic.width), int(intrinsic.height)
