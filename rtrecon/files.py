"""Files that are whole or not there: temporary names, then renames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rtrecon.errors import OutputError

__all__ = ["make_folder", "write_files"]


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
    parts: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in files.items():
            part = path.with_name(f".{path.name}.{os.getpid()}.part")
            parts[path] = part
            with part.open("wb") as file:
                file.write(content)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    finally:
        for part in parts.values():
            try:
                part.unlink(missing_ok=True)
            except OSError:  # the folder that refused the file refuses this too
                continue


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
