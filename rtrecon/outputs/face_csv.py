"""A take as a table: Live Link Face's CSV."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from rtrecon.avatar.csv_rows import HEADER, csv_row
from rtrecon.avatar.frame import mirrored
from rtrecon.errors import OutputError
from rtrecon.files import Draft, make_folder
from rtrecon.output import Output, Run
from rtrecon.outputs.avatar_output import DEFAULTS, AvatarOptions
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.result import LiveResult

__all__ = ["FaceCsvOutput"]

logger = logging.getLogger(__name__)


class FaceCsvOutput(Output):
    """One line a result. Time codes are a film's own times, or the time of day.

    Args:
        target: the file; has its name once it is whole.
        overwrite: replace a file that is there.
        common: as of the outputs over UDP.
    """

    name = "csv"
    summary = "Live Link Face's CSV with time code: shapes, head and eyes, a line a frame"
    every_result = True
    needs_pictures = False
    close_timeout_s = 10.0

    def __init__(
        self,
        target: Path,
        *,
        overwrite: bool = False,
        common: AvatarOptions = DEFAULTS,
    ) -> None:
        self._path, self._overwrite = Path(target), overwrite
        self._mirror, self._settings = common.mirror, common.settings
        self._midnight_s: float | None = None  # where the clock of the frames stood at midnight

    @property
    def target(self) -> str:
        """The file."""
        return str(self._path)

    def open(self, run: Run) -> None:
        """Begin the file.

        Raises:
            OutputError: it cannot be made, or is there already.
        """
        if not self._overwrite and self._path.is_file():
            raise OutputError(
                f"{self._path} is there already: name another file, or give overwrite=1 to lose it"
            )
        self._avatars = AvatarRun.of(run)
        self._stage = self._avatars.stage(self._settings)
        make_folder(self._path.parent)
        self._draft = Draft(self._path)
        self._file = self._draft.open()
        self._write(HEADER)

    def write(self, result: LiveResult) -> None:
        """Append one line.

        Raises:
            OutputError: the file cannot be written.
        """
        frame = self._stage.frame(result)
        if self._midnight_s is None:
            self._midnight_s = 0.0
            if result.frame.t_media_ns is None:
                self._midnight_s = frame.t_s - _time_of_day_s()
        is_mirrored = self._mirror != self._avatars.is_flipped
        self._write(
            csv_row(mirrored(frame) if is_mirrored else frame, frame.t_s - self._midnight_s)
        )

    def close(self) -> None:
        """Complete the file, and say which it is.

        Raises:
            OutputError: it cannot be completed.
        """
        try:
            self._file.close()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error
        if not self._overwrite and self._path.is_file():
            raise OutputError(
                f"{self._path} came to be there meanwhile and stays: the lines are in "
                f"{self._draft.part}"
            )
        logger.info("wrote %s", self._draft.complete())

    def _write(self, line: str) -> None:
        try:
            self._file.write(line.encode("ascii") + b"\n")
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error


def _time_of_day_s() -> float:
    now_s = time.time()
    local = time.localtime(now_s)
    return local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec + now_s % 1.0
