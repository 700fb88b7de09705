"""A video of what the window would show: picture, depth in colours, the turning head."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rtrecon.draw.marks import draw_overlay, put_text, shrink
from rtrecon.draw.raster import BACKGROUND
from rtrecon.draw.state import ViewFrame
from rtrecon.draw.turning import TurningHead, largest
from rtrecon.draw.video_file import VideoFile
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage

__all__ = ["PreviewWriter", "compose", "depth_picture"]

_HEIGHT = 360
_SPAN_M = 0.16


class PreviewWriter:
    """Writes a video of composed views, each shown at its own time.

    Args:
        path: of the video; it has this name only when it is complete.
        part: its name until then; by default with ``.part`` before the suffix.
        rate_hz: how many views come in a second, about.

    Raises:
        OutputError: no video can be written there (at the first view).
    """

    def __init__(
        self, path: Path, part: Path | None = None, *, rate_hz: float | None = None
    ) -> None:
        self.path = path
        self.part = part or path.with_name(f"{path.stem}.part{path.suffix}")
        self._rate_hz = rate_hz
        self._turning = TurningHead()
        self._file: VideoFile | None = None

    @property
    def count(self) -> int:
        """Frames written so far."""
        return self._file.count if self._file is not None else 0

    def write(self, view: ViewFrame, t_s: float) -> None:
        """Append one frame, shown from ``t_s`` on until the next.

        Raises:
            OutputError: the video cannot be begun, or the disk is full.
        """
        picture = compose(view, t_s, self._turning)
        height, width = picture.shape[:2]
        if self._file is None:
            self._file = VideoFile(self.path, self.part, (width, height), rate_hz=self._rate_hz)
        if (width, height) != self._file.size_px:
            picture = np.asarray(cv2.resize(picture, self._file.size_px), dtype=np.uint8)
        self._file.write(picture, t_s)

    def close(self) -> Path | None:
        """Complete the file; returns its path, or None if nothing was written.

        Raises:
            OutputError: it cannot be completed, as when the disk is full; ``part`` stays.
        """
        return self._file.close() if self._file is not None else None

    def rescued_s(self) -> float | None:
        """To what time ``part`` can be played if that failed; None: not at all."""
        return self._file.rescued_s() if self._file is not None and self.part.exists() else None


def compose(view: ViewFrame, t_s: float, turning: TurningHead | None = None) -> BgrImage:
    """Picture with overlay | depth in colours | head turned to and fro, at ``t_s`` seconds.

    Args:
        view: one frame.
        t_s: since the first.
        turning: what remembers the head from frame to frame; None: one that knows nothing.
    """
    turning = turning or TurningHead()
    height, width = view.image.shape[:2]
    panel_width = round(_HEIGHT * width / height / 2) * 2
    small = shrink(view.image, (panel_width, _HEIGHT))
    draw_overlay(small, view.faces, view.figures, out=small, zoom=panel_width / width)
    square = (_HEIGHT, _HEIGHT)
    head = turning.draw(view.faces, square, t_s)
    if not view.faces:
        return np.hstack([small, np.full_like(head, BACKGROUND), head])
    return np.hstack([small, depth_picture(largest(view.faces), square), head])


def depth_picture(face: FaceReconstruction, size_px: tuple[int, int]) -> BgrImage:
    """The crop's depth in a perceptual colour map, near bright, with a scale in millimetres."""
    depth_m = face.depth_m
    near = float(_eyes_below(face)[2]) - 0.06
    level = np.clip((near + _SPAN_M - depth_m) / _SPAN_M, 0, 1)
    off = np.isnan(level)
    colored = cv2.applyColorMap((np.nan_to_num(level) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    colored[off] = BACKGROUND
    image = np.asarray(cv2.resize(colored, size_px, interpolation=cv2.INTER_LINEAR), np.uint8)
    width, height = size_px
    bar = cv2.applyColorMap(
        np.linspace(255, 0, height // 2).astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO
    )
    image[height // 4 : height // 4 + len(bar), width - 18 : width - 8] = bar
    put_text(image, f"{near * 1000:.0f} mm", (width - 78, height // 4 - 6), 0.9)
    put_text(image, f"{(near + _SPAN_M) * 1000:.0f} mm", (width - 78, height * 3 // 4 + 16), 0.9)
    return image


def _eyes_below(face: FaceReconstruction) -> np.ndarray:
    """(3,) metres: four centimetres below the middle of the eyes, about the middle of a face."""
    below = np.array([0.0, 0.035, 0.0, 1.0])
    return np.asarray((face.T_camera_face @ below)[:3], dtype=np.float32)
