"""What PATHS, LISTs and GLOBs name: videos, and folders of pictures."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rtrecon.archive.units import Input
from rtrecon.capture.pictures import PICTURE_SUFFIXES, natural_key
from rtrecon.errors import DataError, SourceError, UserError

__all__ = ["claim_names", "find_inputs"]

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
    *(".wmv", ".flv", ".3gp", ".ogv", ".mjpeg", ".mjpg", ".h264", ".h265", ".hevc"),
)
_LIST_SUFFIX = ".txt"
_LONGEST_NAME_BYTES = 120
_LARGEST_LIST_BYTES = 1 << 26


def find_inputs(
    patterns: Sequence[str], leave_out: Path | None = None
) -> tuple[list[Input], list[UserError]]:
    """The inputs that ``patterns`` name, each once, in order, and what is wrong with the others.

    A folder counts with all folders in it; the pictures of one folder are one input. A ``.txt`` is
    a list: a path or glob a line, beside the list where it is not absolute; ``#`` begins a remark.

    Args:
        patterns: files, folders, lists, globs.
        leave_out: a folder that is not looked into: results are no inputs.

    Raises:
        UserError: there is not one input; of the first pattern.
    """
    videos: dict[Path, None] = {}
    pictures: dict[Path, dict[Path, None]] = {}
    wrong: list[UserError] = []
    for pattern in patterns:
        try:
            for path in _files_of(pattern, leave_out):
                if path.suffix.lower() in PICTURE_SUFFIXES:
                    pictures.setdefault(path.parent, {})[path] = None
                else:
                    videos[path] = None
        except UserError as error:
            wrong.append(error)
    inputs = []
    for video in videos:
        try:
            inputs.append(Input(kind="video", path=str(video), stamp=_stamp([video])))
        except OSError as error:
            wrong.append(SourceError(f"{video} cannot be read: {error.strerror}"))
    for folder, found in pictures.items():
        paths = list(found)
        try:
            stamp = _stamp(paths)
        except OSError as error:
            wrong.append(SourceError(f"the pictures in {folder} cannot be read: {error.strerror}"))
            continue
        names = tuple(str(path) for path in paths)
        inputs.append(Input(kind="pictures", path=str(folder), stamp=stamp, pictures=names))
    if not inputs and wrong:
        raise wrong[0]
    return inputs, wrong


def claim_names(inputs: Iterable[Input], taken: Mapping[str, str]) -> list[Input]:
    """The inputs with names for their results: their own, or with a mark where that is taken.

    Args:
        inputs: in order: the first has the first choice.
        taken: names that are given, to which path. An input keeps the name that it has.
    """
    by_path = {path: name for name, path in taken.items()}
    owner = {_as_disks_see(name): path for name, path in taken.items()}
    named = []
    for one in inputs:
        name = by_path.get(one.path)
        if name is None:
            name = _plain_name(Path(one.path).name or "pictures")
            if owner.get(_as_disks_see(name), one.path) != one.path:
                mark = hashlib.sha256(os.fsencode(one.path)).hexdigest()[:8]
                name = f"{name}~{mark}"
            owner[_as_disks_see(name)] = one.path
        named.append(replace(one, name=name))
    return named


def _files_of(pattern: str, leave_out: Path | None) -> Iterator[Path]:
    if "\0" in pattern:
        raise SourceError(f"a path with a NUL character in it, {pattern!r}, cannot be")
    if "://" in pattern:
        raise SourceError(
            f"{pattern} is an address: an archive is made of files; download it first, or "
            "`rtrecon run` follows a stream"
        )
    path = Path(pattern).absolute()
    if path.is_dir():
        found = sorted(_walk(path, leave_out), key=natural_key)
        if not found:
            raise SourceError(f"there is no video and no picture in the folder {pattern}")
        yield from found
    elif path.is_file() and path.suffix.lower() == _LIST_SUFFIX:
        yield from _listed(path, leave_out)
    elif path.is_file():
        yield path
    else:
        matches = sorted(glob.glob(pattern, recursive=True), key=lambda p: natural_key(Path(p)))  # noqa: PTH207
        if not matches:
            raise SourceError(f"there is no file, folder, list or match of {pattern}")
        for match in matches:
            inside = Path(match).absolute()
            if inside.is_file() and _is_wanted(inside) and not _is_in(inside, leave_out):
                yield inside


def _listed(path: Path, leave_out: Path | None) -> Iterator[Path]:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_LIST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"cannot read the list {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"the list {path} is not UTF-8 text: one path a line") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise DataError(f"the list {path} names nothing: one path a line")
    for line in lines:
        inside = path.parent / line
        if inside.suffix.lower() == _LIST_SUFFIX:
            raise DataError(f"the list {path} names another list, {line}: name files and folders")
        yield from _files_of(str(inside), leave_out)


def _walk(folder: Path, leave_out: Path | None) -> Iterator[Path]:
    for base, folders, files in os.walk(folder):
        here = Path(base)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not _is_in(here / name, leave_out)
        ]
        for name in files:
            path = here / name
            if not name.startswith(".") and _is_wanted(path):
                yield path


def _is_wanted(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in VIDEO_SUFFIXES or suffix in PICTURE_SUFFIXES


def _is_in(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.is_relative_to(folder)


def _stamp(paths: Sequence[Path]) -> str:
    """Size and time of change; of many files a digest of theirs."""
    stats = [path.stat() for path in paths]
    texts = [f"{found.st_size} {found.st_mtime_ns}" for found in stats]
    if len(texts) == 1 and paths[0].suffix.lower() not in PICTURE_SUFFIXES:
        return texts[0]
    named = "\n".join(f"{path.name} {text}" for path, text in zip(paths, texts, strict=True))
    return hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _plain_name(name: str) -> str:
    """``name`` without control characters, no longer than disks take, never hidden."""
    plain = "".join("_" if unicodedata.category(c) in ("Cc", "Cs") else c for c in name)
    plain = plain.lstrip(".") or "video"
    while len(os.fsencode(plain)) > _LONGEST_NAME_BYTES:
        plain = plain[1:]  # its suffix stays
    return plain


def _as_disks_see(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
