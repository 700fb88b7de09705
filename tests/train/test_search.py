"""Sizes are compared on what the same training gives, and the front is the true one."""

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from rtrecon.errors import ModelError
from rtrecon.train.network import SIZES
from rtrecon.train.search import SearchRow, format_search, pareto, search_sizes
from tests.train.test_network import SMALL


def test_front_keeps_what_nothing_beats():
    rows = [
        SearchRow("quick", 6.0, 16.0, 0.9, 5.0),
        SearchRow("good", 5.0, 14.0, 0.9, 9.0),
        SearchRow("beaten", 6.0, 15.0, 0.9, 7.0),
        SearchRow("slow", 5.5, 13.0, 0.9, 12.0),
    ]
    assert pareto(rows) == {"quick", "good"}
    table = format_search(rows).splitlines()
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| quick",
        "| beaten",
        "| good",
        "| slow",
    ]
    assert "yes" in table[2]
    assert "yes" not in table[3]


def test_two_sizes_are_trained_scored_and_timed(shards, one_thread, tmp_path, monkeypatch):
    names = ["depth 4", "stem 16-32-64"]
    for name, depth in zip(names, (1, 2), strict=True):
        monkeypatch.setitem(SIZES, name, replace(SMALL, depth=depth))
    rows = search_sizes(
        names, [shards], tmp_path, steps=2, batch=2, size_px=64, seeds=(1, 2), runs=2
    )
    assert [row.name for row in rows] == names
    assert all(row.mae_mm > 0 and row.cpu_ms > 0 for row in rows)
    assert (tmp_path / "depth-4-seed-2" / "weights.safetensors").is_file()
    # Two seeds are two trainings: their range is shown beside the mean.
    assert all(row.spread_mm > 0 for row in rows)
    assert format_search(rows).count("(range ") == 2


def test_unknown_size_is_named(shards, tmp_path):
    with pytest.raises(ModelError, match="no network size 'huge'"):
        search_sizes(["huge"], [shards], tmp_path, steps=1)
    assert "huge" not in SIZES
