"""Takes that were cut off, damaged or are none; disks that are full while one is recorded."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rtrecon
from rtrecon.errors import OutputError, SourceError
from rtrecon.output import Run
from rtrecon.outputs.take import TakeOutput
from rtrecon.takes.folder import Take
from rtrecon.takes.source import TakeSource
from tests.takes.moves import record, results

Cli = Callable[..., tuple[int, str, str]]
PATIENCE_S = 90.0


@pytest.fixture
def take(tmp_path: Path) -> Path:
    return record(tmp_path / "take", results(8), video=True)


def change(take: Path, **values: object) -> None:
    data = json.loads((take / "take.json").read_text())
    (take / "take.json").write_text(json.dumps({**data, **values}))


def play(take: Path) -> list[int]:
    with rtrecon.live(take, outputs=[], every_frame=True) as session:
        return [result.frame.index for result in session]


def rows(take: Path) -> list[int]:
    return [row.index for row in Take(take).rows() if row is not None]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot use"),
        (b"{", "cannot use"),
        (b"\x00\xff", "cannot use"),
        (b"[1]", "it is no take's"),
        (b'{"schema": "somebody else"}', "it is no take's"),
        (b'{"schema": "rtrecon-take", "version": 2}', "newer rtrecon (version 2 of a take"),
        (b'{"schema": "rtrecon-take", "version": "1"}', "not a number from 1 on"),
        (b'{"schema": "rtrecon-take", "version": 1}', '"clock" is None'),
        (b'{"schema": "rtrecon-take", "version": 1, "clock": "film", "fps": -3}', '"fps" is -3'),
        (b'{"schema": "rtrecon-take", "version": 1, "clock": "film", "fps": NaN}', "NaN"),
        (b'{"schema": "rtrecon-take", "version": 1, "clock": "film", "started": "now"}', "now"),
        (b'{"schema": "rtrecon-take", "version": 1, "clock": "film", "calibration": 3}', "object"),
    ],
)
@pytest.mark.parametrize("command", ["run", "take"])
def test_a_damaged_description(
    take: Path, run_cli: Cli, content: bytes, words: str, command: str
) -> None:
    (take / "take.json").write_bytes(content)
    options = ("--view", "none", "--out", "vmc") if command == "run" else ()
    code, _, err = run_cli(command, take, *options)
    assert code == 2, err
    assert str(take / "take.json") in err
    assert words in err
    assert "Traceback" not in err


def test_what_is_no_take(tmp_path: Path, run_cli: Cli) -> None:
    (tmp_path / "folder").mkdir()
    for what in (tmp_path / "folder", tmp_path / "nothing", Path(__file__)):
        code, _, err = run_cli("take", what)
        assert code == 2
        assert "is no take: there is no take.json in it" in err or "cannot read" in err


def test_results_that_are_lost(take: Path, run_cli: Cli) -> None:
    (take / "frames.jsonl").unlink()
    code, _, err = run_cli("run", take, "--view", "none", "--out", "vmc")
    assert code == 2
    assert "has lost its frames.jsonl" in err
    (take / "frames.jsonl").write_bytes(b"")
    code, _, err = run_cli("run", take, "--view", "none", "--out", "vmc")
    assert code == 2
    assert "has no results" in err


def test_pictures_that_are_lost(take: Path, tmp_path: Path, run_cli: Cli) -> None:
    (take / "video.mp4").unlink()
    code, _, err = run_cli("run", take, "--view", "none", "--out", f"record:{tmp_path / 'seen'}")
    assert code == 2
    assert "it needs the pictures" in err
    with pytest.raises(SourceError, match=r"has lost its video\.mp4"):
        TakeSource(Take(take), pictures=True)
    with pytest.raises(SourceError, match=r"has no video\.mp4"):
        rtrecon.open_source(take)
    assert rows(take) == list(range(5, 21, 2))


@pytest.mark.parametrize("kept", [1, 100, 5000])
def test_a_last_line_that_is_cut_off(
    take: Path, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = take / "frames.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:5]) + lines[5][:kept])
    change(take, frames=None, complete=False)
    assert rows(take) == [5, 7, 9, 11, 13]
    assert "was cut off: 5 results are whole" in caplog.text


def test_a_damaged_line_is_left_out_and_said_once(
    take: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = take / "frames.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"0.99", b"NaN", 1)
    lines[4] = b"\x00\xff\n"
    path.write_bytes(b"".join(lines))
    (take / "video.mp4").unlink()
    with rtrecon.live(take, every_frame=True) as session:
        session.wait()
        stats = session.stats()
    assert stats["frames_processed"] == 6
    assert stats["capture"]["frames_corrupt"] == 2
    said = [
        r.message for r in caplog.records if "damaged" in r.message and r.levelname == "WARNING"
    ]
    assert said == [f"{path}: line 3 is damaged and left out: NaN is no number of JSON"]


def test_a_video_that_ends_early(take: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = record(take.parent / "short", results(4), video=True)
    (take / "video.mp4").write_bytes((other / "video.mp4").read_bytes())
    with TakeSource(Take(take), pictures=True) as source:
        assert [frame.index for frame in source] == [5, 7, 9, 11]
    assert "ends before the results of the take do, at 0.10 s" in caplog.text


def test_no_video_at_all_behind_its_name(take: Path, run_cli: Cli, tmp_path: Path) -> None:
    (take / "video.mp4").write_bytes(b"no video")
    code, _, err = run_cli("run", take, "--view", "none", "--out", f"record:{tmp_path / 'seen'}")
    assert code == 2
    assert "is not a video that can be read" in err


# While it is recorded


def test_a_disk_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    output = TakeOutput(tmp_path / "take", video=False)
    output.open(Run())
    made = results(6)
    for result in made[:4]:
        output.write(result)
    file = output._rows

    class Full:
        """Takes half a line, then nothing."""

        left = 500

        def write(self, data: memoryview) -> int:
            if self.left == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            count, self.left = self.left, 0
            return file.write(data[:count])

        def __getattr__(self, name: str) -> object:
            return getattr(file, name)

    output._rows = Full()  # type: ignore[assignment]
    with pytest.raises(OutputError, match=r"cannot write .*frames\.jsonl: No space left"):
        output.write(made[4])
    output.close()
    assert "keeps the 4 results that were written: it can be played as it is" in caplog.text
    assert not Take(tmp_path / "take").info.is_complete
    assert rows(tmp_path / "take") == [5, 7, 9, 11]
    assert "cut off" not in caplog.text  # the half line is gone


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_run_whose_take_finds_the_disk_full_fails(tmp_path: Path, dome_model: Path) -> None:
    resource = pytest.importorskip("resource")
    command = [
        sys.executable, "-m", "rtrecon", "run", "demo", "--view", "none", "--model",
        str(dome_model), "--out", f"take:{tmp_path / 'take'}", "--max-frames", "60",
    ]  # fmt: skip

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    done = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=limit, timeout=PATIENCE_S
    )
    assert done.returncode == 1, done.stderr
    assert "cannot write" in done.stderr
    assert "File too large" in done.stderr
    assert len(rows(tmp_path / "take")) > 1


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make folder"):
        TakeOutput(tmp_path / "file" / "take").open(Run())


def test_what_cannot_be_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("no space")

    monkeypatch.setattr("rtrecon.outputs.take.write_json", full)
    with pytest.raises(OutputError, match="no space"):
        TakeOutput(tmp_path / "take").open(Run())
    assert list((tmp_path / "take").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_take_that_was_killed_can_be_played(
    tmp_path: Path, dome_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    take = tmp_path / "take"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "rtrecon", "run", "demo", "--loop", "--view", "none",
            "--model", str(dome_model), "--out", f"take:{take}",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline_s = time.monotonic() + PATIENCE_S
        path = take / "frames.jsonl"
        while not path.exists() or path.read_bytes().count(b"\n") < 100:
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    read = Take(take)
    assert not read.info.is_complete
    assert read.video == take / "video.part.mp4"
    assert len(rows(take)) >= 100
    with TakeSource(read, pictures=True) as source:
        assert len(list(source)) > 60
    assert len(play(take)) >= 1
    with rtrecon.open_source(take) as film:
        assert film.read() is not None
