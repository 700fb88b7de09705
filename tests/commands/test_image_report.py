"""Of each face and each failure a line of JSON to programs, a row to people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.pictures import encoded, portrait

Cli = Callable[..., tuple[int, str, str]]
KEYS = [
    *("picture", "face", "score", "box_px", "landmarks_px", "distance_m", "points"),
    *("intrinsics", "turned_deg", "files"),
]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "anna\x1b[31m.png").write_bytes(encoded(portrait(), "PNG"))
    (folder / "broken.jpg").write_bytes(b"hello")
    return folder


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_line_for_each_face_and_each_failure(
    run_cli: Cli, photos: Path, tmp_path: Path, dome_model: Path, option: list[str]
) -> None:
    gone = tmp_path / "gone.png"
    arguments = (gone, photos, "--model", dome_model, "-o", tmp_path / "out", "--formats", "ply")
    code, out, err = run_cli("image", *arguments, *option)
    assert code == 1
    missing, face, broken = (json.loads(line) for line in out.splitlines())
    assert list(face) == KEYS
    assert (face["picture"], face["face"]) == (str(photos / "anna\x1b[31m.png"), 0)
    assert all(Path(file).is_file() for file in face["files"])
    for line, picture in ((missing, gone), (broken, photos / "broken.jpg")):
        assert list(line) == ["picture", "face", "error"]
        assert (line["picture"], line["face"]) == (str(picture), None)
        assert line["error"] in err


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals to make there")
@pytest.mark.parametrize("option", [[], ["--json"]])
def test_a_table_at_a_terminal(
    photos: Path, tmp_path: Path, dome_model: Path, option: list[str]
) -> None:
    outer, inner = os.openpty()
    command = [sys.executable, "-m", "rtrecon", "image", str(photos), "--model", str(dome_model)]
    done = subprocess.run(
        [*command, "--formats", "none", *option],
        stdout=inner,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    os.close(inner)
    shown = os.read(outer, 1 << 16).decode()
    os.close(outer)
    assert done.returncode == 1, done.stderr
    assert "\x1b" not in shown  # no name moves the cursor
    rows = shown.split("\r\n")
    if option:
        assert [json.loads(row)["face"] for row in rows[:2]] == [0, None]
        return
    assert rows[0].split() == ["PICTURE", "FACE", "DISTANCE", "SIZE/PX", "SCORE", "FILES"]
    assert rows[1].startswith("anna\\x1b[31m.png     0  ")
    assert " m " in rows[1]
    assert rows[2].split() == ["broken.jpg", "-", "-", "-", "-", "failed"]
    assert (
        len({row.index(column) for row, column in ((rows[0], "FILES"), (rows[2], "failed"))}) == 1
    )
