"""A take as it lies on the disk: a folder with ``take.json``, its results, its pictures."""

from __future__ import annotations

import logging
from collections.abc import Generator
from pathlib import Path

from rtrecon.errors import SourceError
from rtrecon.json_text import read_json
from rtrecon.takes.info import TakeInfo
from rtrecon.takes.row import TakeRow

__all__ = ["CSV", "INFO", "ROWS", "VIDEO", "VIDEO_PART", "Take", "take_at"]

logger = logging.getLogger(__name__)

INFO, ROWS, CSV = "take.json", "frames.jsonl", "coefficients.csv"
VIDEO, VIDEO_PART = "video.mp4", "video.part.mp4"
_LONGEST_LINE = 1 << 24


def take_at(source: object) -> Path | None:
    """The folder of the take that ``source`` names, by itself or by its ``take.json``; or None.

    A folder is a take's where it holds a ``take.json``, whatever is in that.
    """
    if not isinstance(source, (str, Path)):
        return None
    path = Path(source)
    try:
        if path.name == INFO and path.is_file():
            return path.parent
        return path if (path / INFO).is_file() else None
    except (OSError, ValueError):  # a name that is too long, or has a NUL in it
        return None


class Take:
    """A recorded take, to be read.

    Attributes:
        folder: where it lies.
        info: of the take as a whole.
        damaged: lines that could not be read, so far.

    Raises:
        SourceError: it is none, is damaged, or a newer rtrecon wrote it; says what.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = take_at(folder) or Path(folder)
        path = self.folder / INFO
        try:
            self.info = TakeInfo.from_json(read_json(path))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SourceError(
                f"{folder} is no take: there is no {INFO} in it; `rtrecon run --out take:FOLDER` "
                "records one"
            ) from error
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise SourceError(f"cannot use {path}: {error}") from error
        if not (self.folder / ROWS).is_file():
            raise SourceError(
                f"the take {self.folder} has lost its {ROWS}, which holds its results"
            )
        self.damaged = 0
        self._said_cut = False

    @property
    def video(self) -> Path | None:
        """The file with its pictures, whole or as far as a take came that was cut off."""
        for name in (VIDEO, VIDEO_PART):
            if (self.folder / name).is_file():
                return self.folder / name
        return None

    def why_no_video(self) -> str:
        """Why there are no pictures, for messages."""
        if not self.info.video:
            return f"the take {self.folder} was recorded without pictures (video=0)"
        return f"the take {self.folder} has lost its {VIDEO}"

    def rows(self) -> Generator[TakeRow | None, None, None]:
        """Its results in order; None for a line that is damaged, which is said once and counted.

        A last line without an end was cut off: it is left out, and said once.

        Raises:
            SourceError: they cannot be read, or there is none.
        """
        path = self.folder / ROWS
        count, good = 0, 0
        try:
            with path.open("rb") as file:
                while line := file.readline(_LONGEST_LINE):
                    count += 1
                    if not line.endswith(b"\n"):
                        self._say_cut(good)
                        break
                    row = self._row(line, count)
                    good += row is not None
                    yield row
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error
        if not good:
            raise SourceError(f"the take {self.folder} has no results: not a whole line in {ROWS}")

    def _row(self, line: bytes, number: int) -> TakeRow | None:
        try:
            return TakeRow.from_line(line)
        except ValueError as error:
            self.damaged += 1
            level = logging.WARNING if self.damaged == 1 else logging.DEBUG
            logger.log(
                level,
                "%s: line %d is damaged and left out: %s",
                self.folder / ROWS,
                number,
                error,
            )
            return None

    def _say_cut(self, good: int) -> None:
        if not self._said_cut:
            self._said_cut = True
            logger.warning(
                "the take %s was cut off: %d results are whole, the last line of %s is not",
                self.folder,
                good,
                ROWS,
            )
