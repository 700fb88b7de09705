"""A film's pictures have times of their own, whatever its container and the machine do."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtrecon.capture import CaptureThread, open_source
from rtrecon.errors import SourceError
from tests.faults.videos import browser_webm, write_video

Cli = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
VARIABLE_MS = [*range(0, 330, 33), *range(400, 1400, 100)]


def times_ms(path: Path) -> list[int]:
    with open_source(path) as source:
        return [round((frame.t_media_ns or 0) / 1e6) for frame in source]


@pytest.fixture
def busy() -> Iterator[None]:
    """Something else that wants the processor."""
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    other.kill()
    other.wait()


def test_a_variable_rate_is_kept(tmp_path: Path) -> None:
    assert times_ms(write_video(tmp_path / "v.mp4", VARIABLE_MS)) == VARIABLE_MS


def test_a_browsers_recording_without_a_rate_keeps_its_times_and_all_pictures(
    tmp_path: Path,
) -> None:
    stamps = [0, 33, 99, 130, 164, 195, 230, 290]
    path = browser_webm(tmp_path / "r.webm", stamps)
    assert times_ms(path) == stamps


def test_a_film_that_begins_late_begins_at_zero(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.mkv", [5000, 5040, 5080, 5120])
    assert times_ms(path) == [0, 40, 80, 120]


def test_negative_stamps_begin_at_zero(tmp_path: Path) -> None:
    path = write_video(tmp_path / "n.ts", [-120, -80, -40, 0, 40], avoid_negative_ts="disabled")
    assert times_ms(path) == [0, 40, 80, 120, 160]


def test_stamps_that_are_absent_at_first_are_made_up_at_the_films_rate(tmp_path: Path) -> None:
    """Matroska cannot hold negative stamps: three pictures have none."""
    path = write_video(tmp_path / "n.mkv", [-120, -80, -40, 0, 40], avoid_negative_ts="disabled")
    stamps = times_ms(path)
    assert len(stamps) == 5
    assert all(step > 20 for step in np.diff(stamps))


def test_a_film_without_stamps_has_those_of_its_rate(tmp_path: Path) -> None:
    """Raw H.264 has none at all."""
    stamps = times_ms(write_video(tmp_path / "raw.h264", [0, 33, 67, 100, 133, 167]))
    steps = np.diff(stamps)
    assert len(stamps) == 6
    assert (steps == steps[0]).all()
    assert steps[0] > 0


def test_stamps_that_go_back_are_said_once_and_counted_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two recordings joined at their bytes: the clock begins again in the middle."""
    one = write_video(tmp_path / "one.ts", [*range(2000, 2400, 40)], container="mpegts")
    two = write_video(tmp_path / "two.ts", [*range(0, 400, 40)], container="mpegts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    stamps = times_ms(joined)
    assert len(stamps) == 20
    assert all(0 < step <= 100 for step in np.diff(stamps))
    assert caplog.text.count("not in order") == 1


def test_a_film_played_over_and_over_never_goes_back_in_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0, 40, 80])
    with open_source(path, loop=True) as source:
        stamps = [(f.t_media_ns or 0) / 1e6 for f, _ in zip(source, range(8), strict=False)]
    assert [round(t) for t in stamps[:3]] == [0, 40, 80]
    assert all(step > 10 for step in np.diff(stamps))


def test_a_picture_is_shown_when_it_is_due(tmp_path: Path) -> None:
    """Twenty pictures at once, then one after half a second."""
    path = write_video(tmp_path / "gap.mp4", [0, 2, 4, 6, 8, 500])
    thread = CaptureThread(open_source(path), policy="every", pace=True)
    thread.start()
    frames = []
    while not thread.ended:
        if (frame := thread.read(1.0)) is not None:
            frames.append(frame)
    thread.close()
    media = np.diff([frame.t_media_ns or 0 for frame in frames])
    capture = np.diff([frame.t_capture_ns for frame in frames])
    assert len(frames) == 6
    assert media[-1] == pytest.approx(492e6)
    assert capture.sum() >= 490e6  # never early


