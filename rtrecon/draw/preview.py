"""A video of what the window would show: picture, depth in colours, the turning cloud."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rtrecon.draw.offscreen import render_points
from rtrecon.draw.overlay import draw_overlay, put_text, shrink
from rtrecon.draw.state import ViewFrame
from rtrecon.errors import OutputError
from rtrecon.files import Draft
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage

__all__ = ["PreviewWriter", "compose", "depth_picture"]

_HEIGHT = 360
_TURN_S = 4.0
_SPAN_M = 0.16


class PreviewWriter:
    """Writes an MP4 of composed views; the file has its name only when it is complete.

    Args:
        path: of the video.
        rate_hz: frames per second of the video.

    Raises:
        OutputError: no video can be written there.
    """

    def __init__(self, path: Path, *, rate_hz: float = 30.0) -> None:
        self._path = path
        self._draft = Draft(path)
        self._rate_hz = rate_hz
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._count = 0

    @property
    def count(self) -> int:
        """Frames written so far."""
        return self._count

    def write(self, view: ViewFrame, repeat: int = 1) -> None:
        """Append one frame, ``repeat`` times.

        Raises:
            OutputError: the video cannot be begun.
        """
        picture = compose(view, self._count / self._rate_hz)
        if self._writer is None:
            self._writer = self._begin((picture.shape[1], picture.shape[0]))
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = np.asarray(cv2.resize(picture, self._size), dtype=np.uint8)
        for _ in range(repeat):
            self._writer.write(picture)
        self._count += repeat

    def close(self) -> Path | None:
        """Complete the file; returns its path, or None if nothing was written.

        Raises:
            OutputError: the file is empty: the disk is full.
        """
        if self._writer is None:
            return None
        self._writer.release()
        self._writer = None
        part = self._draft.part
        if not part.is_file() or part.stat().st_size == 0:
            self._draft.discard()
            raise OutputError(f"{self._path} could not be written: is the disk full?")
        return self._draft.complete()

    def _begin(self, size: tuple[int, int]) -> cv2.VideoWriter:
        self._size = size
        # MPEG-4 part 2 is what OpenCV's wheels can encode on every system.
        fourcc = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(self._draft.part), fourcc, self._rate_hz, size)
        if writer.isOpened():
            return writer
        writer.release()
        self._draft.discard()
        raise OutputError(f"no video can be written to {self._path}: is the folder writable?")


def compose(view: ViewFrame, t_s: float) -> BgrImage:
    """Picture with overlay | depth in colours | cloud turned to and fro, at ``t_s`` seconds."""
    height, width = view.image.shape[:2]
    panel_width = round(_HEIGHT * width / height / 2) * 2
    small = shrink(view.image, (panel_width, _HEIGHT))
    draw_overlay(small, view.faces, view.figures, out=small, zoom=panel_width / width)
    square = (_HEIGHT, _HEIGHT)
    if not view.faces:
        empty = np.full((_HEIGHT, _HEIGHT, 3), 28, dtype=np.uint8)
        put_text(empty, "no face", (_HEIGHT // 2 - 30, _HEIGHT // 2), 1.0)
        return np.hstack([small, empty, empty])
    face = max(view.faces, key=lambda f: float(np.ptp(f.box_px[[0, 2]])))
    yaw = 38.0 * np.sin(2 * np.pi * t_s / _TURN_S)
    center = np.array([*_eyes_below(face)[:2], _eyes_below(face)[2] + 0.03], dtype=np.float32)
    cloud = render_points(
        face.points_camera,
        face.colors,
        face.normals,
        square,
        yaw_deg=float(yaw),
        pitch_deg=8.0,
        center=center,
        extent_m=0.30,
    )
    return np.hstack([small, depth_picture(face, square), cloud])


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


def _eyes_below(face: FaceReconstruction) -> np.ndarray:
    """(3,) metres: four centimetres below the middle of the eyes, about the middle of a face."""
    below = np.array([0.0, 0.035, 0.0, 1.0])
    return np.asarray((face.T_camera_face @ below)[:3], dtype=np.float32)
