"""Threads that die, cannot be started, are forgotten, or hang where the process ends."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import rtrecon
from rtrecon.errors import ModelError, RtreconError
from rtrecon.live_pipeline import LivePipeline
from rtrecon.pipeline import Reconstructor
from tests.capture.test_thread import Scripted, pictures, wait_for
from tests.outputs.doubles import PATIENCE_S, Noted


@pytest.fixture
def recon(dome_model: Path) -> Reconstructor:
    return Reconstructor(model=dome_model, provider="cpu", threads=1)


def ours() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("rtrecon-")]


def endless() -> Scripted:
    return Scripted(pictures(1_000_000, 0.002))


def failing(recon: Reconstructor, at: Callable[[int], bool]) -> None:
    """Let the network of ``recon`` raise in the runs for which ``at`` is true."""
    predict, runs = recon.depth_model.predict, iter(range(10**6))

    def wrong(*arguments: object) -> object:
        if at(next(runs)):
            raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")
        return predict(*arguments)  # type: ignore[arg-type]

    recon.depth_model.predict = wrong  # type: ignore[method-assign, assignment]


def test_a_network_that_fails_once_loses_that_frame(
    recon: Reconstructor, caplog: pytest.LogCaptureFixture
) -> None:
    failing(recon, lambda run: run == 5)
    noted = Noted("all", every=True)
    with (
        caplog.at_level(logging.WARNING, "rtrecon"),
        rtrecon.live("demo", outputs=[noted], reconstructor=recon, max_frames=20) as session,
    ):
        session.wait()
    assert noted.indices == [k for k in range(21) if k != 5]
    stats = session.stats()
    assert stats["frames_processed"] == 20
    assert stats["frames_failed"] == 1
    assert "frame 5 failed" in caplog.text
    assert "CUDNN" in caplog.text
    assert not session.has_failed


def test_every_third_frame_fails_and_it_is_said_once(
    recon: Reconstructor, caplog: pytest.LogCaptureFixture
) -> None:
    failing(recon, lambda run: run % 3 == 2)
    with (
        caplog.at_level(logging.WARNING, "rtrecon"),
        rtrecon.live("demo", reconstructor=recon, every_frame=True, max_frames=20) as session,
    ):
        session.wait()
    assert session.stats()["frames_failed"] >= 9
    assert caplog.text.count("failed") == 1


def test_a_network_that_fails_for_good_ends_the_run_with_its_reason(recon: Reconstructor) -> None:
    failing(recon, lambda run: run >= 5)
    noted = Noted("all", every=True)
    with rtrecon.live("demo", outputs=[noted], reconstructor=recon) as session:
        with pytest.raises(RuntimeError, match="CUDNN"):
            session.wait()
        assert session.stats()["frames_failed"] == 10
    assert noted.calls[-1] == "close"
    assert noted.indices == [0, 1, 2, 3, 4]


def test_a_short_film_of_which_no_frame_works_is_a_failure(recon: Reconstructor) -> None:
    def wrong(*_: object) -> object:
        raise ModelError("it gave nothing")

    recon.depth_model.predict = wrong  # type: ignore[method-assign, assignment]
    with rtrecon.open_source("demo") as clip:
        picture = next(iter(clip)).image
    source = Scripted(pictures(3), live=False)
    source.retrieve = lambda out=None: picture.copy()  # type: ignore[method-assign]
    with (
        rtrecon.live(source, reconstructor=recon, every_frame=True) as session,
        pytest.raises(ModelError, match="it gave nothing"),
    ):
        session.wait()


def test_an_output_whose_thread_ends_does_not_hold_the_others(
    recon: Reconstructor, caplog: pytest.LogCaptureFixture
) -> None:
    class Exits(Noted):
        name = "exits"

        def write(self, result: rtrecon.LiveResult) -> None:
            super().write(result)
            sys.exit(3)

    exits, stays = Exits("gone", every=True), Noted("stays", every=True)
    with rtrecon.live(
        "demo", outputs=[exits, stays], reconstructor=recon, max_frames=15
    ) as session:
        session.wait()
    assert stays.indices == list(range(15))
    assert exits.calls == ["open", "write", "close"]
    assert session.has_failed
    assert "output exits:gone" in caplog.text
    assert session.stats()["outputs"][0]["errors"] == 1


def test_an_output_whose_thread_cannot_be_started(
    recon: Reconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def unstartable(self: threading.Thread) -> None:
        if self.name == "rtrecon-out-noted":
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", unstartable)
    session = rtrecon.live("demo", outputs=[Noted("a")], reconstructor=recon, max_frames=5)
    with pytest.raises(rtrecon.NoOutputError, match="no thread"):
        session.__enter__()
    assert not ours()


@pytest.mark.parametrize("name", ["rtrecon-worker", "rtrecon-capture", "rtrecon-capture-watch"])
def test_a_run_whose_threads_cannot_be_started_leaves_nothing(
    name: str, recon: Reconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def unstartable(self: threading.Thread) -> None:
        if self.name == name:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", unstartable)
    source, noted = endless(), Noted("a")
    with pytest.raises(RtreconError, match="no thread for " + name):
        LivePipeline(source, recon, outputs=[noted]).__enter__()
    assert source.closed.wait(PATIENCE_S)
    wait_for(lambda: not ours())
    assert noted.calls == ["open", "close"]


def test_a_pipeline_that_is_never_closed_says_so_and_ends(
    recon: Reconstructor, caplog: pytest.LogCaptureFixture
) -> None:
    source, noted = endless(), Noted("a")
    pipeline = LivePipeline(source, recon, outputs=[noted])
    pipeline.__enter__()
    assert pipeline.take(PATIENCE_S) is not None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del pipeline
        gc.collect()
    assert [w.category for w in said] == [ResourceWarning]
    assert "never closed" in str(said[0].message)
    assert "never closed" in caplog.text
    wait_for(lambda: not ours())
    assert source.closed.is_set()
    assert noted.calls[-1] == "close"


def test_so_does_one_whose_maker_failed(recon: Reconstructor) -> None:
    source = endless()

    def maker() -> None:
        LivePipeline(source, recon).__enter__()
        raise ZeroDivisionError

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(ZeroDivisionError):
            maker()
        gc.collect()
    assert len(said) == 1
    wait_for(lambda: not ours())
    assert source.closed.is_set()


def test_a_session_that_is_dropped_ends_too(dome_model: Path) -> None:
    config = rtrecon.ReconstructorConfig(model=dome_model, threads=1)
    session = rtrecon.live("demo", config=config, loop=True)
    session.__enter__()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del session
        gc.collect()
    assert any("never closed" in str(w.message) for w in said)
    wait_for(lambda: not ours())


def test_closing_says_nothing(recon: Reconstructor) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with LivePipeline(endless(), recon) as pipeline:
            assert pipeline.take(PATIENCE_S) is not None
        pipeline.close()
        del pipeline
        gc.collect()
    assert not said
    wait_for(lambda: not ours())


# A driver that comes back only while the interpreter is being taken down. It calls into Python
# from a C frame, as OpenCV does when it takes the lock again.
HANGS = """
    import ctypes, sys, time, threading
    from rtrecon.capture import CaptureThread, Source
    from rtrecon.threads import end_process

    class Hangs(Source):
        name, is_live, width, height = "camera 0", True, 64, 48
        def grab(self):
            for _ in range({naps}):
                ctypes.CDLL(None).usleep(100_000)  # without Python's lock
            return False
        def retrieve(self, out=None): return None
        def close(self): pass

    thread = CaptureThread(Hangs(), stall_timeout_s=60)
    thread.start()
    time.sleep(0.2)
    thread.close()
    print("closed", flush=True)
    {end}
