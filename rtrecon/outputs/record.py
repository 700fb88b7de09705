"""Recordings and snapshots: preview video, poses, the last faces, in a folder."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rtrecon.draw.overlay import draw_overlay
from rtrecon.draw.png import encode_png
from rtrecon.draw.preview import PreviewWriter
from rtrecon.draw.state import ViewFrame
from rtrecon.errors import ArgumentError, OutputError
from rtrecon.files import Draft, make_folder, write_files
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.face_mesh import save_mesh
from rtrecon.output import Output, Run
from rtrecon.result import LiveResult

__all__ = ["DEFAULT_FOLDER", "RecordOutput", "unused_folder", "write_snapshot"]

logger = logging.getLogger(__name__)

DEFAULT_FOLDER = Path("rtrecon-out")


class RecordOutput(Output):
    """Writes ``preview.mp4``, ``poses.jsonl`` and at the end ``face<id>.ply`` into a folder.

    Where frames are paced, the video keeps time: it repeats or leaves out frames. The faces
    are those of the last frame that had any.

    Args:
        target: the folder; made when it is missing.
        rate_hz: of the preview video; default: the source's, or 30.
    """

    name = "record"
    summary = "preview video, poses as JSON lines and the last face, in a folder"
    every_result = True
    close_timeout_s = 10.0  # the files are worth waiting for

    def __init__(self, target: Path = DEFAULT_FOLDER, *, rate_hz: float | None = None) -> None:
        if rate_hz is not None and not 1.0 <= rate_hz <= 240.0:
            raise ArgumentError(f"rate_hz must be 1 to 240, not {rate_hz:g}")
        self.folder = Path(target)
        self._rate_hz = rate_hz or 30.0
        self._asked_rate_hz = rate_hz
        self._run = Run()
        self._t_first_ns: int | None = None
        self._last_faces: Sequence[FaceReconstruction] = ()

    @property
    def target(self) -> str:
        """The folder."""
        return str(self.folder)

    def open(self, run: Run) -> None:
        """Make the folder and begin the files.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        self._run = run
        self._rate_hz = self._asked_rate_hz or run.rate_hz or 30.0
        folder = make_folder(self.folder)
        self._draft = Draft(folder / "poses.jsonl")
        try:
            self._poses: TextIO = self._draft.part.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write {self._draft.path}: {error.strerror}") from error
        self._preview = PreviewWriter(folder / "preview.mp4", rate_hz=self._rate_hz)

    def write(self, result: LiveResult) -> None:
        """Append one processed frame.

        Raises:
            OutputError: a file cannot be written.
        """
        t_ns = result.frame.t_ns
        if self._t_first_ns is None:
            # A film's own times, or those since the recording began.
            self._t_first_ns = t_ns if result.frame.t_media_ns is None else 0
        first_ns = self._t_first_ns
        repeat = 1
        if self._run.paced:
            elapsed_s = (t_ns - first_ns) * 1e-9
            repeat = int(elapsed_s * self._rate_hz) + 1 - self._preview.count
        if repeat > 0:
            figures = self._run.figures(result)
            view = ViewFrame(result.frame.image, result.faces, t_ns, figures)
            self._preview.write(view, repeat)
        if result.faces:
            self._last_faces = result.faces
        row = {
            "frame": result.frame.index,
            "t_s": round((t_ns - first_ns) * 1e-9, 6),
            "t_capture_ns": t_ns,
            "faces": [_pose(face) for face in result.faces],
        }
        try:
            self._poses.write(json.dumps(row) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write {self._draft.path}: {error.strerror}") from error

    def close(self) -> None:
        """Complete all files, and say which they are.

        Raises:
            OutputError: one of them cannot be completed.
        """
        written = []
        video = self._preview.close()
        if video is not None:
            written.append(video)
        try:
            self._poses.close()  # writes what is left
        except OSError as error:
            raise OutputError(f"cannot write {self._draft.path}: {error.strerror}") from error
        written.append(self._draft.complete())
        for path in written + _write_faces(self.folder, self._last_faces, prefix=""):
            logger.info("wrote %s", path)


def unused_folder(folder: Path) -> Path:
    """``folder``, or one in it named by the time of day if it holds a recording already."""
    if not any(any(folder.glob(name)) for name in ("poses.jsonl", ".poses.*.part.jsonl")):
        return folder
    return folder / time.strftime("%Y%m%d-%H%M%S")


def write_snapshot(folder: Path, view: ViewFrame) -> list[Path]:
    """The picture with its overlay and each face as PLY, named by the time of day.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    make_folder(folder)
    prefix = time.strftime("%Y%m%d-%H%M%S-")
    picture = draw_overlay(view.image, view.faces, view.figures)
    path = folder / f"{prefix}picture.png"
    write_files({path: encode_png(picture)})
    return [path, *_write_faces(folder, view.faces, prefix)]


def _write_faces(folder: Path, faces: Sequence[FaceReconstruction], prefix: str) -> list[Path]:
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
