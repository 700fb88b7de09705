"""``rtrecon calibrate``, from its source to the file that is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.avatar import guide
from rtrecon.avatar.profile import CalibrationProfile
from rtrecon.profiles import ProfileStore
from tests.avatar.test_profile import profile_of

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that are as short as can be."""
    for name, value_s in (("_READ_S", 0.1), ("_REST_S", 0.2), ("_WAIT_S", 0.1)):
        monkeypatch.setattr(guide, name, value_s)


def film_of(picture: np.ndarray, path: Path, count: int = 60) -> Path:
    height, width = picture.shape[:2]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30, (width, height))
    for _ in range(count):
        video.write(picture)
    video.release()
    return path


def test_step_by_step_to_a_file(
    run_cli: Cli, quick: None, config_folder: Path, tmp_path: Path
) -> None:
    code, out, err = run_cli(
        "calibrate", "demo", "--person", "anna", "--stats", tmp_path / "s.json"
    )
    assert code == 0, err
    steps = [line.split("  ")[0] for line in out.splitlines()[1:6]]
    assert steps == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert "not seen, as it was before" in out
    assert "the face was not at rest (mouthSmile" in err  # of the clip's person
    (path,) = config_folder.rglob("*.json")
    assert str(path) in out
    kept = ProfileStore().load("demo", "anna")
    assert isinstance(kept, CalibrationProfile)
    assert kept.head is not None
    assert 0.4 < kept.head.position_m[2] < 0.7
    assert json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))["frames_processed"] > 20


def test_a_film_needs_a_person(run_cli: Cli, config_folder: Path) -> None:
    code, _, err = run_cli("calibrate", "demo")
    assert code == 2
    assert "demo is no camera: give --person NAME" in err
    assert not config_folder.exists()


def test_no_face(
    run_cli: Cli, quick: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(guide, "_GIVE_UP_S", 1.0)
    film = film_of(np.zeros((120, 160, 3), np.uint8), tmp_path / "dark.mp4")
    before = ProfileStore().save(str(film), "anna", profile_of(jawOpen=0.7)).read_bytes()
    code, _, err = run_cli("calibrate", film, "--person", "anna")
    assert code == 1
    assert "no face was seen for 1 s" in err
    assert "what was kept before stays" in err
    assert ProfileStore().path(str(film), "anna").read_bytes() == before


def test_a_film_that_is_too_short(run_cli: Cli, tmp_path: Path) -> None:
    film = film_of(np.zeros((120, 160, 3), np.uint8), tmp_path / "dark.mp4", 5)
    code, _, err = run_cli("calibrate", film, "--person", "anna")
    assert code == 1
    assert "the source ended before all was seen" in err


def test_a_model_without_coefficients(run_cli: Cli, dome_model: Path, config_folder: Path) -> None:
    code, _, err = run_cli("calibrate", "demo", "--person", "anna", "--model", dome_model)
    assert code == 2
    assert "take --model face-dpt" in err
    assert not config_folder.exists()


def test_listed_and_forgotten(run_cli: Cli) -> None:
    code, out, _ = run_cli("calibrate", "--list")
    assert (code, "nothing is kept" in out) == (0, True)
    store = ProfileStore()
    for camera, person in (("Left", "anna"), ("Right", "anna"), ("Left", "anna b")):
        store.save(camera, person, profile_of())
    store.path("Old", "anna").write_text("damaged", encoding="utf-8")
    code, out, _ = run_cli("calibrate", "--list")
    assert "anna before Left, 2" in out
    assert "cannot be used (it is damaged" in out
    assert len(out.splitlines()) == 4
    code, out, _ = run_cli("calibrate", "--forget", "--person", "anna")
    assert (code, len(out.splitlines())) == (0, 3)
    assert [(s.camera, s.person) for s in store.stored()] == [("Left", "anna b")]
    code, _, err = run_cli("calibrate", "--forget")
    assert code == 2
    assert "nothing is kept of 'default': there is: anna b" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--list", "--forget"], "not both"),
        (["demo", "--list"], "leave out the SOURCE"),
        (["demo", "--person", " "], "person's name"),
        (["no-such-file.mp4", "--person", "a"], "no-such-file.mp4"),
        (["demo", "--person", "a", "--stats", "no/such/folder.json"], "no folder"),
    ],
)
def test_what_cannot_be(run_cli: Cli, arguments: list[str], words: str) -> None:
    code, _, err = run_cli("calibrate", *arguments)
    assert code in (1, 2)
    assert words in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_ctrl_c_keeps_what_was_kept(tmp_path: Path) -> None:
    folder = tmp_path / "rtrecon" / "calibration"
    path = ProfileStore(folder).save("demo", "anna", profile_of(jawOpen=0.7))
    before = path.read_bytes()
    home = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "rtrecon", "calibrate", "demo", "--person", "anna"],
        env={**os.environ, **home},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What was begun in the background by a shell ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("2/5"):
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert "what was kept before stays as it was" in err
    assert "Traceback" not in err
    assert path.read_bytes() == before
    assert list(folder.iterdir()) == [path]
