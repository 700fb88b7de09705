"""What is written: never through a link, never over a device, never with rights of its own."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtrecon.errors import DataError, OutputError
from rtrecon.files import Draft, check_target, make_draft_folder, write_files, write_json
from rtrecon.geometry.mesh import Mesh
from rtrecon.mesh.mesh_files import encode_mesh

Cli = Callable[..., tuple[int, str, str]]

posix = pytest.mark.skipif(sys.platform == "win32", reason="links, FIFOs and rights of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_temporary_names_cannot_be_foreseen(tmp_path: Path) -> None:
    parts = {Draft(tmp_path / "face.glb").part.name for _ in range(64)}
    assert len(parts) == 64
    assert all(re.fullmatch(r"\.face\.[0-9a-f]{16}\.part\.glb", name) for name in parts)
    assert not any(str(os.getpid()) == name.split(".")[2] for name in parts)


@posix
def test_a_link_in_the_way_of_a_temporary_file_is_not_followed(tmp_path: Path) -> None:
    draft, victim = Draft(tmp_path / "a.bin"), tmp_path / "victim"
    victim.write_bytes(b"precious")
    draft.part.symlink_to(victim)
    with pytest.raises(OutputError, match="File exists"):
        draft.open()
    assert victim.read_bytes() == b"precious"


@posix
def test_a_link_that_has_the_name_is_replaced_and_its_end_stays(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "stats.json"
    victim.write_bytes(b"precious")
    path.symlink_to(victim)
    write_json(path, {"fps": 30})
    assert victim.read_bytes() == b"precious"
    assert not path.is_symlink()


@posix
def test_a_dangling_link_counts_as_a_file_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "face.ply"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is there already"):
        write_files({path: b"x"}, overwrite=False)
    assert names(tmp_path) == ["face.ply"]


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_files_have_the_rights_that_the_umask_gives(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        write_files({tmp_path / "face.glb": b"x"})
        folder = make_draft_folder(tmp_path / "model")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "face.glb").stat().st_mode) == mode
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask


@posix
def test_a_replaced_file_keeps_its_rights_from_the_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "face.glb"
    path.write_bytes(b"old")
    path.chmod(0o600)
    draft = Draft(path)
    with draft.open() as file:
        assert stat.S_IMODE(draft.part.stat().st_mode) == 0o600
        file.write(b"new")
    draft.complete()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_was_taken_meanwhile_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "preview.mp4"
    draft = Draft(path)
    draft.reserve().write_bytes(b"ours")
    path.write_bytes(b"theirs")
    with pytest.raises(OutputError, match="is there already"):
        draft.complete(overwrite=False)
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["preview.mp4"]


def test_a_name_is_taken_on_a_disk_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for content in (b"first", b"second"):
        draft = Draft(tmp_path / "a.bin")
        draft.reserve().write_bytes(content)
        if content == b"first":
            draft.complete(overwrite=False)
        else:
            with pytest.raises(OutputError, match="is there already"):
                draft.complete(overwrite=False)
    assert (tmp_path / "a.bin").read_bytes() == b"first"
    assert names(tmp_path) == ["a.bin"]


@posix
def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    before = Path("/dev/null").stat()
    write_json(Path("/dev/null"), {"fps": 30})
    after = Path("/dev/null").stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (before.st_ino, before.st_mode) == (after.st_ino, after.st_mode)
    link = tmp_path / "nothing"
    link.symlink_to("/dev/null")
    write_files({link: b"x"}, overwrite=False)
    assert link.is_symlink()
    with pytest.raises(OutputError, match="/dev/full"):
        write_json(Path("/dev/full"), {"fps": 30})


@posix
def test_a_fifo_is_written_to_and_stays(tmp_path: Path) -> None:
    fifo, got = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: got.append(fifo.read_text(encoding="utf-8")))
    reader.start()
    long = {"values": list(range(50_000))}  # more than a pipe holds
    write_json(fifo, long)
    reader.join(30)
    assert json.loads(got[0]) == long
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert names(tmp_path) == ["fifo"]


@posix
def test_a_fifo_without_a_reader_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtrecon.files._READER_TIMEOUT_S", 0.1)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OutputError, match="nobody reads"):
        write_json(tmp_path / "fifo", {})
    held = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)  # a reader that never reads
    try:
        with pytest.raises(OutputError, match="takes nothing"):
            write_files({tmp_path / "fifo": bytes(1 << 20)})
    finally:
        os.close(held)


@posix
def test_standard_output_into_a_file_is_gone_on_with(tmp_path: Path) -> None:
    """Opened anew it would be emptied, and what follows would be written with a gap."""
    program = (
        "from pathlib import Path; from rtrecon.files import write_json\n"
        "print('before'); write_json(Path('/dev/stdout'), {'fps': 30}); print('after')"
    )
    with (tmp_path / "out.txt").open("wb") as out:
        subprocess.run([sys.executable, "-P", "-c", program], stdout=out, check=True)
    lines = (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert json.loads("".join(lines[1:-1])) == {"fps": 30}


def test_numbers_that_json_does_not_have_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": [float("inf"), {"c": (1.5,)}]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {"a": None, "b": [None, {"c": [1.5]}]}


def test_a_long_name_of_many_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 120 + "." + "x" * 12)
    write_files({path: b"x"})
    assert names(tmp_path) == [path.name]
    with pytest.raises(OutputError, match="cannot write"):
        write_files({tmp_path / ("a" * 300): b"x"})
    with pytest.raises(OutputError, match="cannot write"):
        write_files({tmp_path / "a\0b": b"x"})
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize(
    "command",
    [
        ("run", "demo", "--view", "none", "--max-frames", 1, "--stats"),
        ("image", "nothing.jpg", "--stats"),
        ("archive", "nothing.mp4", "--out", "out", "--stats"),
        ("eval", "nothing", "--stats"),
        ("eval", "nothing", "--json"),
        ("bench", "nothing.mp4", "--json"),
        ("bench", "nothing.mp4", "--csv"),
        ("bench", "nothing.mp4", "--html"),
    ],
)
def test_a_folder_instead_of_a_file_is_said_at_once(
    run_cli: Cli, tmp_path: Path, command: tuple[object, ...]
) -> None:
    code, out, err = run_cli(*command, tmp_path)
    assert code in (1, 2)
    assert f"cannot write {tmp_path}: it is a folder" in err
    assert "nothing" not in err  # before the source is looked at
    assert "Traceback" not in err
    assert out == ""
    assert names(tmp_path) == []


def test_a_target_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "stats.json"
    path.write_bytes(b"old")
    check_target(path)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["stats.json"]
    with pytest.raises(OutputError, match="no folder"):
        check_target(tmp_path / "no" / "stats.json")
    with pytest.raises(OutputError, match=r"Not a directory|no folder"):
        check_target(path / "stats.json")


def test_an_obj_does_not_name_its_material_in_two_lines(tmp_path: Path) -> None:
    corners = np.eye(3, dtype=np.float32)
    mesh = Mesh(corners, np.array([[0, 1, 2]], np.int32), corners, np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match="names its material"):
        encode_mesh(mesh, tmp_path / "a\nmtllib evil.obj")
