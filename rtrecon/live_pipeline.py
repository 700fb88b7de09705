"""The reconstruction on a worker thread, between a capture thread and the outputs."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rtrecon.capture.source import Source
from rtrecon.capture.thread import CaptureThread
from rtrecon.errors import RtreconError
from rtrecon.fanout import Fanout
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.output import Command, Output, Run
from rtrecon.result import Figures, LiveResult
from rtrecon.stats import FrameTimes, RunStats
from rtrecon.threads import ends_with, start_thread
from rtrecon.types import Frame

__all__ = ["FaceMaker", "LivePipeline"]

logger = logging.getLogger(__name__)

_MOST_FAILED = 10  # frames in a row after which the reconstruction does not work
_POLL_S = 0.1  # how soon a thread that waits notices that it is to end
_SPARING_S, _LOOK_S = 0.2, 0.003  # the longest time without a result that nobody wants; looks


class FaceMaker(Protocol):
    """What makes faces of frames on the worker: a `Reconstructor`, or what plays a take.

    `times` are those of the last call; the counts are since the start.
    """

    @property
    def model_facts(self) -> dict[str, Any]:
        """Of its ``model`` and ``provider`` the names, ``threads``, and ``ipd_mm``."""

    @property
    def times(self) -> FrameTimes:
        """Where the time of the last frame went."""

    @property
    def values_dropped(self) -> int:
        """As in `RunStats`."""

    @property
    def times_refused(self) -> int:
        """As in `RunStats`."""

    @property
    def depths_dropped(self) -> int:
        """As in `RunStats`."""

    @property
    def faces_without_depth(self) -> int:
        """As in `RunStats`."""

    def __call__(self, frame: Frame) -> Sequence[FaceReconstruction]:
        """The faces of ``frame``."""


class LivePipeline:
    """A capture thread, the reconstruction on a worker thread, and outputs for its results.

    Nothing queues: the capture thread keeps the newest frame, and each output has a slot of
    its own. The thread that enters it is the outputs' main thread: with a window among them it
    calls `tick` many times a second. It may take results too, by `take`.

    Args:
        source: an open source, read as a camera is; or a capture thread that was not started
            yet. The pipeline closes it.
        reconstructor: a `Reconstructor`; used by the worker alone while the pipeline runs.
        stats: where the worker records times and counts.
        outputs: opened on entry, closed on exit.
        keep_every_result: the worker waits until each result was taken.
        max_frames: end after this many frames.
        person: whose calibration outputs use; "": nobody's.
        sparing: results are for the outputs alone: while none of them wants one, only a few
            frames a second are reconstructed, and whoever shares the machine has its time.
    """

    def __init__(
        self,
        source: Source | CaptureThread,
        reconstructor: FaceMaker,
        stats: RunStats | None = None,
        *,
        outputs: Sequence[Output] = (),
        keep_every_result: bool = False,
        max_frames: int | None = None,
        person: str = "",
        sparing: bool = False,
    ) -> None:
        # The threads hold what they work on, not this: so that it is noticed when it is dropped.
        self._live = _Live(
            source if isinstance(source, CaptureThread) else CaptureThread(source),
            reconstructor,
            stats if stats is not None else RunStats(),
            Fanout(outputs),
            keep_every_result=keep_every_result,
            max_frames=max_frames,
            person=person,
            sparing=sparing,
        )
        self._was_closed: Callable[[], None] = lambda: None

    def __enter__(self) -> LivePipeline:
        self._live.start()
        self._was_closed = ends_with(self, "a LivePipeline", self._live.ask_to_end)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def capture(self) -> CaptureThread:
        """The thread that takes pictures."""
        return self._live.capture

    @property
    def stats(self) -> RunStats:
        """Times and counts of the run."""
        return self._live.stats

    @property
    def fanout(self) -> Fanout:
        """The outputs."""
        return self._live.fanout

    @property
    def run(self) -> Run:
        """What the outputs know of it."""
        return self._live.run

    @property
    def running(self) -> bool:
        """Whether the worker still has frames to come."""
        return self._live.running

    @property
    def latest(self) -> LiveResult | None:
        """The newest result so far, taken or not; None before the first."""
        return self._live.latest

    @property
    def latest_with_face(self) -> LiveResult | None:
        """The newest result so far that has a face."""
        return self._live.latest_with_face

    def take(self, timeout_s: float = 0.0) -> LiveResult | None:
        """The newest result that was not taken yet, or None within ``timeout_s``.

        Raises:
            RtreconError: what ended the worker or the capture thread.
        """
        return self._live.take(timeout_s)

    def tick(self) -> bool:
        """Serve the outputs of this thread; False when one of them ends the run."""
        return self._live.tick()

    def take_commands(self) -> list[Command]:
        """What outputs have asked for since the last call."""
        return self._live.take_commands()

    def figures(self, result: LiveResult) -> Figures:
        """Figures to show with ``result``."""
        return self._live.figures(result)

    def close(self) -> None:
        """End the threads and close the outputs; each says what it leaves behind."""
        self._was_closed()
        self._live.close()


class _Live:
    """What a `LivePipeline` consists of; its threads hold this."""

    def __init__(
        self,
        capture: CaptureThread,
        reconstructor: FaceMaker,
        stats: RunStats,
        fanout: Fanout,
        *,
        keep_every_result: bool,
        max_frames: int | None,
        person: str,
        sparing: bool,
    ) -> None:
        self.capture, self.stats, self.fanout = capture, stats, fanout
        self._reconstructor = reconstructor
        facts = reconstructor.model_facts
        self._model, self._provider = str(facts["model"]), str(facts["provider"])
        self._ipd_mm = float(facts["ipd_mm"])
        self._max_frames = max_frames
        self._is_sparing = sparing and not capture.gives_every_frame
        self._slot = _ResultSlot(newest_wins=not keep_every_result)
        self.latest: LiveResult | None = None
        self.latest_with_face: LiveResult | None = None
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self.run = self._make_run(person)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._frame_error: Exception | None = None
        self._failed_in_a_row = 0
        self._worker: threading.Thread | None = None

    def start(self) -> None:
        try:
            self.fanout.open(self.run)
            self.capture.start()
            self._worker = start_thread(self._work, name="rtrecon-worker")
        except BaseException:
            self.close()
            raise

    @property
    def running(self) -> bool:
        return self._worker is not None and self._worker.is_alive()

    def take(self, timeout_s: float) -> LiveResult | None:
        result = self._slot.take(timeout_s)
        if result is None and self._error is not None and not self.running:
            error, self._error = self._error, None
            raise error
        return result

    def tick(self) -> bool:
        start_ns = time.perf_counter_ns()
        goes_on = self.fanout.tick()
        if any(output.on_main_thread for output in self.fanout.open_outputs):
            self.stats.add_stage("view", time.perf_counter_ns() - start_ns)
        return goes_on

    def take_commands(self) -> list[Command]:
        commands = []
        while not self._commands.empty():
            commands.append(self._commands.get())
        return commands

    def figures(self, result: LiveResult) -> Figures:
        capture = self.capture.stats
        state: str = capture.state
        if state == "running":
            recorded = any(output.every_result for output in self.fanout.open_outputs)
            activity = "recording" if recorded else "running"
            state = activity if result.faces else "no face"
        return Figures(
            fps=self.stats.recent_fps,
            latency_ms=result.latency_ms,
            frames_dropped=capture.frames_dropped,
            model=self._model,
            provider=self._provider,
            state=state,
            frames=self.stats.frames_processed,
        )

    def ask_to_end(self) -> None:
        """Without waiting for anything."""
        self._stop.set()
        self._slot.close()
        self.capture.ask_to_end()
        self.fanout.ask_to_close()

    def close(self) -> None:
        self._stop.set()
        self._slot.close()
        self.capture.close()
        if self._worker is not None and self._worker.is_alive():
            self._worker.join(timeout=1.0)
        self.fanout.close()

    def _make_run(self, person: str) -> Run:
        source = self.capture.source
        return Run(
            source=source.name,
            width=source.width,
            height=source.height,
            rate_hz=source.rate_hz,
            is_live=source.is_live,
            device=source.device or source.name,
            person=person,
            paced=not self.capture.gives_every_frame,
            is_replay=source.is_recorded,
            calibration=source.calibration,
            has_pictures=source.has_pictures,
            model=self._model,
            provider=self._provider,
            ipd_mm=self._ipd_mm,
            state=lambda: self.capture.stats.state,
            figures=self.figures,
            ask=self._commands.put,
        )

    def _work(self) -> None:
        try:
            while not self._stop.is_set() and not self.fanout.is_exhausted:
                if self._max_frames and self.stats.frames_processed >= self._max_frames:
                    break
                if self._is_sparing:
                    self._await_demand()
                frame = self.capture.read(timeout_s=_POLL_S)
                if frame is None:
                    if self.capture.ended:
                        break
                    continue
                try:
                    self._process(frame)
                except Exception as error:
                    self._note_failure(frame, error)
            if self.stats.frames_processed == 0:
                self._error = self._frame_error  # not one of them could be reconstructed
        except RtreconError as error:
            self._error = error
        except Exception as error:  # reaches the caller of take(), whatever it is
            logger.debug("the worker failed", exc_info=True)
            self._error = error
        finally:
            self._stop.set()

    def _await_demand(self) -> None:
        """Until an output wants a result; not for long, so that faces are followed meanwhile."""
        until_s = time.monotonic() + _SPARING_S
        while time.monotonic() < until_s and not self.fanout.is_wanted and not self._stop.is_set():
            time.sleep(_LOOK_S)

    def _note_failure(self, frame: Frame, error: Exception) -> None:
        """A frame that fails is lost; after many in a row, ``error`` is raised."""
        self.stats.frames_failed += 1
        self._failed_in_a_row += 1
        self._frame_error = error
        if self._failed_in_a_row >= _MOST_FAILED:
            raise error
        level = logging.WARNING if self.stats.frames_failed == 1 else logging.DEBUG
        reason = str(error) if isinstance(error, RtreconError) else repr(error)
        logger.log(level, "frame %d failed: %s; going on, and counted", frame.index, reason)
        logger.debug("frame %d", frame.index, exc_info=error)

    def _process(self, frame: Frame) -> None:
        faces = self._reconstructor(frame)
        done_ns = time.monotonic_ns()
        stats, times = self.stats, self._reconstructor.times
        stats.add_times(times)
        stats.add_frame(frame.t_capture_ns, done_ns, has_face=bool(faces))
        stats.values_dropped = self._reconstructor.values_dropped
        stats.times_refused = self._reconstructor.times_refused
        stats.depths_dropped = self._reconstructor.depths_dropped
        stats.faces_without_depth = self._reconstructor.faces_without_depth
        result = LiveResult(frame, faces, (done_ns - frame.t_capture_ns) * 1e-6, times)
        self._failed_in_a_row = 0
        self.latest = result
        if faces:
            self.latest_with_face = result
        self.fanout.put(result)
        self._slot.put(result)


class _ResultSlot:
    """Where the worker leaves results: newest wins, or the worker waits for the reader."""

    def __init__(self, *, newest_wins: bool) -> None:
        self._newest_wins = newest_wins
        self._changed = threading.Condition()
        self._result: LiveResult | None = None
        self._closed = False

    def put(self, result: LiveResult) -> None:
        with self._changed:
            while not self._newest_wins and self._result is not None and not self._closed:
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
