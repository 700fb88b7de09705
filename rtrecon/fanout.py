"""Results to many outputs at once: one slot and one thread for each, none waits for another."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from rtrecon.errors import NoOutputError, RtreconError, UserError
from rtrecon.output import Output, Run
from rtrecon.result import LiveResult
from rtrecon.stats import Samples
from rtrecon.threads import start_thread

__all__ = ["Fanout"]

logger = logging.getLogger(__name__)

_OPEN_TIMEOUT_S = 15.0
_STUCK_S = 30.0  # a write that takes so long does not come back
_POLL_S = 0.1


class Fanout:
    """Hands every result to all outputs, and keeps each from the others.

    The newest result wins in each output's slot; for an output that wants every result of
    frames that are not paced, and for all but views while a take is played, the worker waits. The
    first error of an output is said and ends it, the others go on.

    `open`, `tick`, `add`, `remove` and `close` belong on one thread, the main thread if a
    window is among the outputs; `put` is the worker's.
    """

    def __init__(self, outputs: Sequence[Output] = ()) -> None:
        self._outputs = outputs
        self._run = Run()
        self._lanes: tuple[_Lane, ...] = ()
        self._by_patience: tuple[_Lane, ...] = ()

    def open(self, run: Run) -> None:
        """Open all outputs, side by side; those that cannot be are said and left out.

        Raises:
            NoOutputError: not one of them can be opened.
        """
        self._run = run
        lanes = [_Lane(output, run) for output in self._outputs]
        self._start(lanes)
        failed = [lane for lane in lanes if lane.failure]
        if lanes and len(failed) == len(lanes):
            reasons = "; ".join(f"{lane.label}: {lane.failure}" for lane in failed)
            raise NoOutputError(f"no output can be opened: {reasons}")
        for lane in failed:
            logger.error("output %s: %s", lane.label, lane.failure)

    def put(self, result: LiveResult) -> None:
        """Leave ``result`` for every output."""
        for lane in self._by_patience:
            lane.offer(result)

    def tick(self) -> bool:
        """Write to the outputs of this thread and let them handle events; False ends the run."""
        goes_on = True
        for lane in self._lanes:
            if lane.output.on_main_thread:
                goes_on &= lane.tick()
        return goes_on

    def add(self, output: Output) -> bool:
        """Open another output while the run goes on; whether that worked (why not is said)."""
        lane = _Lane(output, self._run)
        self._start([lane])
        if lane.failure:
            logger.error("output %s: %s", lane.label, lane.failure)
        return not lane.failure

    def remove(self, output: Output) -> None:
        """Close one output, in its own time; what waits in its slot is written."""
        for lane in self._lanes:
            if lane.output is output:
                lane.ask_to_close()

    def ask_to_close(self) -> None:
        """Those with a thread of their own are to close; does not wait for them."""
        for lane in self._lanes:
            if not lane.output.on_main_thread:
                lane.ask_to_close()

    def close(self) -> None:
        """Close all outputs, once, each on the thread that wrote.

        What waits is written. One that does not end in its time is said and left as it is.
        """
        start_s = time.monotonic()
        for lane in self._lanes:
            lane.ask_to_close()
        for lane in self._lanes:
            lane.join(start_s)

    @property
    def open_outputs(self) -> list[Output]:
        """Those that results go to now."""
        return [lane.output for lane in self._lanes if lane.takes_results]

    @property
    def is_wanted(self) -> bool:
        """Whether some output would use a result now, or will have to say so first."""
        open_lanes = [lane for lane in self._lanes if lane.takes_results]
        return not open_lanes or any(lane.output.wants_result() for lane in open_lanes)

    @property
    def is_exhausted(self) -> bool:
        """Whether there were outputs, and the last of them has failed."""
        return bool(self._lanes) and all(lane.failure for lane in self._lanes)

    @property
    def has_failed(self) -> bool:
        """Whether any output has failed so far."""
        return any(lane.errors for lane in self._lanes)

    def summary(self) -> list[dict[str, Any]]:
        """``outputs`` of the ``--stats`` object."""
        return [lane.summary() for lane in self._lanes]

    def _start(self, lanes: Sequence[_Lane]) -> None:
        deadline_s = time.monotonic() + _OPEN_TIMEOUT_S
        for lane in lanes:
            lane.start(self._run)
        for lane in lanes:
            lane.wait_until_open(deadline_s)
        self._lanes = (*self._lanes, *lanes)
        # Those that make the worker wait come last: the others have their result by then.
        self._by_patience = tuple(sorted(self._lanes, key=lambda lane: lane.every))


class _Lane:
    """One output with its slot, its counts and, unless it is the main thread's, its thread."""

    def __init__(self, output: Output, run: Run) -> None:
        self.output = output
        self.every = _wants_every(output, run)
        self.name = output.name or type(output).__name__
        self.label = f"{self.name}:{output.target}" if output.target else self.name
        self.written = self.dropped = self.errors = 0
        self.latency_ms = Samples(1 << 12)
        self.failure = ""  # the first error
        self._changed = threading.Condition()
        self._slot: LiveResult | None = None
        self._is_open = False
        self._closing = False
        self._was_opened = threading.Event()  # or has failed to
        self._writing_since_s = 0.0
        self._thread: threading.Thread | None = None

    @property
    def takes_results(self) -> bool:
        return self._is_open and not self._closing and not self.failure

    def summary(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "target": self.output.target,
            "written": self.written,
            "dropped": self.dropped,
            "errors": self.errors,
            "latency_ms": self.latency_ms.percentiles(),
            **self.output.counts(),
        }

    def offer(self, result: LiveResult) -> None:
        """On the worker: fill the slot; replace what is in it, or wait until it was written."""
        self._note_if_stuck()
        with self._changed:
            while self.every and self._slot is not None and self.takes_results:
                self._changed.wait(_POLL_S)
                self._note_if_stuck()
            if not self.takes_results:
                return
            if self._slot is not None:
                self.dropped += 1
            self._slot = result
            self._changed.notify_all()

    def start(self, run: Run) -> None:
        """Open the output, here or on a thread of its own."""
        if self.output.on_main_thread:
            self._open(run)
            return
        try:
            self._thread = start_thread(self._serve, run, name=f"rtrecon-out-{self.name}")
        except RtreconError as error:
            self._fail(str(error), error)
            self._was_opened.set()

    def wait_until_open(self, deadline_s: float) -> None:
        if not self._was_opened.wait(max(0.0, deadline_s - time.monotonic())):
            self._fail(f"it does not open within {_OPEN_TIMEOUT_S:g} s: given up")

    def tick(self) -> bool:
        """On the main thread: write what waits, handle events; False ends the run."""
        if not self.takes_results:
            return True
        with self._changed:
            result, self._slot = self._slot, None
        if result is not None:
            self._write(result)
        try:
            return not self.takes_results or self.output.tick()
        except Exception as error:
            self._fail(_reason(error), error)
            return True
        finally:
            if self.failure:
                self._close()

    def ask_to_close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is None:
            result, self._slot = self._slot, None
            if result is not None and self._is_open and not self.failure:
                self._write(result)
            self._close()

    def join(self, start_s: float) -> None:
        """Wait until it is closed, for as long as that may take; say so if it is not."""
        if self._thread is None:
            return
        limit_s = self.output.close_timeout_s
        self._thread.join(max(0.0, start_s + limit_s - time.monotonic()))
        if self._thread.is_alive() and not self.failure:
            self._fail(f"it does not end within {limit_s:g} s: left as it is")

    def _serve(self, run: Run) -> None:
        try:
            self._open(run)
            while (result := self._next()) is not None:
                self._write(result)
        except BaseException as error:  # such as sys.exit() in an output: the others wait for it
            self._fail(f"its thread ended: {error!r}", error)
        finally:
            self._was_opened.set()
            self._close()

    def _open(self, run: Run) -> None:
        try:
            if self.output.needs_pictures and not run.has_pictures:
                raise UserError(
                    f"it needs the pictures of {run.source}, which has none: record with video=1, "
                    "or take outputs for avatars, csv, or take with video=0"
                )
            self.output.open(run)
        except Exception as error:
            self._fail(_reason(error), error)
        else:
            self._is_open = True
        self._was_opened.set()

    def _next(self) -> LiveResult | None:
        """The next result to write; None when there is none left."""
        with self._changed:
            while self._slot is None and self.takes_results:
                self._changed.wait()
            result, self._slot = self._slot, None
            self._changed.notify_all()
            return result

    def _write(self, result: LiveResult) -> None:
        self._writing_since_s = time.monotonic()
        try:
            self.output.write(result)
        except Exception as error:
            self._fail(_reason(error), error)
        else:
            self.written += 1
            self.latency_ms.add((time.monotonic_ns() - result.frame.t_capture_ns) * 1e-6)
        finally:
            self._writing_since_s = 0.0

    def _close(self) -> None:
        """Close the output if it was opened, once."""
        with self._changed:
            was_open, self._is_open = self._is_open, False
        if was_open:
            try:
                self.output.close()
            except Exception as error:
                self._fail(_reason(error), error)

    def _note_if_stuck(self) -> None:
        since_s = self._writing_since_s
        if since_s and not self.failure and time.monotonic() - since_s > _STUCK_S:
            self._fail(f"it has been writing one result for {_STUCK_S:g} s: given up")

    def _fail(self, reason: str, error: BaseException | None = None) -> None:
        """Count an error; say the first, unless it is of opening, which the fanout says."""
        with self._changed:
            first = not self.failure
            self.failure = self.failure or reason
            self.errors += 1
            self._slot = None
            self._changed.notify_all()
        if first and self._was_opened.is_set():
            logger.error("output %s: %s", self.label, reason)
        logger.debug("output %s: %s", self.label, reason, exc_info=error)


def _wants_every(output: Output, run: Run) -> bool:
    """Whether the worker waits for ``output`` rather than replace what it has not written yet."""
    if run.is_replay:  # the same again, each time: but nobody is made to look at all of it
        return output.every_result or not (output.is_view or output.on_main_thread)
    return output.every_result and not run.paced


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, RtreconError) else f"it failed: {error!r}"
