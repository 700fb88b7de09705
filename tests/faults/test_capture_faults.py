"""Cameras that raise, hang and come back: reopened, given up, and nothing left behind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import pytest

from rtrecon.capture import CaptureThread, Source
from rtrecon.capture.sources import CameraSource
from rtrecon.errors import RtreconError, SourceError, SourceLostError
from rtrecon.types import BgrImage
from tests.capture.test_thread import Scripted, hang, pictures, wait_for

ODD = [
    OSError(19, "No such device"),
    cv2.error("can't open camera by index"),
    RuntimeError("can't start new thread"),
    MemoryError(),
    ValueError("a driver's own"),
    KeyError("mode"),
]


class Camera(Scripted):
    """Comes back as ``nexts`` say: each is a source, or what opening it raises."""

    def __init__(
        self, steps: Iterator[Callable[[], bool]], nexts: list[Source | Exception]
    ) -> None:
        super().__init__(steps)
        self._nexts = nexts
        self.asked = 0

    def again(self) -> Source:
        self.asked += 1
        following = self._nexts.pop(0) if self._nexts else SourceError("still unplugged")
        if isinstance(following, Exception):
            raise following
        return following


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CaptureThread]]:
    monkeypatch.setattr("rtrecon.capture.thread._FIRST_BACKOFF_S", 0.02)
    threads: list[CaptureThread] = []

    def make(source: Source, **options: object) -> CaptureThread:
        thread = CaptureThread(source, **options)  # type: ignore[arg-type]
        threads.append(thread)
        thread.start()
        return thread

    yield make
    for thread in threads:
        thread.close()


def raising(error: Exception) -> Callable[[], bool]:
    def step() -> bool:
        raise error

    return step


def captures() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "rtrecon-capture"]


@pytest.mark.parametrize("error", ODD, ids=lambda e: type(e).__name__)
def test_whatever_reopening_raises_it_is_not_back_yet(
    error: Exception, opened: Callable[..., CaptureThread]
) -> None:
    release = threading.Event()
    whole = Scripted(iter([*pictures(3), hang(release)]))
    camera = Camera(pictures(2), [error, error, whole])
    thread = opened(camera)
    wait_for(lambda: thread.stats.frames_captured == 5 and thread.stats.reconnects == 1)
    assert camera.asked == 3
    wait_for(lambda: thread.stats.state == "running")
    release.set()


@pytest.mark.parametrize("error", ODD, ids=lambda e: type(e).__name__)
def test_and_ends_by_the_rule_for_giving_up(
    error: Exception, opened: Callable[..., CaptureThread]
) -> None:
    thread = opened(Camera(pictures(2), [error] * 1000), give_up_s=0.3)
    wait_for(lambda: thread.stats.state == "failed")
    with pytest.raises(SourceLostError, match="did not come back"):  # noqa: PT012
        for _ in range(3):
            thread.read(0.1)


@pytest.mark.parametrize("error", [*ODD, SourceLostError("gone")], ids=lambda e: type(e).__name__)
def test_a_live_grab_that_raises_is_as_one_that_gives_nothing(
    error: Exception,
    opened: Callable[..., CaptureThread],
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()
    whole = Scripted(iter([*pictures(3), hang(release)]))
    camera = Camera(iter([*pictures(2), raising(error)]), [whole])
    with caplog.at_level(logging.INFO, "rtrecon"):
        thread = opened(camera)
        wait_for(lambda: thread.stats.frames_captured == 5 and thread.stats.reconnects == 1)
    assert camera.closed.wait(10)
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(said) == 1
    assert "opening it again" in said[0]
    release.set()


def test_a_decoder_that_raises_is_too(opened: Callable[..., CaptureThread]) -> None:
    class Broken(Camera):
        def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
            raise cv2.error("decoder")

    release = threading.Event()
    thread = opened(Broken(pictures(2), [Scripted(iter([*pictures(3), hang(release)]))]))
    wait_for(lambda: thread.stats.frames_captured == 3)
    release.set()


def test_a_dead_watch_fails_the_run(
    opened: Callable[..., CaptureThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it nobody would notice that the source hangs."""
    release = threading.Event()

    def broken(self: CaptureThread, reason: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(CaptureThread, "_reconnect", broken)
    thread = opened(Scripted(iter([*pictures(2), hang(release)])), stall_timeout_s=0.1)
    wait_for(lambda: thread.stats.state == "failed")
    with pytest.raises(SourceLostError, match="ZeroDivisionError"):  # noqa: PT012
        for _ in range(3):
            thread.read(0.1)
    release.set()


def test_no_thread_and_no_device_is_left_by_a_reconnect(
    opened: Callable[..., CaptureThread],
) -> None:
    release = threading.Event()
    last = Camera(iter([*pictures(2), hang(release)]), [])
    cameras: list[Source] = [last]
    for _ in range(20):
        cameras.insert(0, Scripted(pictures(2), successor=cameras[0]))
    thread = opened(cameras[0])
    wait_for(lambda: thread.stats.frames_captured == 42, limit_s=30)
    wait_for(lambda: thread.stats.reconnects == 20 and len(captures()) == 1)
    assert all(camera.closed.wait(10) for camera in cameras[:-1])  # type: ignore[attr-defined]
    release.set()


def test_reads_that_hang_are_not_added_to_without_end(
    opened: Callable[..., CaptureThread],
) -> None:
    release = threading.Event()
    made: list[Scripted] = []

    class Hangs(Scripted):
        def again(self) -> Source:
            made.append(Hangs(iter([hang(release)])))
            return made[-1]

    thread = opened(Hangs(iter([*pictures(1), hang(release)])), stall_timeout_s=0.05, give_up_s=3.0)
    wait_for(lambda: thread.stats.state == "failed", limit_s=20)
    wait_for(lambda: len(captures()) <= 3)
    assert len(made) <= 2
    with pytest.raises(SourceLostError, match="hang in the driver"):  # noqa: PT012
        for _ in range(4):
            thread.read(0.1)
    release.set()
    wait_for(lambda: not captures())
    assert all(source.closed.is_set() for source in made)


def test_a_camera_that_comes_back_after_the_end_is_let_go(
    opened: Callable[..., CaptureThread],
) -> None:
    opening, go_on = threading.Event(), threading.Event()
    late = Scripted(pictures(100_000, 0.01))

    class Slow(Scripted):
        def again(self) -> Source:
            opening.set()
            go_on.wait(20)
            return late

    thread = opened(Slow(pictures(1)))
    assert opening.wait(10)
    thread.close()
    go_on.set()
    assert late.closed.wait(10)
    assert thread.stats.reconnects == 0
    wait_for(lambda: not captures())


def test_a_source_that_cannot_be_closed_ends_all_the_same(
    opened: Callable[..., CaptureThread],
) -> None:
    class Stuck(Scripted):
        def close(self) -> None:
            raise OSError(5, "Input/output error")

    thread = opened(Stuck(pictures(3), live=False), policy="every", pace=False)
    frames = 0
    while not thread.ended:
        frames += thread.read(0.5) is not None
    assert frames == 3
    assert thread.stats.state == "ended"


def test_a_webcam_whose_driver_raises_comes_back(
    opened: Callable[..., CaptureThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through OpenCV's own class, with a device that is pulled while it is read."""
    from tests.capture.webcam import Webcam, _Open

    webcam, failing = Webcam(), threading.Event()
    grab = _Open.grab

    def pulled(self: _Open) -> bool:
        time.sleep(0.005)
        if failing.is_set():
            raise cv2.error("VIDIOC_DQBUF: No such device")
        return grab(self)

    monkeypatch.setattr(_Open, "grab", pulled)
    monkeypatch.setattr("rtrecon.capture.sources.cv2.VideoCapture", webcam)
    monkeypatch.setattr("rtrecon.capture.sources.camera_backends", lambda: [cv2.CAP_V4L2])
    thread = opened(CameraSource(0))
    wait_for(lambda: thread.stats.frames_captured > 3)
    failing.set()
    webcam.plugged_in = False
    wait_for(lambda: thread.stats.state == "reconnecting")
    webcam.plugged_in = True
    failing.clear()
    before = thread.stats.frames_captured
    wait_for(lambda: thread.stats.state == "running" and thread.stats.frames_captured > before)
    thread.close()
    wait_for(lambda: not captures())
    assert webcam.released >= len(webcam.opened) - 1


def test_a_reader_that_cannot_be_started_lets_the_camera_go(
    opened: Callable[..., CaptureThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unstartable(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    camera = Scripted(pictures(3))
    monkeypatch.setattr(threading.Thread, "start", unstartable)
    with pytest.raises(RtreconError, match=r"no thread .*ulimit"):
        opened(camera)
    assert camera.closed.is_set()
