"""A source that is fed, alone and through capture thread, tracker and geometry."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import rtrecon
from rtrecon.capture.pushed import Decode, PushedSource
from rtrecon.capture.thread import CaptureThread
from rtrecon.live_pipeline import LivePipeline
from rtrecon.pipeline import Reconstructor
from rtrecon.types import BgrImage
from tests.outputs.doubles import PATIENCE_S


def plain(value: int, width: int = 64, height: int = 48) -> Decode:
    def decode(out: BgrImage | None) -> BgrImage:
        return np.full((height, width, 3), value, dtype=np.uint8)

    return decode


def test_the_newest_is_kept_with_the_time_at_which_it_came() -> None:
    with PushedSource("browser") as source:
        source.push(plain(1), 100)
        source.push(plain(2), 200)
        frame = source.read()
        assert frame is not None
        assert (frame.image[0, 0, 0], frame.t_capture_ns) == (2, 200)
        assert (source.width, source.height) == (64, 48)
        assert (source.pushed, source.replaced) == (2, 1)


def test_what_waits_of_one_who_is_gone_is_dropped() -> None:
    with PushedSource("browser") as source:
        source.push(plain(1), 100)
        assert source.is_fed
        source.rest()
        assert not source.is_fed
        source.push(plain(3), 300)
        frame = source.read()
        assert frame is not None
        assert frame.t_capture_ns == 300


def test_a_reader_waits_until_it_is_closed() -> None:
    source = PushedSource("browser")
    ended = threading.Event()
    reader = threading.Thread(target=lambda: (source.read(), ended.set()))
    reader.start()
    source.close()
    assert ended.wait(PATIENCE_S)
    reader.join()


def test_no_picture_is_no_failure_and_the_end_comes_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    capture = CaptureThread(PushedSource("browser"), stall_timeout_s=0.01)
    capture.start()
    assert capture.read(0.2) is None
    assert capture.stats.state == "running"
    assert capture.stats.reconnects == 0
    capture.close()
    assert capture._reader is not None
    capture._reader.join(PATIENCE_S)
    assert not capture._reader.is_alive()
    assert caplog.text == ""


def test_a_picture_that_cannot_be_decoded_is_counted_and_no_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(out: BgrImage | None) -> BgrImage:
        raise ValueError("garbage")

    source = PushedSource("browser")
    capture = CaptureThread(source)
    capture.start()
    source.push(broken, 100)
    end_s = time.monotonic() + PATIENCE_S
    while capture.stats.frames_corrupt == 0 and time.monotonic() < end_s:
        time.sleep(0.005)
    source.push(plain(7), 200)
    frame = capture.read(PATIENCE_S)
    assert frame is not None
    assert frame.image[0, 0, 0] == 7
    assert capture.stats.frames_corrupt == 1
    assert caplog.text.count("cannot be decoded") == 1
    capture.close()


def test_sizes_may_change_at_any_time(dome_model: Path) -> None:
    with rtrecon.open_source("demo") as clip:
        frame = clip.read()
        assert frame is not None
        picture = frame.image
    source = PushedSource("browser")
    sizes = [(640, 480), (480, 360), (360, 640), (640, 480)]
    with (
        Reconstructor(model=str(dome_model), fov_deg=60.0) as reconstructor,
        LivePipeline(source, reconstructor) as pipeline,
    ):
        depths = []
        for size in sizes:
            # A phone that is turned crops, and nothing is squeezed.
            side = min(picture.shape[0], picture.shape[1] * size[1] // size[0])
            wide = side * size[0] // size[1]
            x0 = (picture.shape[1] - wide) // 2
            image = cv2.resize(picture[:side, x0 : x0 + wide], size)
            result = None
            for _ in range(3):
                t_ns = time.monotonic_ns()
                source.push(lambda out, image=image: image.copy(), t_ns)  # type: ignore[misc]
                result = pipeline.take(PATIENCE_S)
            assert result is not None
            assert result.frame.image.shape == (size[1], size[0], 3)
            (face,) = result.faces
            assert (face.intrinsics.width, face.intrinsics.height) == size
            assert np.isfinite(face.T_camera_face).all()
            depths.append(face.z_ref_m)
        assert depths[0] == pytest.approx(depths[1], rel=0.1)
        assert depths[0] == pytest.approx(depths[3], rel=0.05)
