from __future__ import annotations

import http.server
import logging
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from rtrecon.capture import CaptureThread, Source, open_source
from rtrecon.errors import DataError, SourceError, SourceLostError
from rtrecon.types import BgrImage

Step = Callable[[], bool]


class Scripted(Source):
    """A source that does what it is told: each step returns whether there is a picture."""

    width, height = 32, 24

    def __init__(
        self, steps: Iterator[Step], *, live: bool = True, successor: Source | None = None
    ) -> None:
        super().__init__()
        self.name = "camera 0" if live else "file"
        self.is_live = live
        self.rate_hz = 30.0
        self.closed = threading.Event()
        self.repeats = False
        self.shape = (24, 32, 3)
        self._steps = steps
        self._successor = successor
        self._count = 0

    def grab(self) -> bool:
        step = next(self._steps, None)
        return step() if step is not None else False

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        if out is None or out.shape != self.shape:
            out = np.empty(self.shape, np.uint8)
        self._count += not self.repeats
        out[:] = self._count % 256
        return out

    def again(self) -> Source:
        if self._successor is None:
            raise SourceError("it is still unplugged")
        return self._successor

    def close(self) -> None:
        self.closed.set()


def pictures(count: int, pause_s: float = 0.0) -> Iterator[Step]:
    def step() -> bool:
        time.sleep(pause_s)
        return True

    for _ in range(count):
        yield step


def hang(release: threading.Event) -> Step:
    def step() -> bool:
        release.wait(20)
        return False

    return step


