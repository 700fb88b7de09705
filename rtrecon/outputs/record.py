"""Recordings and snapshots: preview video, poses, the last faces, in a folder."""

from __future__ import annotations

import itertools
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from rtrecon.draw.composed import PreviewWriter
from rtrecon.draw.marks import draw_overlay
from rtrecon.draw.png import encode_png, write_png
from rtrecon.draw.state import ViewFrame
from rtrecon.draw.turning import cut_out
from rtrecon.errors import ArgumentError, OutputError
from rtrecon.files import Draft, make_folder, take_name
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.face_mesh import save_mesh
from rtrecon.output import Output, Run
from rtrecon.outputs.folder import (
    POSES,
    POSES_PART,
    VIDEO,
    VIDEO_PART,
    claim_folder,
    say_what_was_left,
)
from rtrecon.result import LiveResult

__all__ = ["DEFAULT_FOLDER", "RecordOutput", "write_snapshot"]

logger = logging.getLogger(__name__)

DEFAULT_FOLDER = Path("rtrecon-out")
_HEAD_PX = (900, 900)


class RecordOutput(Output):
    """Writes ``preview.mp4``, ``poses.jsonl`` and at the end ``face<id>.ply`` into a folder.

    The folder is this recording's own: where there is one already, it goes into a new folder in
    it, named by the time of day. Every picture has its own time: that of the film, or that of
    the capture. The faces are those of the last frame that had any.

    A run that ends suddenly leaves ``preview.part.mp4``, which can be played, and
    ``poses.part.jsonl``; the next recording there names them.

    Args:
        target: the folder; made when it is missing.
        rate_hz: of the preview video at most; default: every frame is in it.
    """

    name = "record"
    summary = "preview video, poses as JSON lines and the last face, in a folder"
    every_result = True
    close_timeout_s = 30.0  # the files are worth waiting for

    def __init__(self, target: Path = DEFAULT_FOLDER, *, rate_hz: float | None = None) -> None:
        if rate_hz is not None and not 1.0 <= rate_hz <= 240.0:
            raise ArgumentError(f"rate_hz must be 1 to 240, not {rate_hz:g}")
        self.folder = Path(target)
        self._target = str(target)
        self._rate_hz = rate_hz
        self._run = Run()
        self._t_first_ns: int | None = None
        self._shown = -1  # in which of the times that rate_hz allows the last picture was
        self._last_faces: Sequence[FaceReconstruction] = ()
        self._is_cut = False  # the last row of the poses may not be whole

    @property
    def target(self) -> str:
        """The folder that was asked for; ``folder`` is where the recording is."""
        return self._target

    def open(self, run: Run) -> None:
        """Find the folder and begin the files.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        self._run = run
        asked = self.folder
        say_what_was_left(asked)
        self.folder, self._poses = claim_folder(asked)
        if self.folder != asked:
            logger.info("%s holds a recording: this one goes into %s", asked, self.folder)
        self._preview = PreviewWriter(
            self.folder / VIDEO, self.folder / VIDEO_PART, rate_hz=self._rate_hz or run.rate_hz
        )

    def write(self, result: LiveResult) -> None:
        """Append one processed frame.

        Raises:
            OutputError: a file cannot be written.
        """
        frame = result.frame
        if self._t_first_ns is None:
            self._t_first_ns = frame.t_ns
        since_s = (frame.t_ns - self._t_first_ns) * 1e-9
        if self._is_wanted(since_s):
            figures = self._run.figures(result)
            view = ViewFrame(frame.image, result.faces, frame.t_capture_ns, figures)
            self._preview.write(view, since_s)
        if result.faces:
            self._last_faces = result.faces
        t_s = since_s if frame.t_media_ns is None else frame.t_media_ns * 1e-9
        row = {
            "frame": frame.index,
            "t_s": round(t_s, 6),
            "t_capture_ns": frame.t_ns,
            "faces": [_pose(face) for face in result.faces],
        }
        left = memoryview((json.dumps(row) + "\n").encode())
        try:
            while left:
                left = left[self._poses.write(left) :]
        except OSError as error:
            self._is_cut = True
            raise OutputError(f"cannot write {self.folder / POSES}: {error.strerror}") from error

    def close(self) -> None:
        """Complete all files, and say which they are.

        Raises:
            OutputError: one of them cannot be completed; what there is of it stays.
        """
        errors: list[str] = []
        for complete in (self._complete_video, self._complete_poses, self._write_faces):
            try:
                for path in complete():
                    logger.info("wrote %s", path)
            except OutputError as error:
                errors.append(str(error))
        self._poses.close()
        if self._is_cut or errors:
            self._say_what_stays()
        if errors:
            raise OutputError("; ".join(errors))

    def _is_wanted(self, since_s: float) -> bool:
        if self._rate_hz is None:
            return True
        place = int(since_s * self._rate_hz + 0.01)
        is_new, self._shown = place != self._shown, place
        return is_new

    def _complete_video(self) -> list[Path]:
        written = self._preview.close()
        return [] if written is None else [written]

    def _complete_poses(self) -> list[Path]:
        if self._is_cut:
            return []
        part, path = self.folder / POSES_PART, self.folder / POSES
        try:
            os.fsync(self._poses.fileno())
            self._poses.close()
            take_name(part, path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        return [path]

    def _write_faces(self) -> list[Path]:
        return _write_faces(self.folder, self._last_faces, prefix="")

    def _say_what_stays(self) -> None:
        rescued_s = self._preview.rescued_s()
        if rescued_s is not None:
            logger.warning(
                "%s keeps what was written of the video, up to %.1f s: it plays as it is, in a "
                "browser, VLC or ffplay",
                self._preview.part,
                rescued_s,
            )
        elif self._preview.part.exists():
            logger.warning(
                "%s keeps what was written of the video, but cannot be played as it is",
                self._preview.part,
            )
        if (self.folder / POSES_PART).exists():
            logger.warning("%s keeps the rows that were written", self.folder / POSES_PART)


def write_snapshot(folder: Path, view: ViewFrame) -> list[Path]:
    """The picture with its overlay, and of each face PLY, GLB and its head on nothing, a PNG
    with alpha; named by the time of day.

    Raises:
        OutputError: the folder cannot be made or written.
        ModelError: the head model is not installed, or damaged.
    """
    make_folder(folder)
    picture = encode_png(draw_overlay(view.image, view.faces, view.figures))
    prefix, path = _write_new(folder, "picture.png", picture)
    return [path, *_write_faces(folder, view.faces, prefix), *_write_heads(folder, view, prefix)]


def _write_new(folder: Path, name: str, content: bytes) -> tuple[str, Path]:
    """A file that was not there, by the time of day and, if need be, a number; and its prefix."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        prefix = f"{stamp}-" if number == 1 else f"{stamp}-{number}-"
        path = folder / f"{prefix}{name}"
        if path.exists():
            continue
        draft = Draft(path)
        try:
            with draft.open() as file:
                file.write(content)
        except OSError as error:
            draft.discard()
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        try:
            return prefix, draft.complete(overwrite=False)
        except OutputError:
            if not path.exists():
                raise
    raise AssertionError  # there is always another number


def _write_faces(folder: Path, faces: Sequence[FaceReconstruction], prefix: str) -> list[Path]:
    written = []
    for face in faces:
        path = folder / f"{prefix}face{face.id}.ply"
        save_mesh(face, path)
        written.append(path)
    return written


def _write_heads(folder: Path, view: ViewFrame, prefix: str) -> list[Path]:
    # Asked for by few runs, and much to import.
    from rtrecon.draw.live_head import LiveHead

    written, heads = [], LiveHead()
    for face in view.faces:
        glb = folder / f"{prefix}face{face.id}.glb"
        save_mesh(face, glb)
        png = folder / f"{prefix}head{face.id}.png"
        write_png(png, cut_out(heads(face), _HEAD_PX))
        written += [glb, png]
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
