"""A take as a source: its results' times and numbers, and its pictures where they are wanted."""

from __future__ import annotations

import logging
import threading
from collections import deque

import cv2
import numpy as np

from rtrecon.capture.films import FileSource
from rtrecon.capture.source import Source
from rtrecon.errors import SourceError
from rtrecon.takes.folder import Take
from rtrecon.takes.row import TakeRow
from rtrecon.types import BgrImage, Frame

__all__ = ["TakeSource"]

logger = logging.getLogger(__name__)

_USUAL_RATE_HZ = 30.0


class TakeSource(Source):
    """Plays a take by its own times: a frame for each of its results, none left out.

    What was found in a frame is asked for by `row_of`, once, by the thread that reads the
    frames.

    Args:
        take: what is played.
        pictures: decode them; without, frames are black and of the recorded size.
        loop: begin again at its end, over and over.

    Raises:
        SourceError: it has no results; the pictures are wanted and cannot be read.
    """

    has_times = True
    is_recorded = True

    def __init__(self, take: Take, *, pictures: bool, loop: bool = False) -> None:
        super().__init__()
        self.name = str(take.folder)
        self.width, self.height = take.info.width, take.info.height
        self.rate_hz, self.device = take.info.rate_hz, take.info.device
        self.calibration = take.info.calibration
        self.frame_count = None if loop else take.info.frames
        self._take, self._loop, self.has_pictures = take, loop, pictures
        self._rows = take.rows()
        self._row: TakeRow | None = None
        self._grabbed: deque[tuple[int, TakeRow]] = deque()  # by time, not asked for yet
        self._round_ns = 0  # what is added to the times in the round that is played now
        self._first_ns: int | None = None
        self._last_ns = 0
        self._closed = threading.Event()
        self._ahead = [next(self._rows)]  # so that a take without results is said at once
        self._video = self._open_video()

    def grab(self) -> bool:
        """Go on to the next result; False at the end.

        Raises:
            SourceError, SourceLostError: the take or its video cannot be read any more.
        """
        if self._closed.is_set():
            return False
        try:
            row = self._ahead.pop() if self._ahead else next(self._rows)
        except StopIteration:
            return self._begin_again()
        if self._video is not None and not self._video.grab():
            if self._closed.is_set():
                return False
            logger.warning(
                "%s ends before the results of the take do, at %.2f s: it is played to there",
                self._video.name,
                self._last_ns * 1e-9,
            )
            return self._begin_again()
        self._row = row
        if row is not None:
            self._note(row)
        return True

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        """The picture; None if it, or the line of its result, is damaged."""
        row = self._row
        if row is None:
            return None
        width, height = row.size_px
        if self._video is None:
            return np.broadcast_to(np.uint8(0), (height, width, 3))
        image = self._video.retrieve(out)
        return None if image is None else _of_size(image, width, height)

    def note_corrupt(self) -> None:
        """Count what could not be read; of a line that was said."""
        if self._row is None:
            self.corrupt += 1
        else:
            super().note_corrupt()

    def row_of(self, frame: Frame) -> TakeRow:
        """What was found in ``frame``.

        Raises:
            SourceError: it is no frame of this take, or was asked for before.
        """
        while self._grabbed:
            t_ns, row = self._grabbed.popleft()
            if (t_ns, row.index) == (frame.t_media_ns, frame.index):
                return row
        raise SourceError(f"{self.name} has no frame {frame.index}, or not again")

    def close(self) -> None:
        """Let go of it; safe at any time, from any thread."""
        self._closed.set()
        if self._video is not None:
            self._video.close()

    def _note(self, row: TakeRow) -> None:
        if self._first_ns is None:
            self._first_ns = row.t_ns
        self._last_ns = row.t_ns
        self.index = row.index
        self.t_media_ns = self._round_ns + row.t_ns
        if row.intrinsics is not None:
            self.intrinsics = row.intrinsics
        self._grabbed.append((self.t_media_ns, row))

    def _begin_again(self) -> bool:
        if not self._loop:
            return False
        gap_ns = round(1e9 / (self.rate_hz or _USUAL_RATE_HZ))
        self._round_ns += self._last_ns - (self._first_ns or 0) + gap_ns
        self._rows.close()
        self._rows = self._take.rows()
        if self._video is not None:
            self._video.close()
            self._video = self._open_video()
        return self.grab()

    def _open_video(self) -> Source | None:
        if not self.has_pictures:
            return None
        path = self._take.video
        if path is None:
            raise SourceError(self._take.why_no_video())
        return FileSource.of_path(path)


def _of_size(image: BgrImage, width: int, height: int) -> BgrImage:
    """As it was recorded: videos have even sides, and one size throughout."""
    tall, wide = image.shape[:2]
    if (wide, tall) == (width, height):
        return image
    if (wide, tall) == (width + width % 2, height + height % 2):
        return np.ascontiguousarray(image[:height, :width])
    return np.asarray(cv2.resize(image, (width, height)), dtype=np.uint8)
