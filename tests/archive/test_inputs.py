"""What PATHS, LISTs and GLOBs name, and what their results are called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rtrecon.archive.inputs import claim_names, find_inputs
from rtrecon.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/cam2.mp4", "a/cam10.mp4", "a/notes.md", "b/cam2.mp4", "b/1.jpg", "b/2.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path / "in"


def names(patterns: list[str], root: Path) -> list[str]:
    inputs, wrong = find_inputs(patterns)
    assert not wrong
    return [Path(one.path).relative_to(root).as_posix() for one in inputs]


def test_a_folder_is_all_videos_in_it_and_its_pictures_by_folder(folder: Path) -> None:
    inputs, wrong = find_inputs([str(folder)])
    assert not wrong
    assert [(one.kind, Path(one.path).relative_to(folder).as_posix()) for one in inputs] == [
        ("video", "a/cam2.mp4"),
        ("video", "a/cam10.mp4"),
        ("video", "b/cam2.mp4"),
        ("pictures", "b"),
    ]
    assert [Path(p).name for p in inputs[-1].pictures] == ["1.jpg", "2.png"]


def test_globs_lists_and_files(folder: Path) -> None:
    assert names([f"{folder}/**/cam2.mp4"], folder) == ["a/cam2.mp4", "b/cam2.mp4"]
    listed = folder.parent / "list.txt"
    listed.write_text("# mine\nin/b/cam2.mp4\n\nin/a/*.mp4\n", encoding="utf-8")
    assert names([str(listed)], folder) == ["b/cam2.mp4", "a/cam2.mp4", "a/cam10.mp4"]
    film = str(folder / "a" / "cam2.mp4")
    assert names([film, film, str(folder / "a")], folder) == ["a/cam2.mp4", "a/cam10.mp4"]


def test_results_are_no_inputs(folder: Path) -> None:
    inputs, _ = find_inputs([str(folder)], folder / "b")
    assert len(inputs) == 2


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nothing.mp4", "there is no file, folder, list or match of nothing.mp4"),
        ("rtsp://camera/live", "an archive is made of files"),
        ("a\0b", "NUL"),
    ],
)
def test_what_is_not_there_is_said(pattern: str, message: str, folder: Path) -> None:
    with pytest.raises(UserError, match=message):
        find_inputs([pattern])
    inputs, wrong = find_inputs([pattern, str(folder)])
    assert len(inputs) == 4
    assert message in str(wrong[0])


def test_empty_folders_and_lists_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no video and no picture"):
        find_inputs([str(tmp_path)])
    for text, message in (("\n# no\n", "names nothing"), ("other.txt", "another list")):
        (tmp_path / "list.txt").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=message):
            find_inputs([str(tmp_path / "list.txt")])


def test_names_are_kept_and_never_given_twice(folder: Path) -> None:
    inputs, _ = find_inputs([str(folder)])
    named = claim_names(inputs, {})
    first, other = named[0].name, named[2].name
    assert first == "cam2.mp4"
    assert other.startswith("cam2.mp4~")
    # The one that has its name keeps it, whoever comes first now.
    again = claim_names(reversed(inputs), {first: inputs[0].path})
    assert {one.path: one.name for one in again} == {one.path: one.name for one in named}


def test_a_change_of_a_file_is_seen(folder: Path) -> None:
    before, _ = find_inputs([str(folder)])
    os.utime(folder / "a" / "cam2.mp4", (1, 1))
    os.utime(folder / "b" / "1.jpg", (1, 1))
    after, _ = find_inputs([str(folder)])
    assert [a.stamp == b.stamp for a, b in zip(before, after, strict=True)] == [0, 1, 1, 0]
