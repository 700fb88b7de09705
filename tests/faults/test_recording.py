"""A recording: whatever ends it, what was written stays, is said, and belongs to one run alone."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from rtrecon.draw.video_file import VideoFile
from rtrecon.errors import OutputError
from rtrecon.output import Run
from rtrecon.outputs.folder import claim_folder
from rtrecon.outputs.record import RecordOutput, write_snapshot
from tests.draw.heads import head, view_of
from tests.outputs.doubles import result

resource = pytest.importorskip("resource")  # not on Windows
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")

PATIENCE_S = 90.0
SIZE = (64, 48)


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as video:
        return [float(frame.time) for frame in video.decode(video=0)]


def noise(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)


def recording(folder: Path, frames: int = 5, *, first_s: float = 100.0) -> RecordOutput:
    recorder = RecordOutput(folder)
    recorder.open(Run(rate_hz=25.0))
    for k in range(frames):
        recorder.write(result(k, t_capture_ns=round((first_s + k / 25) * 1e9)))
    return recorder


def begin(folder: Path, model: Path, *options: object, **how: object) -> subprocess.Popen[str]:
    """A run in a process of its own that records the bundled clip over and over."""
    return subprocess.Popen(
        [
            sys.executable, "-m", "rtrecon", "run", "demo", "--loop", "--view", "none",
            "--model", str(model), "--record", str(folder), *map(str, options),
        ],
        stderr=subprocess.PIPE,
        text=True,
        # What a shell began in the background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **how,  # type: ignore[call-overload]
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process is None or process.poll() is None, "it has ended"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


# The file itself


def test_a_video_plays_in_browsers_and_has_its_index(tmp_path: Path) -> None:
    recording(tmp_path, 30).close()
    data = (tmp_path / "preview.mp4").read_bytes()
    assert data[4:8] == b"ftyp"
    with av.open(str(tmp_path / "preview.mp4")) as video:
        stream = video.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.frames == 30  # so its length is known before it is played


def test_without_x264_it_is_vp9(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"libvpx-vp9"})
    recording(tmp_path, 5).close()
    with av.open(str(tmp_path / "preview.mp4")) as video:
        assert video.streams.video[0].codec_context.name == "vp9"
    assert len(times_of(tmp_path / "preview.mp4")) == 5


def test_what_is_on_the_disk_plays_while_it_is_written(tmp_path: Path) -> None:
    """As after the power has gone: all but the last second."""
    video = VideoFile(tmp_path / "a.mp4", tmp_path / "a.part.mp4", SIZE, rate_hz=25)
    for k in range(100):
        video.write(noise(k), k / 25)
    seen = times_of(tmp_path / "a.part.mp4")
    assert 4.0 - 1.2 <= seen[-1] <= 4.0
    assert np.diff(seen) == pytest.approx(1 / 25, abs=1e-4)
    video.give_up()
    assert times_of(tmp_path / "a.part.mp4") == seen


def test_a_camera_that_was_away_ten_minutes_leaves_a_gap_and_no_pictures(tmp_path: Path) -> None:
    recorder = recording(tmp_path, 5)
    recorder.write(result(6, t_capture_ns=round(700 * 1e9)))
    recorder.close()
    seen = times_of(tmp_path / "preview.mp4")
    assert len(seen) == 6
    assert seen[-1] == pytest.approx(600.0, abs=1e-3)


def test_a_video_that_cannot_be_read_back_does_not_take_its_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recording(tmp_path, 30)
    fsync = os.fsync

    def lose(descriptor: int) -> None:  # a disk that says yes and keeps half
        fsync(descriptor)
        os.truncate(tmp_path / "preview.part.mp4", 6000)

    monkeypatch.setattr(os, "fsync", lose)
    with pytest.raises(OutputError, match="cannot be read back"):
        recorder.close()
    assert not (tmp_path / "preview.mp4").exists()
    assert (tmp_path / "preview.part.mp4").stat().st_size == 6000
    assert "preview.part.mp4 keeps what was written of the video, but cannot" in caplog.text


def test_a_disk_that_fails_when_all_should_be_on_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recording(tmp_path, 5)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"preview\.mp4: Input/output error"):
        recorder.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["poses.part.jsonl", "preview.part.mp4"]


def test_a_folder_that_goes_away_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "take"
    recorder = recording(folder, 5)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    with pytest.raises(OutputError, match="take"):
        recorder.close()


# The disk is full


def _limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_fails_the_run_and_keeps_what_plays(dome_model: Path, tmp_path: Path) -> None:
    take, stats = tmp_path / "take", tmp_path / "s.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "rtrecon", "run", "demo", "--loop", "--view", "none",
            "--model", str(dome_model), "--record", str(take), "--stats", str(stats),
        ],
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=_limited(600_000),
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"cannot write {take}/preview.mp4: File too large" in done.stderr
    assert "preview.part.mp4 keeps what was written of the video" in done.stderr
    assert "frames," in done.stderr  # the summary
    assert f"wrote {take}/preview.mp4" not in done.stderr
    assert len(times_of(take / "preview.part.mp4")) > 10
    assert not (take / "preview.mp4").exists()
    [output] = json.loads(stats.read_text(encoding="utf-8"))["outputs"]
    assert output["errors"] >= 1
    assert output["written"] > 10


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_full_disk(small_disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorder = RecordOutput(small_disk / "take")
    recorder.open(Run(rate_hz=25.0))
    with pytest.raises(OutputError, match="No space left on device"):  # noqa: PT012
        for k in range(2000):
            frame = result(k, t_capture_ns=k * 40_000_000)
            frame.frame.image[:] = noise(k)
            recorder.write(frame)
    with pytest.raises(OutputError, match="No space left on device"):
        recorder.close()
    assert len(times_of(small_disk / "take" / "preview.part.mp4")) > 10
    assert "keeps what was written" in caplog.text


def test_the_poses_alone_may_find_the_disk_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recording(tmp_path, 5)

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(recorder_poses, name)

        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    recorder_poses = recorder._poses
    monkeypatch.setattr(recorder, "_poses", Full())
    with pytest.raises(OutputError, match=r"poses\.jsonl: No space left"):
        recorder.write(result(9, t_capture_ns=200_000_000_000))
    recorder.close()
    assert lines(tmp_path / "poses.part.jsonl") == 5
    assert not (tmp_path / "poses.jsonl").exists()


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recording(tmp_path, 5)

    def fail(*_: object) -> None:
        raise ValueError("it cannot be drawn")

    monkeypatch.setattr("rtrecon.draw.composed.compose", fail)
    with pytest.raises(ValueError, match="drawn"):
        recorder.write(result(9, t_capture_ns=200_000_000_000))
    recorder.close()
    assert len(times_of(tmp_path / "preview.mp4")) == 5
    assert lines(tmp_path / "poses.jsonl") == 5


def test_stats_that_cannot_be_written_do_not_hide_what_failed_before(
    dome_model: Path, tmp_path: Path
) -> None:
    """The limit is below the size of both."""
    done = subprocess.run(
        [
            sys.executable, "-m", "rtrecon", "run", "demo", "--view", "none", "--model",
            str(dome_model), "--record", str(tmp_path / "take"), "--stats", str(tmp_path / "s"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=_limited(500),
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert re.search(r"cannot write .*/take/(preview.mp4|poses.jsonl): File too", done.stderr)
    assert "it plays as it is" not in done.stderr  # there is nothing to play yet
    assert f"cannot write {tmp_path}/s: File too large" in done.stderr
    assert "Traceback" not in done.stderr


# The end comes suddenly


def test_what_kill_9_leaves_plays_and_the_next_run_says_so(
    dome_model: Path, tmp_path: Path
) -> None:
    take = tmp_path / "take"
    process = begin(take, dome_model)
    try:
        wait_for(lambda: lines(take / "poses.part.jsonl") > 90, process)
    finally:
        process.kill()
        process.communicate()
    seen = times_of(take / "preview.part.mp4")
    assert len(seen) >= 45
    rows = (take / "poses.part.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["frame"] for row in rows[:-1]] == list(range(len(rows) - 1))

    second = begin(take, dome_model, "--max-frames", 5)
    _, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, err
    assert f"{take}/preview.part.mp4 was left by a run that ended suddenly" in err
    assert "VLC" in err
    assert times_of(take / "preview.part.mp4") == seen  # untouched
    [new] = [path for path in take.iterdir() if path.is_dir()]
    assert f"this one goes into {new}" in err
    assert {path.name for path in new.iterdir()} >= {"preview.mp4", "poses.jsonl"}


def test_a_recording_that_goes_on_is_not_said_to_be_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = recording(tmp_path, 3)
    second = recording(tmp_path, 3)
    assert "ended suddenly" not in caplog.text
    first.close()
    second.close()


def test_a_terminal_that_goes_away_takes_nothing_with_it(dome_model: Path, tmp_path: Path) -> None:
    """SIGHUP, and nobody reads what is said any more."""
    take = tmp_path / "take"
    process = begin(take, dome_model, "--stats", tmp_path / "s.json")
    assert process.stderr is not None
    try:
        wait_for(lambda: lines(take / "poses.part.jsonl") > 30, process)
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert len(times_of(take / "preview.mp4")) == lines(take / "poses.jsonl") > 30
    assert (tmp_path / "s.json").exists()


SLOW_END = """
import sys, time
from pathlib import Path
import rtrecon.outputs.record as record
from rtrecon.cli import main

