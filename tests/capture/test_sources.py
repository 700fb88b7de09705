from __future__ import annotations

import logging
import os
import re
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rtrecon.capture import CameraInfo, open_source
from rtrecon.capture.pixels import to_bgr
from rtrecon.capture.sources import DEMO_CLIP
from rtrecon.errors import SourceError, SourceLostError
from rtrecon.types import Intrinsics


def write_video(path: Path, count: int, size: tuple[int, int] = (64, 48)) -> None:
    """A video whose frame k is grey of brightness 10 k."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, size)
    assert writer.isOpened()
    for k in range(count):
        writer.write(np.full((size[1], size[0], 3), 10 * k, np.uint8))
    writer.release()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((5, 7), np.uint8),
        ((5, 7, 1), np.uint8),
        ((5, 7, 2), np.uint8),
        ((5, 7, 3), np.uint8),
        ((5, 7, 4), np.uint8),
        ((5, 7, 3), np.uint16),
        ((5, 7), np.uint16),
        ((5, 7, 3), np.float32),
    ],
)
def test_every_kind_of_pixels_becomes_bgr(shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    full = 1.0 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    image = to_bgr(np.full(shape, full, dtype=dtype))
    assert image is not None
    assert (image.shape, image.dtype) == ((5, 7, 3), np.uint8)
    assert image.min() == 255


def test_empty_pictures_are_none() -> None:
    assert to_bgr(None) is None
    assert to_bgr(np.zeros((0, 5, 3), np.uint8)) is None
    assert to_bgr(np.zeros((5, 0), np.uint8)) is None
    assert to_bgr(np.zeros((5, 5, 7), np.uint8)) is None


def test_channels_keep_their_order() -> None:
    bgra = np.zeros((1, 1, 4), np.uint8)
    bgra[..., 0], bgra[..., 2] = 200, 10
    image = to_bgr(bgra)
    assert image is not None
    assert image[0, 0].tolist() == [200, 0, 10]


def test_a_video_file_gives_every_frame_in_order(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 9)
    with open_source(tmp_path / "a.avi") as source:
        assert (source.width, source.height, source.rate_hz) == (64, 48, 25.0)
        assert not source.is_live
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(9))
    levels = [float(frame.image.mean()) for frame in frames]
    assert levels == pytest.approx([10.0 * k for k in range(9)], abs=3)
    stamps = [frame.t_capture_ns for frame in frames]
    assert stamps == sorted(stamps)


def test_loop_begins_again(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 3)
    with open_source(tmp_path / "a.avi", loop=True) as source:
        levels = [round(float(f.image.mean()) / 10) for f, _ in zip(source, range(7), strict=False)]
    assert levels == [0, 1, 2, 0, 1, 2, 0]


def test_a_truncated_video_gives_what_is_whole_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    data = (tmp_path / "a.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) * 6 // 10])
    with open_source(tmp_path / "cut.avi") as source:
        count = sum(1 for _ in source)
    assert 2 <= count < 36
    assert f"ends after {count} of the 40 pictures" in caplog.text
    with open_source(tmp_path / "a.avi") as source:
        caplog.clear()
        assert sum(1 for _ in source) == 40
    assert "ends after" not in caplog.text


def test_damaged_pictures_in_a_video_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_video(tmp_path / "a.avi", 9)
    data = bytearray((tmp_path / "a.avi").read_bytes())
    starts = [match.start() for match in re.finditer(b"\xff\xd8\xff", data)]
    assert len(starts) == 9
    for start in starts[3:5]:
        header = data.index(b"\xff\xc0", start)
        data[header + 5 : header + 9] = bytes(4)  # height and width
    (tmp_path / "bad.avi").write_bytes(data)
    with open_source(tmp_path / "bad.avi") as source:
        levels = [round(float(frame.image.mean()) / 10) for frame in source]
        assert source.corrupt == 2
    assert levels == [0, 1, 2, 5, 6, 7, 8]
    assert caplog.text.count("cannot be decoded") == 1
    assert "ends after" not in caplog.text


def test_a_camera_by_name_or_by_a_link_to_its_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [CameraInfo(91, "/dev/video91", "Inside"), CameraInfo(92, "/dev/video92", "HD Webcam")]
    monkeypatch.setattr("rtrecon.capture.sources.list_cameras", lambda: known)
    link = tmp_path / "usb-cam"
    link.symlink_to("/dev/video92")
    for source in ("hd web", link):
        with pytest.raises(SourceError, match="camera 92"):
            open_source(source)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    folder, file = tmp_path / "pictures", tmp_path / "a.avi"
    folder.mkdir()
    write_video(file, 2)
    for path in (folder, file):
        path.chmod(0)
        try:
            with pytest.raises(SourceError, match=path.name):
                open_source(path)
        finally:
            path.chmod(0o700)


def test_a_video_without_a_whole_picture_is_an_error(tmp_path: Path) -> None:
    data = bytearray(DEMO_CLIP.read_bytes())
    start = data.find(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    (tmp_path / "zeros.mp4").write_bytes(data)
    with (
        open_source(tmp_path / "zeros.mp4") as source,
        pytest.raises(SourceLostError, match="not one picture"),
    ):
        source.read()


def test_a_folder_is_read_in_natural_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for k in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"p{k}.png"), np.full((31, 33, 3), k, np.uint8))
    cv2.imwrite(str(tmp_path / "p3.png"), np.full((31, 33), 3 * 256, np.uint16))
    (tmp_path / "p4.jpg").write_bytes(b"not a picture")
    (tmp_path / "notes.txt").write_text("left alone", encoding="utf-8")
    with caplog.at_level(logging.WARNING, "rtrecon"), open_source(tmp_path) as source:
        levels = [int(frame.image[0, 0, 0]) for frame in source]
        corrupt = source.corrupt
    assert levels == [1, 2, 3, 10]
    assert corrupt == 1
    assert "p4.jpg" in caplog.text


def test_the_demo_clip_is_there() -> None:
    with open_source("demo") as source:
        assert (source.width, source.height, source.frame_count) == (640, 480, 300)
        assert source.rate_hz == pytest.approx(30.0)
        assert source.name == "demo"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _: "no/such/file.mp4", "no file, folder or camera"),
        (lambda p: (p / "d").mkdir() or p / "d", "no pictures"),
        (lambda p: (p / "e.mp4").touch() or p / "e.mp4", "empty"),
        (lambda p: (p / "t.mp4").write_bytes(b"x" * 999) and p / "t.mp4", "not a video"),
        (lambda p: (p / "b.png").write_bytes(b"x" * 999) and p / "b.png", "no picture"),
        (lambda _: "http://127.0.0.1:9/none", "127.0.0.1:9"),
        (lambda _: 93, "camera 93"),
        (lambda _: "/dev/video93", "camera 93"),
    ],
)
def test_what_cannot_be_opened_is_named(tmp_path: Path, make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(SourceError, match=words):
        open_source(make(tmp_path))


def test_a_streams_password_is_not_shown() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("http://me:secret@127.0.0.1:9/live")
    assert "secret" not in str(caught.value)


def test_pictures_bring_their_camera(tmp_path: Path) -> None:
    """Each has its own, unless a calibration is given for all."""
    grey = Image.new("RGB", (64, 48), (90, 90, 90))
    for name, focal in (("1.jpg", 26), ("2.jpg", 52), ("3.jpg", None)):
        exif = Image.Exif()
        if focal is not None:
            exif.get_ifd(0x8769)[0xA405] = focal
        grey.save(tmp_path / name, exif=exif)
    with open_source(tmp_path) as source:
        first, second, third = (frame.intrinsics for frame in source)
    assert first is not None
    assert second is not None
    assert second.fx == pytest.approx(2 * first.fx)
    assert third is None
    given = Intrinsics.from_fov(64, 48, 80)
    with open_source(tmp_path, intrinsics=given) as source:
        assert [frame.intrinsics for frame in source] == [given] * 3
