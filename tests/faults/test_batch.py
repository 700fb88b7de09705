"""`rtrecon image` over many pictures: what fails is named and counted, and the rest goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from rtrecon.commands import picture_queue
from rtrecon.commands.image import ImageConfig, run_image
from rtrecon.errors import DataError, OutputError
from rtrecon.pipeline import Reconstructor
from tests.faults.pictures import encoded, portrait

Batch = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def face_png() -> bytes:
    return encoded(portrait(), "PNG")


@pytest.fixture
def photos(tmp_path: Path, face_png: bytes) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "anna.png").write_bytes(face_png)
    return folder


@pytest.fixture
def batch(dome_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Batch:
    def run(*paths: Path | str, **options: Any) -> tuple[int, list[dict[str, Any]]]:
        options = {"out": tmp_path / "out", "formats": "ply", **options}
        config = ImageConfig(
            paths=[str(p) for p in paths],
            model=str(dome_model),
            provider="cpu",
            threads=1,
            stats=tmp_path / "stats.json",
            **options,
        )
        code = run_image(config)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return code, [line for line in lines if "error" not in line]

    return run


def counted(tmp_path: Path) -> tuple[int, int, int]:
    stats = json.loads((tmp_path / "stats.json").read_text())
    return stats["pictures"], stats["failed"], stats["faces"]


def test_what_is_no_picture_is_named_and_the_rest_goes_on(
    batch: Batch, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "aaa.jpg").mkdir()
    os.mkfifo(photos / "bbb.jpg")
    (photos / "ccc.jpg").symlink_to(photos / "nowhere")
    (photos / "ddd.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    code, lines = batch(photos, photos / "gone.png", tmp_path / "nothing*.jpg")
    assert code == 1
    assert [line["picture"] for line in lines] == [str(photos / "anna.png")]
    assert counted(tmp_path) == (7, 6, 1)
    for said in ("aaa.jpg is a folder", "bbb.jpg is a pipe", "ccc.jpg: No such file"):
        assert any(said in message for message in caplog.messages), said
    assert any("ddd.jpg" in m and "gone.png" not in m for m in caplog.messages)
    assert any("gone.png" in message for message in caplog.messages)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["anna.face0.ply"]


def test_without_one_picture_it_is_the_users_mistake(batch: Batch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png"):
        batch(tmp_path / "gone.png", tmp_path / "too.png")


@pytest.mark.parametrize(
    "thrown", [MemoryError("no more"), RecursionError("deep"), SyntaxError("x"), ValueError("y")]
)
def test_whatever_is_thrown_is_that_pictures_failure(
    batch: Batch,
    photos: Path,
    face_png: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    thrown: Exception,
) -> None:
    (photos / "zoe.png").write_bytes(face_png)
    real, calls = Reconstructor.__call__, []

    def fails_once(self: Reconstructor, frame: Any) -> Any:
        calls.append(frame)
        if len(calls) == 1:
            raise thrown
        return real(self, frame)

    monkeypatch.setattr(Reconstructor, "__call__", fails_once)
    code, lines = batch(photos, debug=True)
    assert (code, len(lines)) == (1, 1)
    assert lines[0]["picture"].endswith("zoe.png")
    assert counted(tmp_path) == (2, 1, 1)
    (record,) = (r for r in caplog.records if "anna.png" in r.getMessage())
    assert type(thrown).__name__ in record.getMessage()
    assert record.exc_info is not None  # --debug shows where


def test_ctrl_c_is_no_pictures_failure(
    batch: Batch, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Reconstructor, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        batch(photos)
    assert counted(tmp_path) == (0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
def test_names_that_are_not_utf8_too_long_or_with_line_breaks(
    batch: Batch, photos: Path, face_png: bytes, tmp_path: Path
) -> None:
    (photos / "anna.png").unlink()
    for name in (b"caf\xe9.png", b"a\nb.png", b"x" * 251 + b".png", "é".encode() * 125 + b".png"):
        Path(os.fsdecode(os.fsencode(photos) + b"/" + name)).write_bytes(face_png)
    code, lines = batch(photos, formats="obj,glb,npz,png")
    assert code == 0
    assert len(lines) == 4
    for line in lines:
        files = [Path(file) for file in line["files"]]
        assert all(file.is_file() for file in files)
        (obj,) = (file for file in files if file.suffix == ".obj")
        named = obj.read_bytes().split(b"\n")[1].removeprefix(b"mtllib ")
        assert named == os.fsencode(obj.with_suffix(".mtl").name)
    stems = {os.fsencode(Path(line["files"][0]).name).split(b".")[0] for line in lines}
    assert b"caf\xe9" in stems
    assert b"a_b" in stems
    assert sum(b"~" in stem for stem in stems) == 2


def test_two_pictures_of_one_name_are_not_mixed(
    batch: Batch, photos: Path, face_png: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "Anna.PNG").write_bytes(face_png)
    (photos / "deep").mkdir()
    (photos / "deep" / "anna.png").write_bytes(face_png)
    code, lines = batch(photos, photos / "deep", overwrite=True)
    assert (code, len(lines)) == (1, 1)
    assert counted(tmp_path) == (3, 2, 1)
    assert sum("under the names of" in message for message in caplog.messages) == 2


def test_a_picture_that_vanishes_on_the_way(
    batch: Batch, photos: Path, face_png: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (photos / "zoe.png").write_bytes(face_png)
    real = picture_queue.find_pictures

    def then_gone(patterns: list[str]) -> list[Path]:
        found = real(patterns)
        (photos / "anna.png").unlink()
        return found

    monkeypatch.setattr(picture_queue, "find_pictures", then_gone)
    code, lines = batch(photos)
    assert (code, [Path(line["picture"]).name for line in lines]) == (1, ["zoe.png"])


def test_without_threads_pictures_are_read_one_after_the_other(
    batch: Batch, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(picture_queue.ThreadPoolExecutor, "submit", refuse)
    assert batch(photos)[0] == 0


def test_large_pictures_are_not_read_ahead(
    batch: Batch, photos: Path, face_png: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "zoe.png").write_bytes(face_png)
    real, done = picture_queue.read_picture, []

    def noting(path: Path) -> Any:
        done.append(path.name)
        return real(path)

    monkeypatch.setattr(picture_queue, "read_picture", noting)
    monkeypatch.setattr(picture_queue, "_AHEAD_PX", 1000)
    seen = []
    for path, read in picture_queue.read_ahead([photos / "anna.png", photos / "zoe.png"]):
        time.sleep(0.1)
        seen.append(list(done))
        assert read().path == path
    assert seen == [[], ["anna.png"]]


def test_an_output_folder_that_cannot_be_written_is_said_first(
    batch: Batch, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(OutputError, match="out"):
        batch(photos)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OutputError, match="loop"):
        batch(photos, out=tmp_path / "loop")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's full device")
def test_standard_output_that_is_full_ends_with_a_word(
    dome_model: Path, photos: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "rtrecon", "image", str(photos), "--formats", "none"]
    command += ["--model", str(dome_model), "--provider", "cpu"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=100
        )
    assert done.returncode == 1
    assert "standard output" in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_leaves_whole_files_and_the_figures(
    dome_model: Path, photos: Path, face_png: bytes, tmp_path: Path
) -> None:
    for number in range(200):
        (photos / f"{number}.png").write_bytes(face_png)
    command = [sys.executable, "-m", "rtrecon", "image", str(photos), "--formats", "glb,obj"]
    command += ["--model", str(dome_model), "--provider", "cpu", "--stats", "stats.json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=60)
    assert run.returncode == 130
    written = list((tmp_path / "rtrecon-out").iterdir())
    assert not [path for path in written if ".part" in path.name]
    assert 1 <= counted(tmp_path)[2] < 200
    for path in written:
        if path.suffix == ".glb":
            mesh = trimesh.load_mesh(path, process=False)
            assert len(mesh.faces) > 100


def test_what_is_written_is_read_back_by_another_program(
    batch: Batch, photos: Path, tmp_path: Path
) -> None:
    _, (line,) = batch(photos, formats="glb,obj,ply")
    meshes = [
        trimesh.load_mesh(path, process=False)
        for path in line["files"]
        if path.endswith((".glb", ".obj", ".ply"))
    ]
    assert len(meshes) == 3
    assert len({len(mesh.faces) for mesh in meshes}) == 1
    for mesh in meshes[1:]:
        np.testing.assert_allclose(mesh.extents, meshes[0].extents, atol=2e-6)
        np.testing.assert_allclose(mesh.area, meshes[0].area, rtol=1e-3)
