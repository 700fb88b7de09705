"""``rtrecon archive`` from its command line; tests/archive has the rest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="the extra `cluster` is not installed")

Cli = Callable[..., tuple[int, str, str]]
PORTRAIT = Path(__file__).parent.parent / "data" / "faces" / "portrait.jpg"


def test_one_worker_one_picture(run_cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    stats = tmp_path / "stats.json"
    asked = ("archive", PORTRAIT, tmp_path / "no.mp4", "--out", out, "--workers", 1)
    code, said, errors = run_cli(*asked, "--stats", stats)
    assert code == 1
    assert said == ""
    assert "there is no file, folder, list or match of" in errors
    assert "1 input done" in errors
    figures = json.loads(stats.read_text())
    assert (figures["inputs"], figures["done"], figures["pictures"]) == (1, 1, 1)
    assert (out / "faces" / "faces.parquet").is_file()
    code, _, errors = run_cli("archive", PORTRAIT, "--out", out)  # needs no Ray for nothing
    assert code == 0
    assert "the input is there already" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing.mp4",), "there is no file, folder, list or match"),
        ((PORTRAIT, "--workers", 0), "--workers must be"),
        ((PORTRAIT, "--segment-s", 0), "--segment-s must be"),
        ((PORTRAIT, "--segment-s", "nan"), "--segment-s must be"),
        ((PORTRAIT, "--warm-up-s", -1), "--warm-up-s must be"),
        ((PORTRAIT, "--mesh-every", 0), "--mesh-every must be"),
        ((PORTRAIT, "--gpu-share", -1), "--gpu-share must be"),
        ((PORTRAIT, "--model", "none-such"), "no depth model 'none-such'"),
        ((PORTRAIT, "--fov", 60, "--intrinsics", "a.json"), "not both"),
    ],
)
def test_mistakes_are_said_before_anything_is_done(
    arguments: tuple[object, ...], message: str, run_cli: Cli, tmp_path: Path
) -> None:
    code, _, errors = run_cli("archive", *arguments, "--out", tmp_path / "out")
    assert code == 2
    assert message in errors
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder(run_cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    code, _, errors = run_cli("archive", PORTRAIT, "--out", tmp_path / "out", "--workers", 1)
    assert code == 1
    assert "cannot make folder" in errors


@pytest.mark.parametrize("missing", ["ray", "pyarrow"])
def test_without_the_extra(
    missing: str, run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    workers = 2 if missing == "ray" else 1
    code, _, errors = run_cli("archive", PORTRAIT, "--out", tmp_path, "--workers", workers)
    assert code == 2
    assert f"{missing} is not installed" in errors.lower()
    assert "pip install 'rtrecon[cluster]'" in errors
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(200):
        (folder / str(k)).mkdir()
        shutil.copy(PORTRAIT, folder / str(k))
    command = ["-m", "rtrecon", "archive", str(folder), "--out", str(tmp_path / "out")]
    program = subprocess.Popen(
        [sys.executable, *command, "--workers", "1"], stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "out" / "0" / "video.json").exists():
        assert program.poll() is None
        time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "the same command goes on from there" in errors
    assert "interrupted" in errors
    done = len(list((tmp_path / "out").glob("*/video.json")))
    assert 0 < done < 200
    assert len(json.loads((tmp_path / "out" / "archive.json").read_text())["inputs"]) == done
    assert not list((tmp_path / "out").rglob("*.part*"))
    assert os.environ.get("RAY_AUTH_TOKEN") is None


def test_without_ray_no_empty_folder_is_left(
    run_cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, errors = run_cli("archive", PORTRAIT, "--out", tmp_path / "out", "--workers", 2)
    assert code == 2
    assert "rtrecon[cluster]" in errors
    assert not (tmp_path / "out").exists()
