"""Pictures that somebody else brings: the newest is kept, and nothing waits for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from rtrecon.capture.source import Source
from rtrecon.types import BgrImage

__all__ = ["Decode", "PushedSource"]

Decode = Callable[[BgrImage | None], BgrImage | None]
"""Makes the picture, (H, W, 3) uint8 BGR, in the memory that it is given where that fits; None
if it cannot. Called once at most, on the capture thread, for the pictures that are used alone."""

logger = logging.getLogger(__name__)

_LATER_S = 1.0


class PushedSource(Source):
    """A live source that is fed by `push`, such as a browser's camera over the network.

    Pictures may have any size and change it. That none comes is no failure: `grab` waits.

    Args:
        name: for people.
        width, height: what is expected, until the first picture comes.
    """

    is_live = True
    waits = True

    def __init__(self, name: str, *, width: int = 640, height: int = 480) -> None:
        super().__init__()
        self.name = self.device = name
        self.width, self.height = width, height
        self.pushed = self.replaced = 0
        self._changed = threading.Condition()
        self._waiting: tuple[Decode, int] | None = None
        self._decode: Decode | None = None
        self._closed = False
        self._last_s = float("-inf")

    @property
    def is_fed(self) -> bool:
        """Whether a picture came within the last second."""
        return time.monotonic() - self._last_s < _LATER_S

    def push(self, decode: Decode, t_capture_ns: int) -> None:
        """Leave a picture in place of one that was not read yet; from any thread.

        Args:
            decode: makes it.
            t_capture_ns: monotonic time at which it came.
        """
        with self._changed:
            self.pushed += 1
            self.replaced += self._waiting is not None
            self._waiting = (decode, t_capture_ns)
            self._last_s = time.monotonic()
            self._changed.notify_all()

    def rest(self) -> None:
        """Who fed it is gone: what waits of theirs is dropped."""
        with self._changed:
            self._waiting, self._last_s = None, float("-inf")

    def grab(self) -> bool:
        """Wait for the next picture; False once it is closed."""
        with self._changed:
            while self._waiting is None and not self._closed:
                self._changed.wait(_LATER_S)
            if self._closed or self._waiting is None:
                return False
            self._decode, self.t_capture_ns = self._waiting
            self._waiting = None
            return True

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        """Decode what was grabbed; None if it cannot be."""
        decode, self._decode = self._decode, None
        try:
            image = decode(out) if decode is not None else None
        except Exception:  # whatever a codec thinks of what came over the network
            logger.debug("%s: a picture cannot be decoded", self.name, exc_info=True)
            return None
        if image is not None:
            self.height, self.width = image.shape[:2]
        return image

    def close(self) -> None:
        """End the waiting."""
        with self._changed:
            self._closed = True
            self._waiting = None
            self._changed.notify_all()