"""


def child(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_the_program_does_not_wait_for_a_driver_that_hangs() -> None:
    start_s = time.monotonic()
    done = child(HANGS.format(naps=100_000, end="end_process(7)"))
    assert done.returncode == 7, done.stderr
    assert done.stdout == "closed\n"
    assert done.stderr == ""
    assert time.monotonic() - start_s < 90


def test_a_script_waits_for_a_driver_that_comes_back() -> None:
    done = child(HANGS.format(naps=20, end=""))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "closed\n"
    assert done.stderr == ""


def test_a_script_that_forgets_a_capture_thread_ends_at_once() -> None:
    done = child("""
        import time, rtrecon
        capture = rtrecon.CaptureThread(rtrecon.open_source("demo", loop=True))
        capture.start()
        assert capture.read(60.0) is not None
        print(time.monotonic(), flush=True)
        import atexit
        atexit._run_exitfuncs()
        print(time.monotonic(), flush=True)
    """)
    assert done.returncode == 0, done.stderr
    before_s, after_s = (float(line) for line in done.stdout.split())
    assert after_s - before_s < 11.0  # it did not wait in vain
    assert done.stderr == ""


def test_a_script_that_forgets_its_pipeline_ends_with_a_word(dome_model: Path) -> None:
    done = child(f"""
        import rtrecon
        config = rtrecon.ReconstructorConfig(model={str(dome_model)!r}, threads=1)
        session = rtrecon.live("demo", config=config, loop=True)
        session.__enter__()
        print(len(next(iter(session)).faces), flush=True)
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"
    assert "never closed" in done.stderr
    assert "Traceback" not in done.stderr
