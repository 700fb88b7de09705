"""The parent's end of a measured process: start it, ask it, hold it still, end it."""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from rtrecon.bench.combination import Combination
from rtrecon.errors import RtreconError

__all__ = ["ChildError", "MeasuredProcess"]

logger = logging.getLogger(__name__)

_START_TIMEOUT_S = 1800.0  # TensorRT may build an engine first
_PACKAGE_FOLDER = Path(__file__).resolve().parents[2]


class ChildError(RtreconError):
    """A combination cannot be measured; the message says why."""


class MeasuredProcess:
    """One combination in a process of its own, stopped whenever it is not being measured.

    It is started at once and answers when its first frame is reconstructed.

    Args:
        combination: what to measure.
        pictures: .npy file with its pictures.
        rate_hz: of the camera at whose pace it is measured.
        debug: show tracebacks of its errors.

    Raises:
        ChildError: the combination does not work.
    """

    def __init__(
        self, combination: Combination, pictures: Path, rate_hz: float, *, debug: bool = False
    ) -> None:
        self._debug = debug
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed in `close`)
        self._answers: queue.Queue[str] = queue.Queue()
        environment = dict(os.environ)
        path = environment.get("PYTHONPATH", "")
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_PACKAGE_FOLDER), path]))
        spawned_ns = time.monotonic_ns()
        # A group of its own: Ctrl-C reaches the parent alone, which ends it. Its session is the
        # parent's, so that the system ends it, stopped or not, if the parent is killed.
        own_group: dict[str, Any] = (
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"process_group": 0}
        )
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rtrecon.bench.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=environment,
            **own_group,
        )
        self._handle = psutil.Process(self._process.pid)
        self._stopped = False
        threading.Thread(target=self._listen, name="bench-answers", daemon=True).start()
        try:
            self.started = self._ask(
                {
                    **combination.as_dict(),
                    "pictures": str(pictures),
                    "rate_hz": rate_hz,
                    "spawned_ns": spawned_ns,
                },
                _START_TIMEOUT_S,
            )
            self._hold()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def ask(self, do: str, timeout_s: float, **arguments: Any) -> dict[str, Any]:
        """Let it run, do one thing, and hold it still again.

        Raises:
            ChildError: it failed, ended, or gave no answer within ``timeout_s``.
        """
        self._release()
        try:
            return self._ask({"do": do, **arguments}, timeout_s)
        finally:
            self._hold()

    def cpu_s(self) -> float:
        """Processor seconds that it has used so far; NaN once it has ended."""
        try:
            times = self._handle.cpu_times()
        except psutil.Error:
            return float("nan")
        return float(times.user + times.system)

    def close(self) -> None:
        """End it and let go of everything."""
        if self._process.poll() is None:
            self._process.kill()  # ends a stopped process too
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # what was not read any more is lost with it
        self._log.close()

    def _ask(self, message: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({**message, "debug": self._debug}) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise ChildError(f"it gave no answer in {timeout_s:.0f} s") from None
        except OSError:
            line = ""
        if not line:
            raise ChildError(self._why_ended())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            if self._debug:
                logger.debug("%s", self._last_words(40))
            raise ChildError(answer["error"])
        return answer

    def _listen(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            for line in stdout:
                self._answers.put(line)
        except (OSError, ValueError):
            pass  # closed under our hands: the end as well
        self._answers.put("")

    def _why_ended(self) -> str:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        words = self._last_words(1)
        return f"its process {how}{f': {words}' if words else ''}"

    def _last_words(self, lines: int) -> str:
        self._log.seek(0)
        text = self._log.read().decode("utf-8", "replace").strip()
        return "\n".join(text.splitlines()[-lines:])

    def _hold(self) -> None:
        """Not even a thread that spins while it waits may take time from the next one."""
        try:
            self._handle.suspend()
        except psutil.Error:
            return  # it has ended: the next question says so
        self._stopped = True

    def _release(self) -> None:
        if self._stopped:
            try:
                self._handle.resume()
            except psutil.Error:
                return
            self._stopped = False
