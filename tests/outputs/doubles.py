"""Outputs that note what is done to them, and results to give them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from rtrecon.errors import OutputError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.output import Output, Run
from rtrecon.result import LiveResult
from rtrecon.types import Frame

PATIENCE_S = 20.0  # of a test that waits for another thread


def result(
    index: int, faces: Sequence[FaceReconstruction] = (), t_capture_ns: int | None = None
) -> LiveResult:
    image = np.full((48, 64, 3), index % 256, dtype=np.uint8)
    t_ns = time.monotonic_ns() if t_capture_ns is None else t_capture_ns
    return LiveResult(Frame(image, index, t_ns), faces, 5.0)


class Noted(Output):
    """Notes each call, its thread and the results; waits or fails where it is told to.

    ``gate``: each write waits for it. ``fails_at``: open, write or close.
    """

    name = "noted"

    def __init__(
        self, target: str = "", *, fails_at: str = "", every: bool = False, main: bool = False
    ) -> None:
        self._target, self._fails_at = target, fails_at
        self.every_result, self.on_main_thread = every, main
        self.calls: list[str] = []
        self.threads: set[str] = set()
        self.indices: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.wrote = threading.Condition()
        self.ends_run = False

    @property
    def target(self) -> str:
        return self._target

    def open(self, run: Run) -> None:
        self.run = run
        self._note("open")

    def write(self, result: LiveResult) -> None:
        self._note("write")
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        with self.wrote:
            self.indices.append(result.frame.index)
            self.wrote.notify_all()

    def tick(self) -> bool:
        self._note("tick")
        return not self.ends_run

    def close(self) -> None:
        self._note("close")

    def wait_for(self, index: int) -> None:
        """Until the result of this index was written."""
        with self.wrote:
            assert self.wrote.wait_for(lambda: index in self.indices, PATIENCE_S)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)
        if self._fails_at == call:
            raise OutputError(f"{call} of {self._target} failed")
