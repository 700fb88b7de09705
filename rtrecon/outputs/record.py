"""What ``--record`` and a snapshot write: preview video, poses, the last faces."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import cv2

from rtrecon.draw.overlay import draw_overlay
from rtrecon.draw.preview import PreviewWriter
from rtrecon.errors import OutputError

if TYPE_CHECKING:
    from rtrecon.draw.state import ViewFrame
    from rtrecon.geometry.reconstruction import FaceReconstruction

__all__ = ["Recorder", "unused_folder", "write_snapshot"]


class Recorder:
    """Writes ``preview.mp4``, ``poses.jsonl`` and at the end ``face<id>.ply`` into a folder.

    Args:
        folder: made when it is missing.
        rate_hz: of the preview video.
        live: frames come at their own times; the video repeats or leaves out to keep time.

    Raises:
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path, rate_hz: float, *, live: bool) -> None:
        self._rate_hz, self._live = rate_hz, live
        self._t_first_ns: int | None = None
        self._folder = _make_folder(folder)
        self._preview = PreviewWriter(folder / "preview.mp4", rate_hz=rate_hz)
        self._poses_path = folder / "poses.jsonl"
        self._poses_part = folder / ".poses.jsonl.part"
        try:
            self._poses: TextIO = self._poses_part.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {self._poses_path}: {error.strerror}") from error
        self._closed = False

    def write(self, view: ViewFrame) -> None:
        """Append one processed frame."""
        repeat = 1
        if self._live:
            if self._t_first_ns is None:
                self._t_first_ns = view.t_capture_ns
            elapsed_s = (view.t_capture_ns - self._t_first_ns) * 1e-9
            repeat = int(elapsed_s * self._rate_hz) + 1 - self._preview.count
        if repeat > 0:
            self._preview.write(view, repeat)
        row = {"t_capture_ns": view.t_capture_ns, "faces": [_pose(f) for f in view.faces]}
        try:
            self._poses.write(json.dumps(row) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write {self._poses_path}: {error.strerror}") from error

    def close(self, last_faces: Sequence[FaceReconstruction]) -> list[Path]:
        """Complete all files; returns those that hold something. Further calls do nothing."""
        if self._closed:
            return []
        self._closed = True
        written = []
        video = self._preview.close()
        if video is not None:
            written.append(video)
        try:
            self._poses.close()
            self._poses_part.replace(self._poses_path)
        except OSError as error:
            raise OutputError(f"cannot write {self._poses_path}: {error.strerror}") from error
        written.append(self._poses_path)
        return written + _write_faces(self._folder, last_faces, prefix="")


def unused_folder(folder: Path) -> Path:
    """``folder``, or one in it named by the time of day if it holds a recording already."""
    if not (folder / "poses.jsonl").exists():
        return folder
    return folder / time.strftime("%Y%m%d-%H%M%S")


def write_snapshot(folder: Path, view: ViewFrame) -> list[Path]:
    """The picture with its overlay and each face as PLY, named by the time of day.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    _make_folder(folder)
    prefix = time.strftime("%Y%m%d-%H%M%S-")
    picture = draw_overlay(view.image, view.faces, view.figures)
    path = folder / f"{prefix}picture.png"
    if not cv2.imwrite(str(path), picture):
        raise OutputError(f"cannot write {path}: is the folder writable and not full?")
    return [path, *_write_faces(folder, view.faces, prefix)]


def _write_faces(folder: Path, faces: Sequence[FaceReconstruction], prefix: str) -> list[Path]:
    from rtrecon.mesh import save_mesh

    written = []
    for face in faces:
        path = folder / f"{prefix}face{face.id}.ply"
        save_mesh(face, path)
        written.append(path)
    return written


def _pose(face: FaceReconstruction) -> dict[str, object]:
    return {
        "id": face.id,
        "score": round(float(face.score), 4),
        "box_px": [round(float(v), 2) for v in face.box_px],
        "landmarks_px": [[round(float(v), 2) for v in point] for point in face.landmarks_px],
        "z_ref_m": round(float(face.z_ref_m), 5),
        "T_camera_face": [[round(float(v), 6) for v in row] for row in face.T_camera_face],
    }


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}") from error
    return folder
