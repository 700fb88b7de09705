"""The thread that takes pictures: newest wins, drops are counted, lost cameras come back."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rtrecon.buffers import BufferPool
from rtrecon.capture.source import Source
from rtrecon.errors import RtreconError, SourceLostError
from rtrecon.stats import Samples
from rtrecon.threads import ends_at_exit, start_thread
from rtrecon.types import BgrImage, Frame

__all__ = ["CaptureStats", "CaptureThread"]

logger = logging.getLogger(__name__)

_WATCH_S = 0.05
_FIRST_BACKOFF_S, _LAST_BACKOFF_S = 0.5, 8.0
_GIVE_UP_S = 30.0  # of a stream; a camera is plugged in again
_MOST_HANGING = 2  # readers that hang in a driver: no more are added to them


@dataclass(slots=True)
class CaptureStats:
    """Counts since the start; ``state`` is running, reconnecting, ended or failed."""

    frames_captured: int = 0
    frames_dropped: int = 0
    frames_corrupt: int = 0
    reconnects: int = 0
    state: Literal["running", "reconnecting", "ended", "failed"] = "running"
    capture_ms: Samples = field(default_factory=Samples)


class CaptureThread:
    """Reads a source on a thread of its own, into memory that is used again.

    Args:
        source: an open source; this thread reads it alone from `start` on.
        policy: ``newest``: the reader never waits, an unread picture is replaced and counted
            as dropped. ``every``: nothing is dropped, the reader waits for the consumer.
        pace: a source that is not live plays at its own rate instead of as fast as it can.
        slots: pictures whose memory is kept. What the consumer still holds, by the picture or
            any view of it, is never written.
        stall_timeout_s: a live source that gives nothing new for so long is opened again.
        give_up_s: how long to try that; None: for ever. Streams, which end, give up by
            default after 30 s, cameras, which are plugged in again, never.
    """

    def __init__(
        self,
        source: Source,
        *,
        policy: Literal["newest", "every"] = "newest",
        pace: bool = True,
        slots: int = 6,
        stall_timeout_s: float = 3.0,
        give_up_s: float | None = None,
    ) -> None:
        self._source = source
        self._every = policy == "every" and not source.is_live
        is_timed = source.has_times or source.rate_hz is not None
        self._pace = pace and not source.is_live and is_timed
        self._stall_ns = int(stall_timeout_s * 1e9)
        self._give_up_s = give_up_s
        self._pool = BufferPool(keep=slots)
        self._shape: tuple[int, ...] = (max(source.height, 1), max(source.width, 1), 3)
        self._changed = threading.Condition()
        self._pending: deque[Frame] = deque()
        self._most_pending = max(1, slots - 3) if self._every else 1
        self._stop = threading.Event()
        self._error: RtreconError | None = None
        self._generation = 0
        self._failure = ""
        self._index = 0
        self._t_picture_ns = time.monotonic_ns()
        self._t_changed_ns = self._t_picture_ns
        # Of the loss that goes on: until a picture comes, whatever opens and stays silent.
        self._lost_since_ns: int | None = None
        self._backoff_s = _FIRST_BACKOFF_S
        self._fingerprint = b""
        self._accepts_repeats = False
        self._reader: threading.Thread | None = None
        self._hanging: list[threading.Thread] = []  # readers that were given up
        self._watcher: threading.Thread | None = None
        self.stats = CaptureStats()

    def start(self) -> None:
        """Begin to read.

        Raises:
            RtreconError: the system gives no more threads; the source is closed.
        """
        self._t_picture_ns = self._t_changed_ns = time.monotonic_ns()
        ends_at_exit(self.ask_to_end)
        try:
            self._start_reader(self._source)
            if self._source.is_live and not self._source.waits:
                self._watcher = start_thread(self._watch, name="rtrecon-capture-watch")
        except RtreconError:
            self.close()
            _let_go(self._source)
            raise

    def read(self, timeout_s: float) -> Frame | None:
        """The newest unread frame (``every``: the next); None within ``timeout_s`` or at the end.

        Raises:
            RtreconError: what ended the source, once; `ended` is true from then on.
        """
        with self._changed:
            if not self._pending and not self.ended:
                self._changed.wait(timeout_s)
            if self._pending:
                frame = self._pending.popleft()
                self._changed.notify_all()
                return frame
            error, self._error = self._error, None
        if error is not None:
            raise error
        return None

    @property
    def source(self) -> Source:
        """What is read now; another object after a reconnect."""
        return self._source

    @property
    def gives_every_frame(self) -> bool:
        """Whether nothing is dropped, and the reader waits for the consumer."""
        return self._every

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to come; unread frames may still be there."""
        return self.stats.state in ("ended", "failed") and not self._pending

    def ask_to_end(self) -> None:
        """The threads are to end; does not wait for them."""
        self._stop.set()
        if self._source.waits:
            self._source.close()  # nothing else would end the waiting
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """End the threads; returns within a second even if the device hangs."""
        self.ask_to_end()
        for thread in (self._watcher, self._reader):
            if thread is not None and thread is not threading.current_thread():
                thread.join(timeout=0.4)

    def _start_reader(self, source: Source) -> None:
        self._generation += 1
        self._failure = ""
        self._reader = start_thread(
            self._read_all, source, self._generation, name="rtrecon-capture"
        )
        self._source = source

    def _read_all(self, source: Source, generation: int) -> None:
        """Read until the end, a failure, or until another reader has taken over."""
        try:
            start_ns, played = time.monotonic_ns(), 0
            while not self._stop.is_set() and generation == self._generation:
                if self._pace and not source.has_times and source.rate_hz is not None:
                    if not self._wait_until(start_ns + int(played / source.rate_hz * 1e9)):
                        return
                    played += 1
                if not source.grab():
                    if not source.is_live:
                        self._finish("ended")
                    elif generation == self._generation:
                        self._failure = "it gives no pictures"
                    return
                if self._pace and source.has_times and source.t_media_ns is not None:
                    # Its own times, which need not be even: a picture is shown when it is due.
                    start_ns = start_ns if played else time.monotonic_ns() - source.t_media_ns
                    played += 1
                    if not self._wait_until(start_ns + source.t_media_ns):
                        return
                t_grab_ns = time.monotonic_ns()
                t_capture_ns = source.t_capture_ns or t_grab_ns
                image = self._retrieve(source)
                if generation != self._generation:
                    return
                self.stats.capture_ms.add((time.monotonic_ns() - t_grab_ns) * 1e-6)
                if image is None:
                    source.note_corrupt()
                    self.stats.frames_corrupt += 1
                    continue
                self._deliver(source, image, t_capture_ns)
        except Exception as error:
            logger.debug("the reader failed", exc_info=True)
            if generation != self._generation:
                return  # nobody waits for this one any more
            if source.is_live:  # what fails may work when it is opened again
                self._failure = str(error) if isinstance(error, RtreconError) else repr(error)
            else:
                self._fail(error)
        finally:
            _let_go(source)

    def _wait_until(self, due_ns: int) -> bool:
        """False if it is to stop before."""
        return not self._stop.wait(max(0, due_ns - time.monotonic_ns()) * 1e-9)

    def _retrieve(self, source: Source) -> BgrImage | None:
        image = source.retrieve(self._pool.take(self._shape, np.uint8))
        if image is not None:
            self._shape = image.shape  # a source may change its size
        return image

    def _deliver(self, source: Source, image: BgrImage, t_capture_ns: int) -> None:
        if source.is_live:
            self._note_change(image, t_capture_ns)
        index = self._index if source.index is None else source.index
        frame = Frame(image, index, t_capture_ns, source.intrinsics, source.t_media_ns)
        self._index += 1
        with self._changed:
            if self._every:
                while len(self._pending) >= self._most_pending and not self._stop.is_set():
                    self._changed.wait(0.1)
            elif self._pending:
                self._pending.clear()
                self.stats.frames_dropped += 1
            self._pending.append(frame)
            self.stats.frames_captured += 1
            if self.stats.state == "reconnecting":
                logger.info("%s is back", source.name)
            self.stats.state = "running"
            self._t_picture_ns = t_capture_ns
            self._lost_since_ns = None
            self._backoff_s = _FIRST_BACKOFF_S
            self._changed.notify_all()

    def _note_change(self, image: BgrImage, t_ns: int) -> None:
        fingerprint = image[::16, ::16].tobytes()
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._t_changed_ns = t_ns
            self._accepts_repeats = False

    def _watch(self) -> None:
        """Notice a live source that failed, stalled or repeats itself, and open it again."""
        try:
            while not self._stop.wait(_WATCH_S):
                if self.stats.state == "failed":
                    return
                now_ns = time.monotonic_ns()
                reason = self._failure
                if not reason and now_ns - self._t_picture_ns > self._stall_ns:
                    reason = f"no picture for {self._stall_ns / 1e9:g} s"
                if (
                    not reason
                    and not self._accepts_repeats
                    and now_ns - self._t_changed_ns > 2 * self._stall_ns
                ):
                    reason = "it repeats one picture"
                    self._accepts_repeats = True  # a still scene without noise: not twice
                if reason:
                    self._reconnect(reason)
        except Exception as error:  # without its watch a run would hang where the source does
            logger.debug("the watch failed", exc_info=True)
            self._generation += 1
            self._fail(error)

    def _reconnect(self, reason: str) -> None:
        source = self._source
        logger.warning("%s: %s; opening it again", source.name, reason)
        self.stats.state = "reconnecting"
        self._generation += 1  # whatever the old reader still gets is not wanted
        if self._reader is not None:
            self._reader.join(timeout=0.3)
            self._hanging.append(self._reader)
        if self._lost_since_ns is None:
            self._lost_since_ns = self._t_picture_ns
        give_up_s = self._give_up_s
        if give_up_s is None and not source.name.startswith("camera"):
            give_up_s = _GIVE_UP_S
        lost_since_ns, failure = self._lost_since_ns, "it opens and gives no picture"
        while not self._stop.is_set():
            waited_s = (time.monotonic_ns() - lost_since_ns) * 1e-9
            if give_up_s is not None and waited_s + self._backoff_s > give_up_s:
                raise SourceLostError(
                    f"{source.name} was lost ({reason}) and did not come back in "
                    f"{waited_s:.0f} s: {failure}"
                )
            try:
                self._open_again(source)
            except Exception as error:  # whatever it is: it is not back yet
                logger.debug("%s is not back", source.name, exc_info=True)
                failure = str(error) if isinstance(error, RtreconError) else repr(error)
                self._back_off(self._backoff_s)
                continue
            self.stats.reconnects += 1
            # A device that opens but stays silent must not be opened in a tight loop.
            self._back_off(min(self._backoff_s, self._stall_ns * 1e-9))
            return

    def _open_again(self, source: Source) -> None:
        """Open it and start to read; whatever is raised, nothing is left behind."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= _MOST_HANGING:
            raise SourceLostError(f"{len(self._hanging)} reads of it hang in the driver")
        opened = source.again()
        try:
            if self._stop.is_set():
                raise SourceLostError("the run ends")
            self._t_picture_ns = self._t_changed_ns = time.monotonic_ns()
            self._start_reader(opened)
        except BaseException:
            _let_go(opened)
            raise

    def _back_off(self, seconds: float) -> None:
        self._backoff_s = min(2 * self._backoff_s, _LAST_BACKOFF_S)
        self._stop.wait(seconds)

    def _fail(self, error: Exception) -> None:
        """End with ``error``, which reaches the caller of `read`."""
        if isinstance(error, RtreconError):
            self._error = error
        else:
            self._error = SourceLostError(f"{self._source.name} failed: {error!r}")
        self._finish("failed")

    def _finish(self, state: Literal["ended", "failed"]) -> None:
        with self._changed:
            self.stats.state = state
            self._changed.notify_all()


def _let_go(source: Source) -> None:
    """Close it; one that cannot even be closed has been reported by what failed before."""
    try:
        source.close()
    except Exception:
        logger.debug("%s cannot be closed", source.name, exc_info=True)
