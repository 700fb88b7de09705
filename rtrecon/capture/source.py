"""What a source of pictures is, and what all that OpenCV's ``VideoCapture`` reads share."""

from __future__ import annotations

import abc
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import cv2

from rtrecon.capture.pixels import to_bgr
from rtrecon.errors import SourceError, SourceLostError
from rtrecon.types import BgrImage, Frame, Intrinsics

__all__ = ["Source", "VideoSource"]

logger = logging.getLogger(__name__)

_MAX_BAD_IN_A_ROW = 100  # undecodable frames after which a file counts as broken


class Source(abc.ABC):
    """A sequence of pictures. Open on construction; a context manager and an iterator.

    ``grab`` takes the next picture without decoding it and returns False at the end;
    ``retrieve`` decodes what was grabbed. ``close`` may be called at any time, from any
    thread, more than once.

    Attributes: ``name``; ``device`` (a camera's own name, which stays when it gets another
    number; "" for what has none); ``key`` (what its saved calibration is kept under; "" for what
    can have none) and ``saved`` (the file of that, where it is in use); ``is_live`` (the world
    does not wait: camera or stream);
    ``width``, ``height``, ``rate_hz`` (None: unknown); ``frame_count`` (None: unknown);
    ``corrupt``, how many pictures could not be decoded; ``t_media_ns``, the time of the picture
    grabbed last within its file, from the first picture on (None: it has none, as a camera's);
    ``has_times``, whether a source that is not live is to be played by those times; ``index``, the
    number of the picture grabbed last where the source has its own (None: they are counted);
    ``waits``, whether a live source that gives nothing is waited for, and not opened again;
    ``t_capture_ns``, when the picture grabbed last was taken, if the source knows better than who
    reads it. Of takes: ``is_recorded``, whether its results are known, so that none may be left
    out; ``calibration``, what avatars started from then; ``has_pictures``, without which its
    pictures are black.
    """

    name = ""
    device = ""
    key = ""
    saved: Path | None = None
    is_live = False
    has_times = False
    is_recorded = False
    calibration: Mapping[str, Any] | None = None
    has_pictures = True
    waits = False
    t_capture_ns: int | None = None
    index: int | None = None
    t_media_ns: int | None = None
    width = 0
    height = 0
    rate_hz: float | None = None
    frame_count: int | None = None
    intrinsics: Intrinsics | None = None

    def __init__(self) -> None:
        self.corrupt = 0
        self._index = 0

    @abc.abstractmethod
    def grab(self) -> bool:
        """Take the next picture; False when there are no more."""

    @abc.abstractmethod
    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        """Decode what was grabbed, into ``out`` where it fits; None if it cannot be decoded."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the device or file."""

    def again(self) -> Source:
        """A new source of the same camera or stream, to go on with after a failure.

        Raises:
            SourceError: it cannot be opened now, or this kind cannot be opened twice.
        """
        raise SourceError(f"{self.name} cannot be opened again")

    def read(self) -> Frame | None:
        """The next picture that can be decoded; None at the end."""
        bad = 0
        while self.grab():
            t_capture_ns = self.t_capture_ns or time.monotonic_ns()
            image = self.retrieve()
            if image is not None:
                index = self._index if self.index is None else self.index
                frame = Frame(image, index, t_capture_ns, self.intrinsics, self.t_media_ns)
                self._index += 1
                return frame
            self.note_corrupt()
            bad += 1
            if bad >= _MAX_BAD_IN_A_ROW:
                raise SourceLostError(f"{self.name}: {bad} pictures in a row cannot be decoded")
        return None

    def note_corrupt(self) -> None:
        """Count a picture that could not be decoded; said once."""
        self.corrupt += 1
        if self.corrupt == 1:
            logger.warning("%s: a picture cannot be decoded; going on without it", self.name)

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.read()) is not None:
            yield frame

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class VideoSource(Source):
    """What everything read through ``cv2.VideoCapture`` has in common."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        # Held while the decoder works: letting go of it under its hands crashes OpenCV.
        self._busy = threading.Lock()
        self._capture: Any = self._make_capture()
        self.width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        self.height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate_hz = rate if 0.5 <= rate <= 1000 else None

    @abc.abstractmethod
    def _make_capture(self) -> Any:
        """An opened ``cv2.VideoCapture``, or raise SourceError."""

    def grab(self) -> bool:
        """Take the next picture; False when there are no more."""
        with self._busy:
            return self._capture is not None and bool(self._capture.grab())

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        """Decode what was grabbed; None if it cannot be decoded."""
        with self._busy:
            if self._capture is None:
                return None
            try:
                ok, image = (
                    self._capture.retrieve(out) if out is not None else self._capture.retrieve()
                )
            except cv2.error:
                return None
        return to_bgr(image) if ok else None

    def close(self) -> None:
        """Let go of it; safe at any time, from any thread."""
        # A read that hangs in the driver keeps the device; whoever waits for it closes it then.
        if self._busy.acquire(timeout=0.2):
            try:
                if self._capture is not None:
                    self._capture.release()
                self._capture = None
            finally:
                self._busy.release()