def test_two_runs_give_the_same_numbers_bit_for_bit(
    tmp_path: Path, dome_model: Path, run_cli: Cli, busy: None
) -> None:
    """One alone, the other beside a process that takes the machine."""
    rows = []
    for name in ("one", "two"):
        options = ["--view", "none", "--model", dome_model, "--max-frames", 40, "--record"]
        code, _, err = run_cli("run", "demo", *options, tmp_path / name)
        assert code == 0, err
        rows.append((tmp_path / name / "poses.jsonl").read_bytes())
    assert rows[0] == rows[1]
    first = [json.loads(row) for row in rows[0].splitlines()]
    assert [row["frame"] for row in first] == list(range(40))
    assert [row["t_s"] for row in first] == pytest.approx([k / 30 for k in range(40)], abs=2e-3)
    assert all(row["faces"] for row in first[5:])


def test_a_name_with_colons_is_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("10:20:30.mp4", "2024-01-01T10:20:30.mp4"):
        write_video(tmp_path / "a.mp4", [0, 40]).rename(tmp_path / name)
        monkeypatch.chdir(tmp_path)
        assert times_ms(Path(name)) == [0, 40]


def test_av1_is_played(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mp4"
    # In a process of its own: as root the encoder gives the one that calls it, and so all that
    # this one starts later, a priority above everything else on the machine.
    asked = f"Path({str(path)!r}), [0, 40, 80], codec='libsvtav1', size=(128, 96)"
    code = "from pathlib import Path; from tests.faults.videos import write_video; "
    subprocess.run([sys.executable, "-c", f"{code}write_video({asked})"], cwd=ROOT, check=True)
    capfd.readouterr()
    assert times_ms(path) == [0, 40, 80]
    assert capfd.readouterr().out == ""


def test_a_codec_without_a_decoder_is_named_with_what_converts_it(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0, 40, 80])
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(SourceError, match=r"zzzz.*ffmpeg -i .*libx264"):
        open_source(path)


def test_music_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 16000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(SourceError, match="holds no video"):
        open_source(path)


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [0, 40], aspect=Fraction(4, 3))
    with open_source(path) as source:
        assert (source.width, source.height) == (85, 48)
        assert [frame.image.shape for frame in source] == [(48, 85, 3)] * 2


@pytest.mark.parametrize(("angle", "corner"), [(90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_a_film_made_with_the_phone_on_its_side_is_upright(
    angle: int, corner: tuple[int, int], tmp_path: Path
) -> None:
    """The container says by how much each picture is to be turned."""
    path = tmp_path / "phone.mp4"
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16] = 255
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(angle)
        for k in range(3):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = k, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with open_source(path) as source:
        size = (source.height, source.width)
        pictures = [frame.image for frame in source]
    assert [picture.shape[:2] for picture in pictures] == [size] * 3
    assert size == ((48, 64) if angle == 180 else (64, 48))
    assert pictures[0][corner].min() > 200
    assert pictures[0][~corner[0], ~corner[1]].max() < 50


def test_a_stamp_that_leaps_for_hours_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A live WebM does not say when it ends."""
    path = browser_webm(tmp_path / "leap.webm", [0, 40, 80, 40_000_000, 40_000_040])
    stamps = times_ms(path)
    assert len(stamps) == 5
    assert stamps[-1] < 1000
    assert caplog.text.count("not in order") == 1


def test_the_times_of_pictures_in_a_folder_are_even(tmp_path: Path) -> None:
    import cv2

    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((32, 32, 3), k, np.uint8))
        time.sleep(0.01)
    stamps = times_ms(tmp_path)
    assert stamps == [0, 33, 67]


def test_the_log_is_not_ffmpegs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What a damaged file makes FFmpeg say never reaches the terminal; we say it once."""
    path = write_video(tmp_path / "a.mp4", [k * 40 for k in range(30)])
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat") + 800
    data[start : start + 900] = bytes(900)
    path.write_bytes(data)
    logging.getLogger("rtrecon").setLevel(logging.ERROR)
    try:
        times_ms(path)
    finally:
        logging.getLogger("rtrecon").setLevel(logging.NOTSET)
    said = capfd.readouterr()
    assert said.out + said.err == ""
