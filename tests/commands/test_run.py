from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.stats import STAGES

Cli = Callable[..., tuple[int, str, str]]

STATS_FIELDS = {
    "frames_captured", "frames_processed", "frames_dropped", "frames_with_face", "fps",
    "latency_ms", "stage_ms", "peak_rss_mb", "model", "provider", "threads", "source", "versions",
    "outputs",
}  # fmt: skip


def test_demo_finds_the_face_in_every_frame(run_cli: Cli, dome_model: Path, tmp_path: Path) -> None:
    stats_path = tmp_path / "stats.json"
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "none", "--every-frame",
        "--max-frames", 60, "--stats", stats_path,
    )  # fmt: skip
    assert code == 0, err
    stats = json.loads(stats_path.read_text(encoding="utf-8"))
    assert set(stats) >= STATS_FIELDS
    assert stats["frames_processed"] == 60
    assert stats["frames_with_face"] == 60
    assert stats["frames_dropped"] == 0
    assert stats["source"]["width"] == 640
    assert list(stats["stage_ms"]) == list(STAGES)
    assert all(set(times) == {"p50", "p95", "p99"} for times in stats["stage_ms"].values())
    assert stats["stage_ms"]["depth"]["p50"] > 0
    assert stats["stage_ms"]["view"]["p50"] == 0
    assert "60 degrees" in err
    assert stats["warm_up"]["frames"] == 10
    assert f"latency p50 {stats['latency_ms']['p50']:.1f} ms" in err
    assert "(apart: the first 10 frames " in err


def test_without_a_display_files_are_written(
    run_cli: Cli, dome_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("rtrecon.outputs.window.display.sys.platform", "linux")
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli("run", "demo", "--model", dome_model, "--max-frames", 8)
    assert code == 0, err
    assert "no display" in err
    folder = tmp_path / "rtrecon-out"
    assert sorted(p.name for p in folder.iterdir()) == ["face0.ply", "poses.jsonl", "preview.mp4"]
    video = cv2.VideoCapture(str(folder / "preview.mp4"))
    pictures = [image for _ in range(20) for ok, image in [video.read()] if ok]
    assert len(pictures) == 8
    assert pictures[4].std() > 20
    rows = (folder / "poses.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 8
    assert len(json.loads(rows[-1])["faces"]) == 1
    assert (folder / "face0.ply").read_bytes().startswith(b"ply")


def test_a_window_that_cannot_be_is_an_error(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr("rtrecon.outputs.window.display.sys.platform", "linux")
    code, _, err = run_cli("run", "demo", "--view", "window")
    assert code == 2
    assert ":987" in err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.mp4", None, "missing.mp4"),
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"this is not a video" * 50, "not a video"),
        ("broken.jpg", b"\xff\xd8\xff\xe0 cut", "no picture"),
    ],
)
def test_bad_sources(
    run_cli: Cli, dome_model: Path, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, _, err = run_cli("run", path, "--model", dome_model, "--view", "none")
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_a_missing_camera(run_cli: Cli, dome_model: Path) -> None:
    code, _, err = run_cli("run", "97", "--model", dome_model, "--view", "none")
    assert code == 2
    assert "camera 97" in err
    assert "demo" in err


def test_stats_into_a_missing_folder_fail_with_a_reason(
    run_cli: Cli, dome_model: Path, tmp_path: Path
) -> None:
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "none", "--every-frame",
        "--max-frames", 2, "--stats", tmp_path / "no" / "stats.json",
    )  # fmt: skip
    assert code == 1
    assert "cannot write" in err
    assert "frames," not in err  # said before the run, not after it


def test_record_into_a_file_is_refused(run_cli: Cli, dome_model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "none", "--record", blocked / "sub"
    )
    assert code == 2
    assert "cannot make folder" in err


