"""What ``rtrecon image`` says of each face: a row of a table to people, a line of JSON to programs.

The schema of the lines is in docs/command-line.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rtrecon.console import say
from rtrecon.errors import OutputError, RtreconError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.shown import plain

__all__ = ["ImageReport", "face_row", "make_report"]

_WIDEST_NAME = 40


class ImageReport(Protocol):
    """Where the results go as they come; each raises OutputError where it cannot be written."""

    def faces(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The faces of one picture, as `face_row` has them."""

    def failed(self, picture: str, error: RtreconError) -> None:
        """A picture of which there is nothing."""


def make_report(pictures: Sequence[Path], *, as_json: bool) -> ImageReport:
    """A table where standard output is a terminal, else lines of JSON; so too if ``as_json``."""
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        return _Lines()
    return _Table(pictures)


def face_row(
    path: Path,
    number: int,
    face: FaceReconstruction,
    camera: str,
    turn_deg: int,
    files: Sequence[Path],
) -> dict[str, Any]:
    """All that is said of a face: what a line of JSON has."""
    return {
        "picture": str(path),
        "face": number,
        "score": round(float(face.score), 4),
        "box_px": [round(float(v), 2) for v in face.box_px],
        "landmarks_px": [[round(float(v), 2) for v in point] for point in face.landmarks_px],
        "distance_m": round(float(face.z_ref_m), 4),
        "points": int(face.grid.valid.sum()),
        "intrinsics": camera,
        "turned_deg": turn_deg,
        "files": [str(file) for file in files],
    }


class _Lines:
    def faces(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            _print(json.dumps(row))

    def failed(self, picture: str, error: RtreconError) -> None:
        _print(json.dumps({"picture": picture, "face": None, "error": str(error)}))


class _Table:
    """Rows of even width, each printed when it is known: of ten thousand pictures too."""

    def __init__(self, pictures: Sequence[Path]) -> None:
        names = [len(plain(path.name)) for path in pictures]
        self._width = min(max([len("PICTURE"), *names]), _WIDEST_NAME)
        self._has_header = False

    def faces(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            x0, y0, x1, y1 = row["box_px"]
            files = [Path(file).name for file in row["files"]]
            self._row(
                row["picture"],
                str(row["face"]),
                f"{row['distance_m']:.2f} m",
                f"{x1 - x0:.0f}x{y1 - y0:.0f}",
                f"{row['score']:.2f}",
                ", ".join(files) or "-",
            )

    def failed(self, picture: str, error: RtreconError) -> None:  # noqa: ARG002  it was said
        self._row(picture, "-", "-", "-", "-", "failed")

    def _row(self, picture: str, *cells: str) -> None:
        if not self._has_header:
            self._has_header = True
            self._row("PICTURE", "FACE", "DISTANCE", "SIZE/PX", "SCORE", "FILES")
        name = plain(Path(picture).name) or plain(picture)
        if len(name) > self._width:
            name = f"{name[: self._width - 1]}…"
        face, distance, size, score, files = cells
        _print(f"{name:<{self._width}}  {face:>4}  {distance:>8}  {size:>9}  {score:>5}  {files}")


def _print(line: str) -> None:
    try:
        say(line)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
