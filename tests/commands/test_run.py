from __future__ import annotations

import json
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
    assert code == 1
    assert "cannot make folder" in err


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