def test_two_whole_recordings_at_once(run_cli: Cli, dome_model: Path, tmp_path: Path) -> None:
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "none", "--out", f"record:{tmp_path / 'a'}",
        "--out", f"record:{tmp_path / 'b'}", "--max-frames", 12, "--stats", tmp_path / "s.json",
    )  # fmt: skip
    assert code == 0, err
    for name in "ab":
        assert (tmp_path / name / "face0.ply").is_file()
        rows = (tmp_path / name / "poses.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(rows) == 12
    outputs = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["outputs"]
    assert [o["target"] for o in outputs] == [str(tmp_path / "a"), str(tmp_path / "b")]
    for output in outputs:
        assert {
            "name": "record",
            "written": 12,
            "dropped": 0,
            "errors": 0,
        }.items() <= output.items()
        assert set(output["latency_ms"]) == {"p50", "p95", "p99"}


@pytest.mark.parametrize("bad", ["record:{}/file/sub", "nowhere:x", "record:{}?colour=red"])
def test_one_bad_output_leaves_the_others_whole(
    run_cli: Cli, dome_model: Path, tmp_path: Path, bad: str
) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    good = tmp_path / "good"
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "none", "--out", bad.format(tmp_path),
        "--record", good, "--max-frames", 6,
    )  # fmt: skip
    assert code == 1
    assert len([line for line in err.splitlines() if "error" in line]) == 1
    assert {p.name for p in good.iterdir()} == {"face0.ply", "poses.jsonl", "preview.mp4"}


def test_a_window_where_there_is_none_and_a_recording(
    run_cli: Cli, dome_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was named and does not work is an error; what works goes on."""
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr("rtrecon.outputs.window.display.sys.platform", "linux")
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--view", "window", "--record", tmp_path / "a",
        "--max-frames", 5,
    )  # fmt: skip
    assert code == 1
    assert ":987" in err
    assert (tmp_path / "a" / "face0.ply").is_file()


def test_an_output_named_without_a_display_needs_no_files(
    run_cli: Cli, dome_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("rtrecon.outputs.window.display.sys.platform", "linux")
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli(
        "run", "demo", "--model", dome_model, "--out", "record:take", "--max-frames", 5
    )
    assert code == 0, err
    assert [p.name for p in tmp_path.iterdir()] == ["take"]


def test_outputs_are_listed(run_cli: Cli) -> None:
    code, out, _ = run_cli("outputs", "--json")
    assert code == 0
    listed = {entry["name"]: entry for entry in json.loads(out)}
    assert set(listed) >= {"window", "record"}
    assert listed["record"]["missing"] == ""
    assert listed["window"]["options"] == {"width": "1280", "height": "720"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGHUP", None)])
def test_a_signal_ends_a_run_with_whole_files(
    how: signal.Signals, dome_model: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [
            sys.executable, "-m", "rtrecon", "run", "demo", "--loop", "--model", str(dome_model),
            "--view", "none", "--record", str(tmp_path / "take"),
            "--stats", str(tmp_path / "s.json"),
        ],
        stderr=subprocess.PIPE,
        text=True,
        # What was begun in the background by a shell ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    take = tmp_path / "take"
    deadline_s = time.monotonic() + 60
    try:
        while not any(part.stat().st_size for part in take.glob("poses.part.jsonl")):
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "interrupted" in err
    assert {p.name for p in take.iterdir()} >= {"poses.jsonl", "preview.mp4"}
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["frames_processed"] > 0


def test_a_folder_of_pictures_without_faces(run_cli: Cli, dome_model: Path, tmp_path: Path) -> None:
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((120, 160, 3), 40 * k, np.uint8))
    stats_path = tmp_path / "stats.json"
    code, _, err = run_cli(
        "run", tmp_path, "--model", dome_model, "--view", "none", "--every-frame",
        "--stats", stats_path,
    )  # fmt: skip
    assert code == 0, err
    stats = json.loads(stats_path.read_text(encoding="utf-8"))
    assert (stats["frames_processed"], stats["frames_with_face"]) == (3, 0)
