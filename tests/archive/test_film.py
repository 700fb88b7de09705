"""A video read from any place: the pictures, numbers and times of reading it from its start."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rtrecon.archive.film import FilmPicture, film_pictures, scan_film
from rtrecon.capture import open_source
from rtrecon.errors import SourceError
from tests.archive.films import number_on, numbered, write_film

COUNT = 90
NS = 1_000_000_000
KINDS = {
    "a.mp4": {},
    "fragmented.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "a.mkv": {},
    "a.mov": {},
    "a.ts": {},
    "a.avi": {"codec": "mpeg4"},
    "a.webm": {"codec": "libvpx"},
}


def films(folder: Path, kind: str) -> Path:
    return write_film(folder / kind, numbered(COUNT), **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_are_what_a_single_pass_gives(kind: str, tmp_path: Path) -> None:
    path = films(tmp_path, kind)
    with open_source(path) as source:
        whole = [(frame.index, frame.t_media_ns, number_on(frame.image)) for frame in source]
    assert [number for _, _, number in whole] == list(range(COUNT))
    index = scan_film(path)
    assert index is not None
    assert len(index.times_ns) == COUNT
    assert not index.is_incomplete
    seams = [0, int(0.7 * NS), int(1.31 * NS), int(2.2 * NS), None]
    joined: list[FilmPicture] = []
    for start, end in pairwise(seams):
        joined += film_pictures(path, index, start or 0, end)
    read = [(p.number, p.t_ns, number_on(p.image)) for p in joined if p.image is not None]
    assert read == whole


def test_uneven_times_keep_their_numbers(tmp_path: Path) -> None:
    stamps = np.cumsum(np.random.default_rng(3).integers(1, 9, COUNT)).tolist()
    path = write_film(tmp_path / "a.mkv", numbered(COUNT), stamps=stamps)
    index = scan_film(path)
    assert index is not None
    half = index.times_ns[COUNT // 2]
    pictures = list(film_pictures(path, index, int(half), None))
    assert [p.number for p in pictures] == list(range(COUNT // 2, COUNT))
    assert [number_on(p.image) for p in pictures] == list(range(COUNT // 2, COUNT))


def test_without_times_it_is_read_from_its_start(tmp_path: Path) -> None:
    path = write_film(tmp_path / "raw.h264", numbered(COUNT))
    assert scan_film(path) is None
    read = [number_on(p.image) for p in film_pictures(path, None, 0, None)]
    assert read == list(range(COUNT))


def test_a_film_that_was_cut_off_is_told(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", numbered(COUNT), movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    index = scan_film(path)
    assert index is not None
    assert index.is_incomplete
    assert index.should_count == COUNT


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no film" * 99)
    with pytest.raises(SourceError, match=r"a\.mp4 is not a video"):
        scan_film(path)
