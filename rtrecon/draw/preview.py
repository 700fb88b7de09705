"""A video of what the window would show: picture, depth in colours, the turning cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from rtrecon.draw.offscreen import render_points
from rtrecon.draw.overlay import draw_overlay, put_text, shrink
from rtrecon.draw.state import ViewFrame
from rtrecon.draw.video_file import VideoFile
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage

__all__ = ["PreviewWriter", "compose", "depth_picture", "turning_face"]

_HEIGHT = 360
_TURN_S = 4.0
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
        picture = compose(view, t_s)
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


def compose(view: ViewFrame, t_s: float) -> BgrImage:
    """Picture with overlay | depth in colours | cloud turned to and fro, at ``t_s`` seconds."""
    height, width = view.image.shape[:2]
    panel_width = round(_HEIGHT * width / height / 2) * 2
    small = shrink(view.image, (panel_width, _HEIGHT))
    draw_overlay(small, view.faces, view.figures, out=small, zoom=panel_width / width)
    square = (_HEIGHT, _HEIGHT)
    if not view.faces:
        empty = turning_face(view.faces, square, t_s)
        return np.hstack([small, empty, empty])
    depth = depth_picture(_largest(view.faces), square)
    return np.hstack([small, depth, turning_face(view.faces, square, t_s)])


def turning_face(
    faces: Sequence[FaceReconstruction], size_px: tuple[int, int], t_s: float
) -> BgrImage:
    """The largest face alone, turned to and fro, as it is at ``t_s`` seconds.

    Args:
        faces: without any it says "no face".
        size_px: width and height; as high as 30 cm at the face.
        t_s: since the first.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    width, height = size_px
    if not faces:
        empty = np.full((height, width, 3), 28, dtype=np.uint8)
        zoom = height / _HEIGHT
        put_text(empty, "no face", (width // 2 - round(30 * zoom), height // 2), zoom)
        return empty
    face = _largest(faces)
    below = _eyes_below(face)
    return render_points(
        face.points_camera,
        face.colors,
        face.normals,
        size_px,
        yaw_deg=float(38.0 * np.sin(2 * np.pi * t_s / _TURN_S)),
        pitch_deg=8.0,
        center=below + np.array([0.0, 0.0, 0.03], dtype=np.float32),
        extent_m=0.30,
    )


def depth_picture(face: FaceReconstruction, size_px: tuple[int, int]) -> BgrImage:
    """The crop's depth in a perceptual colour map, near bright, with a scale in millimetres."""
    depth_m = face.depth_m
    near = float(_eyes_below(face)[2]) - 0.06
    level = np.clip((near + _SPAN_M - depth_m) / _SPAN_M, 0, 1)
    off = np.isnan(level)
    colored = cv2.applyColorMap((np.nan_to_num(level) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    colored[off] = 28
    image = np.asarray(cv2.resize(colored, size_px, interpolation=cv2.INTER_LINEAR), np.uint8)
    width, height = size_px
    bar = cv2.applyColorMap(
        np.linspace(255, 0, height // 2).astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO
    )
    image[height // 4 : height // 4 + len(bar), width - 18 : width - 8] = bar
    put_text(image, f"{near * 1000:.0f} mm", (width - 78, height // 4 - 6), 0.9)
    put_text(image, f"{(near + _SPAN_M) * 1000:.0f} mm", (width - 78, height * 3 // 4 + 16), 0.9)
    return image


def _largest(faces: Sequence[FaceReconstruction]) -> FaceReconstruction:
    return max(faces, key=lambda face: float(np.ptp(face.box_px[[0, 2]])))


def _eyes_below(face: FaceReconstruction) -> np.ndarray:
    """(3,) metres: four centimetres below the middle of the eyes, about the middle of a face."""
    below = np.array([0.0, 0.035, 0.0, 1.0])
    return np.asarray((face.T_camera_face @ below)[:3], dtype=np.float32)
