"""What a file is, by its first bytes: names lie, contents do not."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from rtrecon.errors import DataError

__all__ = ["HEAD_BYTES", "is_picture", "is_video", "open_regular", "picture_kind", "what_else"]

HEAD_BYTES = 64
"""As many of a file's first bytes tell what it is."""

_STARTS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "WEBP": rb"RIFF....WEBP",
    "BMP": rb"BM....\0\0\0\0",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "PPM": rb"P[1-6]\s",
    "AVIF": rb"....ftyp(avif|avis|mif1.{4,40}avif)",
    "HEIF": rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)",
}
_VIDEO = "a video: `rtrecon run` takes it"
_OTHERS = {
    _VIDEO: (
        rb"....ftyp|....(moov|mdat|wide)|\x1aE\xdf\xa3|RIFF....AVI |\x00\x00\x01[\xb0-\xbf]|FLV"
    ),
    "a JPEG 2000: save it as JPEG or PNG": rb"\xff\x4f\xff\x51|\x00\x00\x00\x0cjP  ",
    "a JPEG XL: save it as JPEG or PNG": rb"\xff\x0a|\x00\x00\x00\x0cJXL ",
    "a raw photo: develop it to JPEG or PNG": rb"FUJIFILMCCD-RAW|....ftypcrx ",
    "a Photoshop file: save it as JPEG or PNG": rb"8BPS",
    "a PDF or PostScript file: save its picture as JPEG or PNG": rb"%PDF|%!PS",
    "a web page: download the picture itself": rb"\s*<(!doctype html|html)",
    "an SVG drawing, not a photo": rb"\s*<(\?xml|svg)",
}


def picture_kind(head: bytes) -> str | None:
    """Pillow's name of the kind of picture that ``head`` starts; None if it is none of ours."""
    return next((kind for kind, start in _STARTS.items() if _starts(start, head)), None)


def what_else(head: bytes) -> str | None:
    """In words what starts with ``head``, and what to do with it; None if that is not known."""
    # The last first: a raw photo's start is also that of a video.
    kinds = reversed(list(_OTHERS.items()))
    return next((words for words, start in kinds if _starts(start, head)), None)


def is_picture(path: Path) -> bool:
    """Whether the file ``path`` is a picture by its contents; False if it cannot be read."""
    try:
        with open_regular(path) as file:
            return picture_kind(file.read(HEAD_BYTES)) is not None
    except (DataError, OSError):
        return False


def is_video(path: Path) -> bool:
    """Whether the file ``path`` is a video by its contents; False if it cannot be read."""
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
    except (DataError, OSError):
        return False
    return picture_kind(head) is None and what_else(head) == _VIDEO


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read, never waiting for the other end of a pipe.

    Raises:
        DataError: it is not there, may not be read, or is a folder, pipe or device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            raise DataError(f"{path} is {_kind_of(mode)}, not a file")
        return os.fdopen(descriptor, "rb")
    except ValueError as error:  # a NUL in the name
        raise DataError(f"cannot read {str(path)!r}: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def _kind_of(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _starts(pattern: bytes, head: bytes) -> bool:
    return re.match(pattern, head, re.DOTALL | re.IGNORECASE) is not None
