"""Signals to real processes: while they start, while they run, while something hangs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")

PATIENCE_S = 90.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]


def begin(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:
        return subprocess.Popen(
            command,
            stderr=said,
            stdout=said,
            # What a shell began in the background ignores Ctrl-C, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )


def run_of(model: Path, *options: object) -> list[str]:
    return [
        sys.executable, "-m", "rtrecon", "run", "demo", "--loop", "--view", "none",
        "--model", str(model), "--threads", "1", *map(str, options),
    ]  # fmt: skip


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Nothing is left of it, whatever a test finds."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, "it has ended"
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError("waited in vain")
        time.sleep(0.02)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(
    "after_s", [0.15, 0.6, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.3, 1.0, 1.5, 2.5))]
)
def test_a_signal_during_the_start(
    after_s: float, number: signal.Signals, dome_model: Path, tmp_path: Path
) -> None:
    """Wherever it meets the start: it ends, without a traceback or a half file."""
    log, stats = tmp_path / "said.txt", tmp_path / "stats.json"
    process = begin(run_of(dome_model, "--stats", stats), log)
    time.sleep(after_s)
    process.send_signal(number)
    with ended(process):
        process.wait(timeout=PATIENCE_S)
    said = log.read_text(encoding="utf-8")
    # Before Python has begun to look, the signal's own default ends it, or Python's words.
    assert process.returncode in (0, 1, 130, -number), said
    if "rtrecon:" in said:  # from there on it is ours
        assert process.returncode in (0, 130, -number), said
    if stats.exists():
        assert json.loads(stats.read_text(encoding="utf-8"))["frames_processed"] >= 0


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_the_run(number: signal.Signals, dome_model: Path, tmp_path: Path) -> None:
    log, stats = tmp_path / "said.txt", tmp_path / "stats.json"
    process = begin(run_of(dome_model, "--stats", stats), log)
    wait_for(lambda: "60 degrees" in log.read_text(encoding="utf-8"), process)
    with ended(process):
        process.send_signal(number)
        assert process.wait(timeout=PATIENCE_S) == 0
    said = log.read_text(encoding="utf-8")
    assert "interrupted: ending" in said
    assert "a face in" in said
    assert "Traceback" not in said
    assert json.loads(stats.read_text(encoding="utf-8"))["capture"]["state"] == "running"


HANGS = {
    "the network": """
        from rtrecon.depth.model import DepthModel
        DepthModel.predict = lambda *_: hang()
    """,
    "the camera": """
        from rtrecon.capture.films import FileSource
        grab, seen = FileSource.grab, []
        def late(self):
            seen.append(1)
            return hang() if len(seen) > 5 else grab(self)
        FileSource.grab = late
    """,
    "an output": """
        from rtrecon.outputs.record import RecordOutput
        RecordOutput.write = lambda *_: hang()
    """,
    "the end of an output": """
        from rtrecon.outputs.record import RecordOutput
        RecordOutput.close = lambda *_: hang()
        RecordOutput.close_timeout_s = 1.0
    """,
}


@pytest.mark.parametrize("what", HANGS)
def test_a_signal_ends_a_run_in_which_something_hangs(
    what: str, dome_model: Path, tmp_path: Path
) -> None:
    """Within a driver, without Python's lock: the process ends, with stats, and does not abort."""
    log, stats = tmp_path / "said.txt", tmp_path / "stats.json"
    code = (
        textwrap.dedent("""
        import ctypes, sys, time
        def hang():
            print("it hangs", flush=True)
            while True:
                ctypes.CDLL(None).usleep(500_000)
    """)
        + textwrap.dedent(HANGS[what])
        + "\nfrom rtrecon.cli import entry\nentry()\n"
    )
    command = run_of(dome_model, "--stats", stats, "--record", tmp_path / "take", "--every-frame")
    process = begin([sys.executable, "-c", code, *command[3:]], log)
    words = "60 degrees" if what == "the end of an output" else "it hangs"
    wait_for(lambda: words in log.read_text(encoding="utf-8"), process)
    with ended(process):
        process.send_signal(signal.SIGTERM)
        code_ = process.wait(timeout=PATIENCE_S)
    said = log.read_text(encoding="utf-8")
    assert code_ == (1 if "output" in what else 0), said
    assert "Traceback" not in said
    assert "terminate called" not in said
    if "output" in what:
        assert "left as it is" in said or "given up" in said
    summary = json.loads(stats.read_text(encoding="utf-8"))
    assert summary["outputs"][0]["errors"] == (1 if "output" in what else 0)
