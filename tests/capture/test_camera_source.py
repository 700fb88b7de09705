"""A webcam is opened, read, lost and found again; only the device is a stand-in."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.capture import CaptureThread, open_source
from rtrecon.capture.cameras import camera_backends
from rtrecon.capture.sources import DEMO_CLIP, CameraSource
from rtrecon.errors import SourceError
from tests.capture.webcam import Webcam


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch) -> Webcam:
    webcam = Webcam()
    monkeypatch.setattr("cv2.VideoCapture", webcam)
    monkeypatch.setattr("rtrecon.capture.sources.list_cameras", list)
    return webcam


@pytest.fixture
def first_picture() -> np.ndarray:
    clip = cv2.VideoCapture(str(DEMO_CLIP), cv2.CAP_FFMPEG)
    _, image = clip.read()
    clip.release()
    return image


def test_its_pictures_come_without_end(first_picture: np.ndarray, webcam: Webcam) -> None:
    with open_source(2) as source:
        assert isinstance(source, CameraSource)
        assert source.name == "camera 2"
        assert source.is_live
        assert source.frame_count is None
        assert (source.width, source.height) == (640, 480)
        frames = [frame for frame, _ in zip(source, range(303), strict=False)]
    np.testing.assert_array_equal(frames[0].image, first_picture)
    np.testing.assert_array_equal(frames[300].image, first_picture)
    assert [frame.index for frame in frames] == list(range(303))
    assert webcam.opened == [(2, camera_backends()[0])]
    assert webcam.released == 1


def test_it_is_asked_for_compressed_pictures_size_rate_and_no_queue(
    webcam: Webcam, caplog: pytest.LogCaptureFixture
) -> None:
    webcam.only_size = None
    with caplog.at_level(logging.INFO, "rtrecon"), open_source(0, size=(1280, 720), rate_hz=25):
        pass
    assert webcam.asked == {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG"),
        cv2.CAP_PROP_FRAME_WIDTH: 1280,
        cv2.CAP_PROP_FRAME_HEIGHT: 720,
        cv2.CAP_PROP_FPS: 25,
        cv2.CAP_PROP_BUFFERSIZE: 1,
    }
    assert "camera 0: 1280x720 at 25 Hz" in caplog.text
    assert "asked for" not in caplog.text


def test_another_mode_than_asked_for_is_said(
    webcam: Webcam, caplog: pytest.LogCaptureFixture
) -> None:
    with open_source(0, size=(1920, 1080)) as source:
        assert (source.width, source.height) == (640, 480)
    assert "asked for 1920x1080, got 640x480" in caplog.text


def test_a_backend_that_refuses_gives_way_to_the_next(
    webcam: Webcam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtrecon.capture.sources.camera_backends", lambda: [7, 9])
    webcam.refused = {7}
    with open_source(0):
        assert webcam.opened == [(0, 7), (0, 9)]
        assert webcam.released == 1  # what did not open is let go of
    webcam.refused = {7, 9}
    with pytest.raises(SourceError, match="camera 0 cannot be opened"):
        open_source(0)


def test_unplugged_and_plugged_in_again(webcam: Webcam) -> None:
    with open_source(0, size=(640, 480), rate_hz=30) as source:
        thread = CaptureThread(source, stall_timeout_s=0.5)
        thread.start()
        try:
            _wait_for(lambda: thread.stats.frames_captured > 3)
            webcam.plugged_in = False
            _wait_for(lambda: thread.stats.state == "reconnecting")
            webcam.asked.clear()
            webcam.plugged_in = True
            seen = thread.stats.frames_captured
            _wait_for(lambda: thread.stats.frames_captured > seen + 3)
            assert thread.stats.reconnects == 1
            assert webcam.asked[cv2.CAP_PROP_FRAME_WIDTH] == 640  # the mode as before
            assert webcam.asked[cv2.CAP_PROP_FPS] == 30
        finally:
            thread.close()


def test_the_command_runs_on_it(
    webcam: Webcam, dome_model: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    stats = tmp_path / "stats.json"
    code, _, errors = run_cli(
        *("run", "0", "--view", "none", "--max-frames", "6", "--model", dome_model),
        *("--stats", stats, "--quiet"),
    )
    assert code == 0, errors
    written = json.loads(stats.read_text(encoding="utf-8"))
    assert written["frames_processed"] == written["frames_with_face"] == 6
    assert written["source"]["width"] == 640


def _wait_for(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
