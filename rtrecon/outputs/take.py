"""A take: all that a run found, kept so that it can be played again bit for bit."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic_ns
from typing import BinaryIO

import cv2
import numpy as np

from rtrecon.avatar.rotations import from_matrix, to_angles
from rtrecon.draw.video_file import VideoFile
from rtrecon.errors import OutputError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.files import make_folder, open_new, write_json
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.output import Output, Run
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.outputs.folder import is_in_use, lock
from rtrecon.result import LiveResult
from rtrecon.takes.folder import CSV, INFO, ROWS, VIDEO, VIDEO_PART, take_at
from rtrecon.takes.info import TakeInfo
from rtrecon.takes.row import TakenFace, TakeRow
from rtrecon.types import BgrImage

__all__ = ["CSV_HEADER", "TakeOutput"]

logger = logging.getLogger(__name__)

_HEAD = ("pitch_deg", "yaw_deg", "roll_deg", "x_m", "y_m", "z_m")
CSV_HEADER = ",".join(["time_s", "frame", "face", *ARKIT_NAMES, *(f"head_{n}" for n in _HEAD)])
"""First line of ``coefficients.csv``, without its end."""


class TakeOutput(Output):
    """Keeps pictures, times, poses, coefficients, gaze and landmarks in a folder (docs/takes.md).

    Each line is on the disk before the next result comes: of a take that is cut off, all but the
    last line can be played.

    Args:
        target: the folder; made when it is missing.
        video: keep the pictures, as H.264.
        overwrite: replace a take that is there.
    """

    name = "take"
    summary = "a take to play again: pictures, times, poses and coefficients, in a folder"
    every_result = True
    close_timeout_s = 30.0  # the files are worth waiting for

    def __init__(self, target: Path, *, video: bool = True, overwrite: bool = False) -> None:
        self._folder = Path(target)
        self._overwrite = overwrite
        self.needs_pictures = video
        self._info = TakeInfo(video=video)
        self._zero_ns: int | None = None  # what is taken off the times
        self._first_ns = self._last_ns = 0
        self._frames = self._with_face = 0
        self._video: VideoFile | None = None
        self._padded: BgrImage | None = None
        self._has_failed = False

    @property
    def target(self) -> str:
        """The folder."""
        return str(self._folder)

    def open(self, run: Run) -> None:
        """Begin the files.

        Raises:
            OutputError: there is a take, or its folder cannot be made or written.
        """
        self._make_way(run)
        make_folder(self._folder)
        start = AvatarRun.of(run).start()
        self._info = replace(
            self._info,
            source=run.source,
            device=run.device,
            calibration=None if start is None else start.to_json(exact=True),
            model=run.model,
            provider=run.provider,
            ipd_mm=run.ipd_mm,
            rate_hz=run.rate_hz,
            width=run.width,
            height=run.height,
            started=datetime.now().astimezone(),
        )
        with contextlib.ExitStack() as undo:
            self._rows = self._make(ROWS, undo)  # whoever makes it has the folder
            lock(self._rows)
            self._csv = self._make(CSV, undo)
            self._append(self._csv, CSV, CSV_HEADER.encode("ascii") + b"\n")
            write_json(self._folder / INFO, self._info.to_json())
            undo.pop_all()

    def write(self, result: LiveResult) -> None:
        """Append one result.

        Raises:
            OutputError: a file cannot be written; what is whole stays, and can be played.
        """
        frame = result.frame
        try:
            if self._zero_ns is None:
                self._begin(result)
            t_ns = frame.t_ns - (self._zero_ns or 0)
            height, width = frame.image.shape[:2]
            if self._video is not None:
                self._video.write(self._fitted(frame.image), (t_ns - self._first_ns) * 1e-9)
            row = TakeRow(
                index=frame.index,
                t_ns=t_ns,
                t_capture_ns=frame.t_capture_ns,
                size_px=(width, height),
                intrinsics=result.faces[0].intrinsics if result.faces else None,
                faces=tuple(TakenFace.of(face) for face in result.faces),
            )
            self._append(self._rows, ROWS, row.to_line())
            self._frames += 1
            self._with_face += bool(row.faces)
            self._last_ns = t_ns
            self._append(self._csv, CSV, _csv_lines(t_ns * 1e-9, result).encode("ascii"))
        except BaseException:
            self._has_failed = True
            raise

    def close(self) -> None:
        """Complete all files, and say what there is.

        Raises:
            OutputError: one of them cannot be completed; what there is of it stays.
        """
        errors: list[str] = []
        if self._video is not None:
            try:
                self._video.close()
            except OutputError as error:
                errors.append(str(error))
        for file, name in ((self._rows, ROWS), (self._csv, CSV)):
            try:
                os.fsync(file.fileno())
                file.close()
            except OSError as error:
                errors.append(f"cannot write {self._folder / name}: {error.strerror}")
        if errors or self._has_failed:
            self._say_what_stays()
        else:
            duration_s = (self._last_ns - self._first_ns) * 1e-9
            self._info = replace(
                self._info,
                frames=self._frames,
                frames_with_face=self._with_face,
                duration_s=round(duration_s, 6),
            )
            write_json(self._folder / INFO, self._info.to_json())
            logger.info(
                "wrote the take %s: %d results, %.1f s; play it with `rtrecon run %s`",
                self._folder,
                self._frames,
                duration_s,
                self._folder,
            )
        if errors:
            raise OutputError("; ".join(errors))

    def _make_way(self, run: Run) -> None:
        """Remove a take that is there, where that was asked for.

        Raises:
            OutputError: it was not, or must not be.
        """
        there = [
            path
            for name in (ROWS, CSV, VIDEO, VIDEO_PART, INFO)
            if os.path.lexists(path := self._folder / name)
        ]
        if not there:
            return
        if take_at(self._folder) is None:
            raise OutputError(
                f"{there[0]} is there already and is no take's: name another folder, or move it"
            )
        if not self._overwrite:
            raise OutputError(
                f"{self._folder} holds a take: name another folder, or give overwrite=1 to lose it"
            )
        played = take_at(run.source)
        if played is not None and played.resolve() == self._folder.resolve():
            raise OutputError(f"{self._folder} is the take that is played: name another folder")
        if is_in_use(self._folder / ROWS):
            raise OutputError(f"{self._folder} is being recorded now: name another folder")
        try:
            for path in there:
                path.unlink()
        except OSError as error:
            raise OutputError(f"cannot replace {path}: {error.strerror}") from error

    def _make(self, name: str, undo: contextlib.ExitStack) -> BinaryIO:
        file = open_new(self._folder / name)
        undo.callback((self._folder / name).unlink, missing_ok=True)
        undo.callback(file.close)
        return file

    def _begin(self, result: LiveResult) -> None:
        """What is known with the first picture alone."""
        frame = result.frame
        is_film = frame.t_media_ns is not None
        self._zero_ns = 0 if is_film else frame.t_ns
        self._first_ns = frame.t_ns - self._zero_ns
        height, width = frame.image.shape[:2]
        age = timedelta(microseconds=max(0, monotonic_ns() - frame.t_capture_ns) // 1000)
        self._info = replace(
            self._info,
            width=width,
            height=height,
            clock="film" if is_film else "capture",
            started=datetime.now().astimezone() - age,
        )
        write_json(self._folder / INFO, self._info.to_json())
        if self._info.video:
            size_px = (width + width % 2, height + height % 2)
            self._video = VideoFile(
                self._folder / VIDEO,
                self._folder / VIDEO_PART,
                size_px,
                rate_hz=self._info.rate_hz,
            )

    def _fitted(self, image: BgrImage) -> BgrImage:
        """``image`` in the size of the video: its last row and column twice, or scaled."""
        assert self._video is not None
        width, height = self._video.size_px
        tall, wide = image.shape[:2]
        if (tall, wide) == (height, width):
            return image
        if (wide + wide % 2, tall + tall % 2) == (width, height):
            padded = cv2.copyMakeBorder(
                image, 0, height - tall, 0, width - wide, cv2.BORDER_REPLICATE, dst=self._padded
            )
            self._padded = np.asarray(padded, dtype=np.uint8)
            return self._padded
        return np.asarray(cv2.resize(image, (width, height)), dtype=np.uint8)

    def _append(self, file: BinaryIO, name: str, data: bytes) -> None:
        """All of ``data`` or, where the disk takes no more, nothing of it."""
        start, left = file.tell(), memoryview(data)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), start)
            raise OutputError(f"cannot write {self._folder / name}: {error.strerror}") from error

    def _say_what_stays(self) -> None:
        rescued_s = None
        if self._video is not None and self._video.part.exists():
            rescued_s = self._video.rescued_s()
        pictures = "" if rescued_s is None else f", and its pictures up to {rescued_s:.1f} s"
        logger.warning(
            "the take %s keeps the %d results that were written%s: it can be played as it is",
            self._folder,
            self._frames,
            pictures,
        )


def _csv_lines(t_s: float, result: LiveResult) -> str:
    """A line a face; one whose face and values are empty where there is none."""
    start = f"{t_s:.6f},{result.frame.index}"
    if not result.faces:
        return f"{start}{',' * (1 + len(ARKIT_NAMES) + len(_HEAD))}\n"
    return "".join(f"{start},{face.id},{_csv_values(face)}\n" for face in result.faces)


def _csv_values(face: FaceReconstruction) -> str:
    expression = face.expression
    shapes = [math.nan] * len(ARKIT_NAMES)
    if expression is not None:
        shapes = [expression.get(n, 0.0) for n in ARKIT_NAMES]
    head = [math.nan] * len(_HEAD)
    T = face.T_camera_face
    if np.isfinite(T).all():
        angles = to_angles(from_matrix(T[:3, :3]))
        head = [*map(math.degrees, angles), *T[:3, 3].tolist()]
    return ",".join("" if math.isnan(v) else f"{v:.6f}" for v in (*shapes, *head))
