"""A folder of pictures, or one picture, as a source."""

from __future__ import annotations

import logging
from pathlib import Path

from rtrecon.capture.pictures import Picture, pictures_in, read_picture
from rtrecon.capture.source import Source
from rtrecon.errors import SourceError, UserError
from rtrecon.types import BgrImage, Intrinsics

__all__ = ["FolderSource"]

logger = logging.getLogger(__name__)

_STEP_NS = 1_000_000_000 // 30  # between two pictures: they have no times, filters need some


class FolderSource(Source):
    """The pictures of a folder, or one picture, in natural order of their names.

    `intrinsics` are those of the picture read last, from its EXIF data, unless they were set.

    Raises:
        SourceError: there is no picture that can be read; says what is wrong with the first.
    """

    def __init__(self, path: Path, *, loop: bool = False) -> None:
        super().__init__()
        self.name = str(path)
        self._loop = loop
        if path.is_dir():
            self._paths = pictures_in(path)
            if not self._paths:
                raise SourceError(f"the folder {path} holds no pictures (jpg, png, webp, bmp, tif)")
        else:
            self._paths = [path]
        self.frame_count = None if loop else len(self._paths)
        self._next = 0
        self._current: Path | None = None
        self._from_exif: Intrinsics | None = None
        self._kept: Picture = self._first_whole()
        self.height, self.width = self._kept.image.shape[:2]

    def grab(self) -> bool:
        """Take the next picture; False when there are no more."""
        if self._next >= len(self._paths):
            if not self._loop:
                return False
            self._next = 0
        self._current = self._paths[self._next]
        self._next += 1
        self.t_media_ns = 0 if self.t_media_ns is None else self.t_media_ns + _STEP_NS
        return True

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:  # noqa: ARG002
        """Decode the next picture; None if it cannot be read."""
        if self._current is None:
            return None
        if self._current != self._kept.path:
            try:
                self._kept = read_picture(self._current)
            except UserError as error:
                logger.warning("%s; left out", error)
                return None
        if self.intrinsics is self._from_exif:
            self.intrinsics = self._from_exif = self._kept.intrinsics
        return self._kept.image

    def note_corrupt(self) -> None:
        """Count a picture that could not be decoded; `retrieve` has named it."""
        self.corrupt += 1

    def close(self) -> None:
        """Let go of it; safe at any time, from any thread."""
        self._next = len(self._paths)
        self._loop = False

    def _first_whole(self) -> Picture:
        first_error: UserError | None = None
        for path in self._paths:
            try:
                return read_picture(path)
            except UserError as error:
                first_error = first_error or error
        raise SourceError(f"no picture of {self.name} can be read: {first_error}") from first_error
