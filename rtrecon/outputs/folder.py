"""The folder of one recording: nobody else's, and what a sudden end left in it is said."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rtrecon.errors import OutputError
from rtrecon.files import make_folder, open_new

if sys.platform != "win32":
    import fcntl

__all__ = [
    "POSES",
    "POSES_PART",
    "VIDEO",
    "VIDEO_PART",
    "claim_folder",
    "is_in_use",
    "lock",
    "say_what_was_left",
]

logger = logging.getLogger(__name__)

POSES, POSES_PART = "poses.jsonl", "poses.part.jsonl"
VIDEO, VIDEO_PART = "preview.mp4", "preview.part.mp4"
_TRIES = 100
_QUIET_S = 60.0  # a part that has not grown for so long is nobody's, where there are no locks


def claim_folder(asked: Path) -> tuple[Path, BinaryIO]:
    """``asked``, or one in it named by the time of day if it holds a recording already.

    Returns:
        The folder, and the file `POSES_PART` in it: it was not there before and is locked, which
        is what keeps any other recording away for as long as it is open.

    Raises:
        OutputError: no folder can be made or written.
    """
    for folder in _candidates(asked):
        make_folder(folder)
        if _holds_recording(folder, but=None):
            continue
        part = folder / POSES_PART
        try:
            file = open_new(part)
        except OutputError:
            if os.path.lexists(part):  # another run was quicker
                continue
            raise
        lock(file)
        if not _holds_recording(folder, but=part):
            return folder, file
        file.close()
        part.unlink()
    raise OutputError(f"{asked} holds too many recordings: name another folder")


def say_what_was_left(folder: Path) -> None:
    """Name recordings in ``folder``, and in the folders in it, that ended suddenly."""
    for part in _parts(folder):
        if is_in_use(part.with_name(POSES_PART)):
            continue
        if part.name == VIDEO_PART:
            logger.warning(
                "%s was left by a run that ended suddenly: it plays as it is, in a browser, VLC or "
                "ffplay, to about a second before that end; rename it to keep it, or delete it",
                part,
            )
        else:
            logger.warning(
                "%s was left by a run that ended suddenly: each of its lines is whole, but for the "
                "last; rename it to keep it, or delete it",
                part,
            )


def _candidates(asked: Path) -> Iterator[Path]:
    yield asked
    name = time.strftime("%Y%m%d-%H%M%S")
    yield asked / name
    for number in range(2, _TRIES):
        yield asked / f"{name}-{number}"


def _holds_recording(folder: Path, *, but: Path | None) -> bool:
    names = (POSES, POSES_PART, VIDEO, VIDEO_PART, "face*.ply")
    return any(path != but for name in names for path in folder.glob(name))


def _parts(folder: Path) -> list[Path]:
    try:
        return sorted(
            path
            for name in (VIDEO_PART, POSES_PART)
            for path in (*folder.glob(name), *folder.glob(f"*/{name}"))
        )
    except OSError:  # a folder in it that may not be read
        return []


def lock(file: BinaryIO) -> None:
    """Keep others away from ``file`` for as long as it is open, where there are locks."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # some network file systems have no locks
        logger.debug("no lock on %s: %s", file.name, error)


def is_in_use(part: Path) -> bool:
    """Whether the run that writes ``part``, which it has locked, is alive."""
    try:
        if sys.platform == "win32":
            return time.time() - part.stat().st_mtime < _QUIET_S
        with part.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
