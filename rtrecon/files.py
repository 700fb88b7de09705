"""Files that are whole or not there: temporary names, then renames."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rtrecon.errors import OutputError

__all__ = ["Draft", "make_folder", "write_files", "write_json"]

_number = itertools.count()


class Draft:
    """A file that has its name only once it is whole.

    Write to ``part``, a name beside ``path`` that no other draft has, of this run or another;
    then `complete`, or `discard`. As a context manager it does the one or the other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # The suffix stays: encoders go by it.
        unique = f"{os.getpid()}-{next(_number)}"
        self.part = path.with_name(f".{path.stem}.{unique}.part{path.suffix}")

    def complete(self) -> Path:
        """Take the name, over a file that has it; returns it.

        Raises:
            OutputError: it cannot be had. The draft is gone.
        """
        try:
            self.part.replace(self.path)
        except OSError as error:
            self.discard()
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        return self.path

    def discard(self) -> None:
        """Leave nothing; an older file of that name stays."""
        try:
            self.part.unlink(missing_ok=True)
        except OSError:  # the folder that refused the file refuses this too
            return

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.complete()
            return
        self.discard()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error


def write_files(files: Mapping[Path, bytes], *, overwrite: bool = True) -> None:
    """Write all of ``files`` or none of them.

    Everything goes to temporary names in the same folders first; only when all of it is
    on the disk are the names taken.

    Args:
        files: contents by path; the folders must exist.
        overwrite: replace files that are there already.

    Raises:
        OutputError: a file is there and must not be replaced, or a folder is missing,
            read-only or full. No temporary file is left.
    """
    if not overwrite:
        for path in files:
            if path.exists():
                raise OutputError(f"{path} is there already: use --overwrite to replace it")
    drafts = [Draft(path) for path in files]
    path = Path()
    try:
        for draft, content in zip(drafts, files.values(), strict=True):
            path = draft.path
            draft.part.write_bytes(content)
        for draft in drafts:
            draft.complete()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        for draft in drafts:
            draft.discard()


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write ``data`` as JSON, whole or not at all.

    Raises:
        OutputError: the folder is missing, read-only or full.
    """
    text = json.dumps(data, indent=1) + "\n"
    write_files({path: text.encode()})


def make_folder(folder: Path) -> Path:
    """``folder``, made with its parents when it is missing.

    Raises:
        OutputError: it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder {folder}: {error.strerror}") from error
    return folder