complete = record.RecordOutput._complete_video

def slow(self):
    Path(sys.argv[1]).touch()
    time.sleep(float(sys.argv[2]))
    return complete(self)

record.RecordOutput._complete_video = slow
sys.exit(main(sys.argv[3:]))
"""


@pytest.mark.parametrize(("signals", "pause_s", "code"), [(2, 2.0, 0), (3, 25.0, -signal.SIGTERM)])
def test_signals_during_the_ending_wait_but_the_third_ends(
    signals: int, pause_s: float, code: int, dome_model: Path, tmp_path: Path
) -> None:
    take, ending = tmp_path / "take", tmp_path / "ending"
    process = subprocess.Popen(
        [
            sys.executable, "-c", SLOW_END, str(ending), str(pause_s), "run", "demo", "--loop",
            "--view", "none", "--model", str(dome_model), "--record", str(take),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: lines(take / "poses.part.jsonl") > 10, process)
        process.send_signal(signal.SIGTERM)
        wait_for(ending.exists, process)
        for _ in range(signals - 1):
            time.sleep(0.3)  # two of one kind at once would be one
            process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "files are being completed; once more ends this at once" in err
    assert (take / "preview.mp4").exists() == (code == 0)
    assert (take / "preview.part.mp4").exists() == (code != 0)


# Two runs, one folder


def test_many_recordings_at_once_have_a_folder_each(tmp_path: Path) -> None:
    claimed = []
    start = threading.Barrier(12)

    def claim() -> None:
        start.wait()
        claimed.append(claim_folder(tmp_path / "take"))

    threads = [threading.Thread(target=claim) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folders = {folder for folder, _ in claimed}
    assert len(folders) == 12
    assert tmp_path / "take" in folders
    for _, file in claimed:
        file.close()


def test_an_older_recording_stays_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recording(tmp_path, 5).close()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with caplog.at_level(logging.INFO, "rtrecon"):
        second = recording(tmp_path, 9)
        second.close()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before
    assert second.folder.parent == tmp_path
    assert f"this one goes into {second.folder}" in caplog.text
    assert len(times_of(second.folder / "preview.mp4")) == 9


@pytest.mark.parametrize("name", ["face7.ply", "preview.mp4", "poses.part.jsonl"])
def test_whatever_is_of_a_recording_keeps_the_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"older")
    recorder = recording(tmp_path, 3)
    recorder.close()
    assert recorder.folder != tmp_path
    assert (tmp_path / name).read_bytes() == b"older"


def test_a_link_laid_in_the_way_is_not_followed(tmp_path: Path) -> None:
    take, victim = tmp_path / "take", tmp_path / "victim"
    take.mkdir()
    (take / "preview.part.mp4").symlink_to(victim)
    (take / "poses.part.jsonl").symlink_to(victim)
    recorder = recording(take, 3)
    recorder.close()
    assert not victim.exists()
    assert recorder.folder != take


def test_a_name_taken_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    recorder = recording(tmp_path, 3)
    (tmp_path / "preview.mp4").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match=r"preview\.mp4: File exists"):
        recorder.close()
    assert (tmp_path / "preview.mp4").read_bytes() == b"somebody's"
    assert (tmp_path / "poses.jsonl").exists()


def test_two_snapshots_in_one_second_are_two(tmp_path: Path) -> None:
    paths = [*write_snapshot(tmp_path, view_of(head())), *write_snapshot(tmp_path, view_of(head()))]
    assert len(set(paths)) == 8
    assert all(path.exists() for path in paths)


@pytest.mark.parametrize("name", ["10:20:30", "what?rate_hz=5", "a b%20c", "file:x"])
def test_names_are_names(
    name: str, dome_model: Path, tmp_path: Path, run_cli: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, err = run_cli(
        "run", "demo", "--view", "none", "--model", dome_model, "--max-frames", 3,
        "--record", tmp_path / name,
    )  # fmt: skip
    assert code == 0, err
    assert len(times_of(tmp_path / name / "preview.mp4")) == 3
