"""The soak: that it runs the whole path, and that it sees what grows."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import soak
from soak import Row

LEVEL = Row(0, 0.0, 100.0, 200.0, 10, 9, 0, 0, 0, 0, (), ())


def test_every_frame_goes_through_every_output(tmp_path: Path) -> None:
    model = soak.tiny_model(tmp_path / "tiny")
    args = argparse.Namespace(
        frames=90, every=30, faces=1, out=[f"record:{tmp_path / 'take'}"], calibrate=True,
        unplug_every=0, json=tmp_path / "rows.json",
    )  # fmt: skip
    rows = soak.soak(args, model)
    last = rows[-1]
    assert last.frames == last.with_face == 90
    assert last.values_dropped == 0
    assert len(last.written) == 3
    assert last.written[0] + last.dropped[0] >= 89  # the last may still be in its slot
    assert last.dropped[0] == last.dropped[2] == 0
    assert last.written[1] + last.dropped[1] >= 88  # slow: how many of which, is the machine's


def test_a_camera_that_fails_again_and_again_comes_back(tmp_path: Path) -> None:
    args = argparse.Namespace(
        frames=60, every=20, faces=1, out=[], calibrate=False, unplug_every=15, json=None
    )
    rows = soak.soak(args, soak.tiny_model(tmp_path / "tiny"))
    assert rows[-1].reconnects >= 3


def test_what_is_level_has_not_grown() -> None:
    early = [replace(LEVEL, rss_mb=100.0, threads=20)] * 2  # before all was allocated
    assert soak.verdict(early + [replace(LEVEL, rss_mb=200.0 + k % 3) for k in range(10)]) == []


def test_what_grows_is_named() -> None:
    rows = [
        replace(LEVEL, rss_mb=200.0 + 2.0 * k, descriptors=10 + k, threads=9) for k in range(30)
    ]
    problems = "; ".join(soak.verdict(rows))
    assert "rss_mb" in problems
    assert "descriptors" in problems
    assert "threads" not in problems
