"""A camera made of pictures in memory: forth and back, so that a face never jumps."""

from __future__ import annotations

import time

import numpy as np

from rtrecon.capture.source import Source
from rtrecon.types import BgrImage

__all__ = ["MemorySource", "forth_and_back"]


def forth_and_back(index: int, count: int) -> int:
    """Which of ``count`` pictures is shown as number ``index``: 0 1 2 1 0 1 2 ..."""
    if count < 2:
        return 0
    place = index % (2 * count - 2)
    return place if place < count else 2 * count - 2 - place


class MemorySource(Source):
    """``frame_count`` pictures at ``rate_hz`` out of (n, H, W, 3) uint8 BGR ``pictures``.

    A paced capture thread plays it like a camera. ``grabbed_ns`` and ``retrieved_ns`` keep when
    each picture was taken and copied (monotonic), if ``timed``.
    """

    def __init__(
        self,
        pictures: BgrImage,
        rate_hz: float,
        frame_count: int,
        *,
        timed: bool = False,
    ) -> None:
        super().__init__()
        self.name = "pictures in memory"
        self.height, self.width = pictures.shape[1:3]
        self.rate_hz = rate_hz
        self.frame_count: int | None = frame_count
        self._pictures, self._end, self._next = pictures, frame_count, 0
        self._timed = timed
        self.grabbed_ns: list[int] = []
        self.retrieved_ns: list[int] = []

    def grab(self) -> bool:
        """Take the next picture; False when there are no more."""
        if self._next >= self._end:
            return False
        self._next += 1
        if self._timed:
            self.grabbed_ns.append(time.monotonic_ns())
        return True

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        """Copy what was grabbed, as a decoder would leave it in the caches."""
        picture = self._pictures[forth_and_back(self._next - 1, len(self._pictures))]
        if out is None:
            out = np.empty_like(picture)
        np.copyto(out, picture)
        if self._timed:
            self.retrieved_ns.append(time.monotonic_ns())
        return out

    def close(self) -> None:
        """No more pictures."""
        self._end = 0
