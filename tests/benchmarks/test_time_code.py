"""The number in a picture comes back through what a browser and a codec do to it, or none."""

from __future__ import annotations

import io
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import simplejpeg
import time_code

NUMBERS = (0, 1, 2, 299, 1023, 1024, 2730, 4095)


@pytest.fixture
def scene() -> np.ndarray:
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return cv2.resize(small, (640, 480), interpolation=cv2.INTER_CUBIC)


def test_every_number_comes_back(scene: np.ndarray) -> None:
    for number in range(time_code.MOST):
        image = scene.copy() if number in NUMBERS else np.zeros((240, 320, 3), np.uint8)
        time_code.burn(image, number)
        assert time_code.read(image) == number


@pytest.mark.parametrize("size", [(480, 360), (320, 240), (128, 96)])
def test_another_size_and_a_poor_jpeg(scene: np.ndarray, size: tuple[int, int]) -> None:
    for number in NUMBERS:
        image = scene.copy()
        time_code.burn(image, number)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        content = simplejpeg.encode_jpeg(small, 50, "BGR", "420")
        assert time_code.read(simplejpeg.decode_jpeg(content, "BGR")) == number


def test_vp8_at_a_low_rate(scene: np.ndarray) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=30)
        stream.width, stream.height, stream.bit_rate = 480, 360, 150_000
        stream.pix_fmt = "yuv420p"
        for number in range(20):
            image = scene.copy()
            time_code.burn(image, 100 * number)
            small = cv2.resize(image, (480, 360), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, "bgr24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        numbers = [time_code.read(f.to_ndarray(format="bgr24")) for f in container.decode(video=0)]
    assert numbers == [100 * number for number in range(20)]


def test_what_is_no_code_is_none(scene: np.ndarray) -> None:
    assert time_code.read(scene) is None
    assert time_code.read(np.zeros((480, 640, 3), np.uint8)) is None
    first, second = scene.copy(), scene.copy()
    time_code.burn(first, 1365)
    time_code.burn(second, 2730)
    assert time_code.read(cv2.addWeighted(first, 0.5, second, 0.5, 0.0)) is None


def test_a_clip_for_chromium(scene: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "clip.mjpeg"
    assert time_code.write_clip(path, [scene] * 3, size=(320, 240)) == 3
    with av.open(str(path), format="mjpeg") as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert [time_code.read(image) for image in images] == [0, 1, 2]
    assert images[0].shape == (240, 320, 3)
    path = tmp_path / "clip.y4m"
    time_code.write_clip(path, [scene] * 3)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 30
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert [time_code.read(image) for image in images] == [0, 1, 2]