def wait_for(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def opened() -> Iterator[Callable[..., CaptureThread]]:
    threads: list[CaptureThread] = []

    def make(source: Source, **options: object) -> CaptureThread:
        thread = CaptureThread(source, **options)  # type: ignore[arg-type]
        threads.append(thread)
        thread.start()
        return thread

    yield make
    for thread in threads:
        thread.close()


def test_every_drops_nothing_and_waits(opened: Callable[..., CaptureThread]) -> None:
    thread = opened(Scripted(pictures(200), live=False), policy="every", pace=False)
    values, indices = [], []
    while not thread.ended:
        frame = thread.read(1.0)
        if frame is not None:
            values.append(int(frame.image[0, 0, 0]))
            indices.append(frame.index)
    assert indices == list(range(200))
    assert values == [(k + 1) % 256 for k in range(200)]
    assert thread.stats.frames_dropped == 0
    assert thread.stats.state == "ended"


def test_newest_wins_and_drops_are_counted(opened: Callable[..., CaptureThread]) -> None:
    release = threading.Event()
    source = Scripted(iter([*pictures(50), hang(release)]))
    thread = opened(source, policy="newest")
    wait_for(lambda: thread.stats.frames_captured == 50)
    frame = thread.read(1.0)
    assert frame is not None
    assert frame.index == 49
    assert thread.stats.frames_dropped == 49
    release.set()


class SlowToDecode(Scripted):
    """Notes when decoding began, and takes its time."""

    def __init__(self, count: int, *, live: bool) -> None:
        super().__init__(pictures(count), live=live)
        self.began_ns: list[int] = []

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        self.began_ns.append(time.monotonic_ns())
        time.sleep(0.002)
        return super().retrieve(out)


def test_a_picture_is_stamped_at_the_grab_not_when_it_is_decoded(
    opened: Callable[..., CaptureThread],
) -> None:
    source = SlowToDecode(5, live=False)
    thread = opened(source, policy="every", pace=False)
    stamps = []
    while not thread.ended:
        frame = thread.read(1.0)
        if frame is not None:
            stamps.append(frame.t_capture_ns)
    assert len(stamps) == 5
    assert all(t <= began for t, began in zip(stamps, source.began_ns, strict=True))


def test_so_it_is_where_a_source_is_read_without_a_thread() -> None:
    with SlowToDecode(5, live=True) as source:
        stamps = [frame.t_capture_ns for frame in source]
    assert len(stamps) == 5
    assert all(t <= began for t, began in zip(stamps, source.began_ns, strict=True))


def test_a_held_picture_is_never_overwritten(opened: Callable[..., CaptureThread]) -> None:
    thread = opened(Scripted(pictures(120), live=False), policy="every", pace=False)
    held = []
    while not thread.ended:
        frame = thread.read(1.0)
        if frame is not None:
            held.append((frame.image[2:5, 3:9], int(frame.image[0, 0, 0])))  # views alone
            del frame
    assert len(held) == 120
    assert all((view == value).all() for view, value in held)


def test_slots_are_used_again(opened: Callable[..., CaptureThread]) -> None:
    thread = opened(Scripted(pictures(100), live=False), policy="every", pace=False)
    addresses = set()
    while not thread.ended:
        frame = thread.read(1.0)
        if frame is not None:
            addresses.add(frame.image.__array_interface__["data"][0])
    assert len(addresses) <= 8


def test_the_end_of_an_unplugged_camera_brings_it_back(
    opened: Callable[..., CaptureThread], caplog: pytest.LogCaptureFixture
) -> None:
    release = threading.Event()
    second = Scripted(iter([*pictures(5), hang(release)]))
    first = Scripted(iter(pictures(5)), successor=second)
    with caplog.at_level(logging.INFO, "rtrecon"):
        thread = opened(first, stall_timeout_s=5.0)
        wait_for(lambda: thread.stats.frames_captured == 10)
    assert thread.stats.reconnects == 1
    assert thread.stats.state == "running"
    assert "opening it again" in caplog.text
    assert "is back" in caplog.text
    assert first.closed.is_set()
    release.set()


def test_a_stalled_camera_is_opened_again(opened: Callable[..., CaptureThread]) -> None:
    release = threading.Event()
    second = Scripted(iter([*pictures(3), hang(release)]))
    first = Scripted(iter([*pictures(3), hang(release)]), successor=second)
    thread = opened(first, stall_timeout_s=0.2)
    wait_for(lambda: thread.stats.frames_captured == 6)
    assert thread.stats.reconnects >= 1
    start_s = time.monotonic()
    thread.close()
    assert time.monotonic() - start_s < 5  # bounded although the device hangs
    release.set()


def test_a_camera_that_repeats_itself_is_opened_again(
    opened: Callable[..., CaptureThread],
) -> None:
    second = Scripted(pictures(100_000, 0.01))
    first = Scripted(pictures(100_000, 0.01), successor=second)
    first.repeats = True
    thread = opened(first, stall_timeout_s=0.1)
    wait_for(lambda: thread.stats.reconnects == 1)
    wait_for(lambda: thread.stats.state == "running")


def test_a_camera_stays_reconnecting_and_close_ends_it(
    opened: Callable[..., CaptureThread],
) -> None:
    thread = opened(Scripted(pictures(2)), stall_timeout_s=0.2)
    wait_for(lambda: thread.stats.state == "reconnecting")
    assert not thread.ended
    thread.close()


def test_giving_up_is_an_error(opened: Callable[..., CaptureThread]) -> None:
    thread = opened(Scripted(pictures(2)), stall_timeout_s=0.2, give_up_s=0.3)
    wait_for(lambda: thread.stats.state == "failed")
    with pytest.raises(SourceLostError, match="did not come back"):  # noqa: PT012
        for _ in range(5):
            thread.read(0.2)
    assert thread.ended


def test_the_readers_exception_reaches_the_caller(opened: Callable[..., CaptureThread]) -> None:
    def fail() -> bool:
        raise DataError("broken on purpose")

    thread = opened(Scripted(iter([fail]), live=False), policy="every")
    wait_for(lambda: thread.stats.state == "failed")
    with pytest.raises(DataError, match="on purpose"):
        thread.read(1.0)
    assert thread.read(0.01) is None
    assert thread.ended


def test_an_unforeseen_exception_reaches_the_caller_too(
    opened: Callable[..., CaptureThread],
) -> None:
    def fail() -> bool:
        raise ZeroDivisionError

    thread = opened(Scripted(iter([fail]), live=False), policy="every")
    wait_for(lambda: thread.stats.state == "failed")
    with pytest.raises(SourceLostError, match="ZeroDivisionError"):
        thread.read(1.0)


def test_a_source_may_change_its_size(opened: Callable[..., CaptureThread]) -> None:
    source = Scripted(pictures(20), live=False)
    source.shape = (48, 64, 3)
    thread = opened(source, policy="every", pace=False)
    shapes = set()
    while not thread.ended:
        frame = thread.read(1.0)
        if frame is not None:
            shapes.add(frame.image.shape)
    assert shapes == {(48, 64, 3)}


class _Mjpeg(http.server.BaseHTTPRequestHandler):
    """A camera on the network that breaks off after ``limit`` pictures."""

    limit = 12
    damaged: frozenset[int] = frozenset()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for k in range(self.limit):
            _, code = cv2.imencode(".jpg", np.full((48, 64, 3), 10 * k, np.uint8))
            if k in self.damaged:
                header = code.tobytes().index(b"\xff\xc0")
                code[header + 5 : header + 9] = 0  # height and width
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
            self.wfile.write(f"Content-Length: {len(code)}\r\n\r\n".encode() + code.tobytes())
            self.wfile.write(b"\r\n")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


def test_a_stream_that_stops_midway(opened: Callable[..., CaptureThread]) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Mjpeg)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        source = open_source(f"http://127.0.0.1:{server.server_address[1]}/live.mjpg")
        assert source.is_live
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
    thread = opened(source, stall_timeout_s=2.0, give_up_s=0.5)
    wait_for(lambda: thread.stats.state == "failed", limit_s=20)
    assert thread.stats.frames_captured > 0
    with pytest.raises(SourceLostError, match=r"127\.0\.0\.1"):  # noqa: PT012
        for _ in range(5):
            thread.read(0.1)


def test_damaged_pictures_of_a_stream_are_passed_over() -> None:
    handler = type("Damaged", (_Mjpeg,), {"damaged": frozenset({6, 9})})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        with open_source(f"http://127.0.0.1:{server.server_address[1]}/live.mjpg") as source:
            levels = [round(float(frame.image.mean()) / 10) for frame in source]
            assert source.corrupt == 2
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
    assert levels == [0, 1, 2, 3, 4, 5, 7, 8, 10, 11]
