"""Files are whole or not there, whatever happens on the way and whoever writes beside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rtrecon.errors import OutputError
from rtrecon.files import Draft, check_target, make_folder, write_files, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"x": 1}
    with pytest.raises(OutputError, match="cannot write"):
        write_json(tmp_path / "missing" / "a.json", {})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": object()})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"x": 1}
    assert names(tmp_path) == ["a.json"]


def test_what_is_read_is_never_written_over(tmp_path: Path) -> None:
    film, link = tmp_path / "film.mp4", tmp_path / "link.mp4"
    film.write_bytes(b"film")
    link.symlink_to(film)
    for target, read in ((film, str(film)), (film, link), (link, film)):
        with pytest.raises(OutputError, match="it is what is read"):
            check_target(target, ["0", read])
    check_target(tmp_path / "stats.json", ["0", film, tmp_path / "not-there"])
    assert names(tmp_path) == ["film.mp4", "link.mp4"]


def test_all_files_or_none(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.bin", tmp_path / "missing" / "b.bin"
    with pytest.raises(OutputError, match=r"b\.bin"):
        write_files({good: b"1", bad: b"2"})
    assert names(tmp_path) == []
    write_files({good: b"1"})
    with pytest.raises(OutputError, match="--overwrite"):
        write_files({tmp_path / "c.bin": b"3", good: b"2"}, overwrite=False)
    assert names(tmp_path) == ["a.bin"]
    assert good.read_bytes() == b"1"


def test_a_draft_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with Draft(path) as draft:
        draft.part.write_bytes(b"new")
        assert draft.part.suffix == ".mp4"  # encoders go by it
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["clip.mp4"]


def test_a_draft_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(error: Exception) -> None:
        with Draft(path) as draft:
            draft.part.write_bytes(b"half")
            raise error

    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())
    with pytest.raises(OutputError, match=r"a\.bin: No space left"):
        fail(OSError(28, os.strerror(28)))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_folder_is_no_place_for_a_draft(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        Draft(tmp_path).open()
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}*"))


def test_two_drafts_of_one_name_do_not_meet(tmp_path: Path) -> None:
    one, other = Draft(tmp_path / "a.txt"), Draft(tmp_path / "a.txt")
    one.part.write_text("one", encoding="utf-8")
    other.part.write_text("other", encoding="utf-8")
    assert one.complete().read_text(encoding="utf-8") == "one"
    assert other.complete().read_text(encoding="utf-8") == "other"


def test_folders_are_made_with_their_parents(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make folder"):
        make_folder(tmp_path / "file" / "b")
