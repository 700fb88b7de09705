"""The reconstruction on a worker thread, between a capture thread and who takes its results."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field

from rtrecon.capture.thread import CaptureThread
from rtrecon.errors import RtreconError
from rtrecon.pipeline import Reconstructor
from rtrecon.result import LiveResult
from rtrecon.stats import RunStats
from rtrecon.types import Frame

__all__ = ["LivePipeline"]

logger = logging.getLogger(__name__)

_POLL_S = 0.1  # how soon a thread that waits notices that it is to end


@dataclass(slots=True)
class _ResultSlot:
    """Where the worker leaves results: newest wins, or the worker waits for the reader."""

    newest_wins: bool
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _result: LiveResult | None = None
    _closed: bool = False

    def put(self, result: LiveResult) -> None:
        with self._changed:
            while not self.newest_wins and self._result is not None and not self._closed:
                self._changed.wait()
            self._result = result
            self._changed.notify_all()

    def take(self, timeout_s: float) -> LiveResult | None:
        with self._changed:
            if self._result is None and not self._closed:
                self._changed.wait(timeout_s)
            result, self._result = self._result, None
            self._changed.notify_all()
            return result

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class LivePipeline:
    """A capture thread, the reconstruction on a worker thread, and a slot for its results.

    The caller's thread takes results with `take` and owns the views. Nothing queues:
    the capture thread keeps the newest frame, the slot the newest result.

    Args:
        capture: a capture thread, not yet started; the pipeline closes it.
        reconstructor: used by the worker alone while the pipeline runs.
        stats: where the worker records times and counts.
        keep_every_result: the worker waits until each result was taken (for recording).
        max_frames: end after this many frames.
    """

    def __init__(
        self,
        capture: CaptureThread,
        reconstructor: Reconstructor,
        stats: RunStats,
        *,
        keep_every_result: bool = False,
        max_frames: int | None = None,
    ) -> None:
        self.capture = capture
        self._reconstructor = reconstructor
        self._stats = stats
        self._max_frames = max_frames
        self._slot = _ResultSlot(newest_wins=not keep_every_result)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._worker = threading.Thread(target=self._work, name="rtrecon-worker", daemon=True)

    def __enter__(self) -> LivePipeline:
        self.capture.start()
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the worker still has frames to come."""
        return self._worker.is_alive()

    def take(self, timeout_s: float = 0.0) -> LiveResult | None:
        """The newest result that was not taken yet, or None within ``timeout_s``.

        Raises:
            RtreconError: what ended the worker or the capture thread.
        """
        result = self._slot.take(timeout_s)
        if result is None and self._error is not None and not self.running:
            error, self._error = self._error, None
            raise error
        return result

    def close(self) -> None:
        """End both threads; returns within a second."""
        self._stop.set()
        self._slot.close()
        self.capture.close()
        if self._worker.is_alive():
            self._worker.join(timeout=1.0)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                if self._max_frames and self._stats.frames_processed >= self._max_frames:
                    break
                frame = self.capture.read(timeout_s=_POLL_S)
                if frame is None:
                    if self.capture.ended:
                        break
                    continue
                self._process(frame)
        except RtreconError as error:
            self._error = error
        except Exception as error:  # reaches the caller of take(), whatever it is
            logger.debug("the worker failed", exc_info=True)
            self._error = error
        finally:
            self._stop.set()

    def _process(self, frame: Frame) -> None:
        faces = self._reconstructor(frame)
        done_ns = time.monotonic_ns()
        stats, times = self._stats, self._reconstructor.times
        for stage in ("detect", "track", "align", "depth", "geometry"):
            duration_ns = getattr(times, stage)
            if duration_ns:
                stats.add_stage(stage, duration_ns)
        stats.add_frame(frame.t_capture_ns, done_ns, has_face=bool(faces))
        stats.values_dropped = self._reconstructor.values_dropped
        latency_ms = (done_ns - frame.t_capture_ns) * 1e-6
        self._slot.put(LiveResult(frame, faces, latency_ms))
