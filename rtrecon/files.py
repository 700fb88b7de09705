"""Files that are whole or not there: temporary names, then renames.

The one writer of everything that rtrecon leaves behind. A temporary file has a name that nobody
can foresee and is made exclusively, so that a link laid in its way is never followed.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
import select
import stat
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from rtrecon.errors import OutputError
from rtrecon.shown import hide_secrets

__all__ = [
    "Draft",
    "check_target",
    "json_bytes",
    "make_draft_folder",
    "make_folder",
    "open_new",
    "take_name",
    "write_files",
    "write_json",
    "write_secret",
]

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)|/dev/(stdout|stderr)")
_LONGEST_SUFFIX = 16
_READER_TIMEOUT_S = 5.0  # how long a pipe's reader may be away or take nothing


class Draft:
    """A file that has its name only once it is whole.

    `open` it, or `reserve` it for an encoder that wants a path; then `complete`, or `discard`.
    As a context manager it does the one or the other. Until it is opened or reserved nothing is
    on the disk.

    Its rights are what the umask gives, or those of the file that it replaces.

    Args:
        path: the name that it will have.
        is_secret: for the user alone (0600), whatever was there before.

    Attributes:
        path: the name that it will have.
        part: the name that it has until then, beside ``path``; no other draft has it, of this
            run or another.
    """

    def __init__(self, path: Path, *, is_secret: bool = False) -> None:
        self.path, self._is_secret = path, is_secret
        # The suffix stays: encoders go by it.
        suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ""
        self.part = _hidden_beside(path, suffix)

    def open(self) -> BinaryIO:
        """The file, new and empty, for writing and reading.

        Raises:
            OutputError: it cannot be made.
        """
        if self.path.is_dir():  # said now, not when all is written and its name is taken
            raise OutputError(f"cannot write {self.path}: it is a folder")
        rights = 0o600 if self._is_secret else _rights_of(self.path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self.part, flags, 0o666 if rights is None else 0o600)
            if rights is not None and hasattr(os, "fchmod"):
                os.fchmod(descriptor, rights | stat.S_IWUSR)  # an encoder opens it again
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write {self.path}: {_reason(error)}") from error
        return os.fdopen(descriptor, "w+b")

    def reserve(self) -> Path:
        """`part`, made and empty.

        Raises:
            OutputError: it cannot be made.
        """
        self.open().close()
        return self.part

    def complete(self, *, overwrite: bool = True) -> Path:
        """Take the name; returns it.

        Args:
            overwrite: take it from a file that has it.

        Raises:
            OutputError: it cannot be had. The draft is gone.
        """
        try:
            if overwrite:
                self.part.replace(self.path)
            else:
                take_name(self.part, self.path)
        except FileExistsError:
            self.discard()
            raise OutputError(f"{self.path} is there already") from None
        except OSError as error:
            self.discard()
            raise OutputError(f"cannot write {self.path}: {_reason(error)}") from error
        return self.path

    def discard(self) -> None:
        """Leave nothing; an older file of that name stays."""
        try:
            self.part.unlink(missing_ok=True)
        except (OSError, ValueError):  # the folder that refused the file refuses this too
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
            raise OutputError(f"cannot write {self.path}: {_reason(error)}") from error


def write_files(files: Mapping[Path, bytes], *, overwrite: bool = True) -> None:
    """Write all of ``files`` or none of them.

    Everything goes to temporary names in the same folders first; only when all of it is
    on the disk are the names taken. What is there and is no regular file, such as
    ``/dev/null``, ``/dev/stdout`` or a FIFO, is written to and stays what it is.

    Args:
        files: contents by path; the folders must exist.
        overwrite: replace files that are there already.

    Raises:
        OutputError: a file is there and must not be replaced, is a folder, or a folder is
            missing, read-only or full; nobody reads from a FIFO. No temporary file is left.
    """
    special = [path for path in files if _is_special(path)]
    plain = [path for path in files if path not in special]
    if not overwrite:
        for path in plain:
            if _exists(path):
                raise OutputError(f"{path} is there already: use --overwrite to replace it")
    drafts = [Draft(path) for path in plain]
    try:
        for draft in drafts:
            try:
                with draft.open() as file:
                    file.write(files[draft.path])
            except OSError as error:
                raise OutputError(f"cannot write {draft.path}: {_reason(error)}") from error
        for path in special:
            _write_through(path, files[path])
        for draft in drafts:
            draft.complete(overwrite=overwrite)
    finally:
        for draft in drafts:
            draft.discard()


def open_new(path: Path) -> BinaryIO:
    """A file that was not there before, for writing and reading, without a buffer.

    Raises:
        OutputError: it is there, be it as a link, or cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error
    return os.fdopen(descriptor, "w+b", buffering=0)


def take_name(part: Path, path: Path) -> None:
    """Rename, but never over another file.

    Raises:
        FileExistsError: there is one. OSError: it cannot be done.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        part.replace(path)
        return
    part.unlink()


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write ``data`` as JSON (`json_bytes`), whole or not at all (`write_files`).

    Raises:
        OutputError: the folder is missing, read-only or full.
    """
    write_files({path: json_bytes(data)})


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only the user can read, whole or not at all.

    Raises:
        OutputError: the folder is missing, read-only or full.
    """
    with Draft(path, is_secret=True) as draft, draft.open() as file:
        file.write(content)


def json_bytes(data: Mapping[str, Any], *, indent: int | None = 1) -> bytes:
    """``data`` as the contents of a JSON file.

    Numbers that are not finite, which JSON does not have, become null; passwords in addresses
    become ``***``.
    """
    return (json.dumps(_clean(data), indent=indent, allow_nan=False) + "\n").encode()


def check_target(path: Path, read: Iterable[str | Path] = ()) -> None:
    """Find out now, not after an hour, whether a file can be written to ``path``.

    Args:
        read: files that are read, which are never written over.

    Raises:
        OutputError: it is a folder, it is one of those that are read, or its folder is missing or
            may not be written.
    """
    if _is_special(path):
        return
    if any(_is_same(path, given) for given in read):
        raise OutputError(f"cannot write {path}: it is what is read; name another file")
    try:
        is_folder, has_folder = path.is_dir(), path.absolute().parent.is_dir()
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error
    if is_folder:
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
    if not has_folder:
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    draft = Draft(path)
    try:
        draft.reserve()
    finally:
        draft.discard()


def _is_same(path: Path, other: str | Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one of them is not there
        return False


def make_folder(folder: Path) -> Path:
    """``folder``, made with its parents when it is missing.

    Raises:
        OutputError: it cannot be made, or is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot make folder {folder}: {_reason(error)}") from error
    return folder


def make_draft_folder(folder: Path) -> Path:
    """A new empty folder beside ``folder``, to be filled and then renamed to it.

    Raises:
        OutputError: it cannot be made.
    """
    part = _hidden_beside(folder, "")
    try:
        part.mkdir()
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {folder}: {_reason(error)}") from error
    return part


def _hidden_beside(path: Path, suffix: str) -> Path:
    if not path.name:
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")
    # Forty characters are 160 bytes at most: the name stays one that a disk takes.
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.part{suffix}")


def _reason(error: OSError | ValueError) -> str:
    """What went wrong, without the path, which the message has; a name with NUL is a ValueError."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _rights_of(path: Path) -> int | None:
    """The rights of a regular file that is there; None where there is none."""
    try:
        found = path.lstat()
    except (OSError, ValueError):
        return None
    return stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else None


def _exists(path: Path) -> bool:
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path}: {_reason(error)}") from error
    return True


def _is_special(path: Path) -> bool:
    """Whether ``path`` is there and is neither a file nor a folder; a link counts as its end."""
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _descriptor(path: Path) -> int | None:
    """The open file of this process that ``path`` is a name of, such as 1 for /dev/stdout."""
    match = _DESCRIPTOR.fullmatch(str(path))
    if match is None:
        return None
    return int(match[1]) if match[1] else 1 if match[2] == "stdout" else 2


def _write_through(path: Path, content: bytes) -> None:
    own = _descriptor(path)
    try:
        if own is not None:
            # Not opened again: that would write over what is there already.
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            _write_all(own, content)
            return
        descriptor = _open_special(path)
        try:
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)
    except (OSError, OverflowError) as error:
        raise OutputError(f"cannot write {path}: {getattr(error, 'strerror', error)}") from error


def _open_special(path: Path) -> int:
    flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    until_s = time.monotonic() + _READER_TIMEOUT_S
    while True:
        try:
            return os.open(path, flags)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(path.stat().st_mode):
                raise
            if time.monotonic() > until_s:
                raise OSError(error.errno, "nobody reads from this pipe") from error
        time.sleep(0.05)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError as error:
            if not select.select([], [descriptor], [], _READER_TIMEOUT_S)[1]:
                raise OSError(errno.EAGAIN, "its reader takes nothing") from error


def _clean(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, str):
        return hide_secrets(data)
    if isinstance(data, Mapping):
        return {key: _clean(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_clean(value) for value in data]
    return data
