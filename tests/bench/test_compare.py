from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rtrecon.bench.compare import compare_reports
from rtrecon.bench.report import read_report
from rtrecon.errors import DataError
from tests.bench.reports import MACHINE, report_of


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ([10.0, 10.1, 10.2], [14.0, 14.1, 14.2], "slower"),
        ([14.0, 14.1, 14.2], [10.0, 10.1, 10.2], "faster"),
        # Inside both spreads, however far the medians are apart.
        ([10.0, 14.0, 15.0], [13.0, 18.0, 19.0], "no difference within the spread"),
        # Beyond the spread, but so little that a warmer day makes it.
        ([10.0, 10.0, 10.0], [10.2, 10.2, 10.2], "no difference within the spread"),
        ([10.0], [20.0], "unknown"),
    ],
)
def test_verdicts_respect_the_spread(old: list[float], new: list[float], verdict: str) -> None:
    (found,), notes = compare_reports(report_of({"m": old}), report_of({"m": new}))
    assert found.verdict == verdict
    assert verdict in str(found)
    assert notes == []


def test_rows_are_matched_by_what_was_asked_for() -> None:
    old = report_of({"a": [10.0, 10.0], "b": [20.0, 20.0]})
    new = report_of({"b": [40.0, 40.0], "c": [1.0, 1.0]}, {"a": "it is gone"})
    found, _ = compare_reports(old, new)
    assert {c.label: c.verdict for c in found} == {"b": "slower", "c": "unknown", "a": "unknown"}
    assert "+100.0%" in str(found[0])
    assert "not measured then" in str(found[1])


def test_another_machine_or_source_is_said() -> None:
    old, new = report_of({"m": [10.0, 10.0]}), report_of({"m": [10.0, 10.0]})
    source = {**old.source, "name": "other.mp4"}
    old = replace(old, machine={**MACHINE, "cpu": "Another"}, source=source)
    _, notes = compare_reports(old, new)
    assert any("Another" in note for note in notes)
    assert any("other.mp4" in note for note in notes)


@pytest.mark.parametrize("busy", ["then", "now"])
def test_a_busy_machine_is_said(busy: str) -> None:
    loud = {**MACHINE, "load_average_1min": 1.5}
    old = report_of({"m": [10.0, 10.0]}, machine=loud if busy == "then" else MACHINE)
    new = report_of({"m": [10.0, 10.0]}, machine=loud if busy == "now" else MACHINE)
    _, (note,) = compare_reports(old, new)
    assert f"busy {busy} (load 1.50 on 2 cores)" in note


def test_another_provider_under_auto_is_said() -> None:
    old, new = report_of({"m": [10.0, 10.0]}), report_of({"m": [5.0, 5.0]})
    (row,) = new.rows
    assert row.used is not None
    new = replace(new, rows=(replace(row, used=replace(row.used, provider="cuda")),))
    (found,), _ = compare_reports(old, new)
    assert "provider cpu, now cuda" in str(found)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read"),
        ("not JSON", "no JSON"),
        ("[1]", "no benchmark"),
        ('{"format": "rtrecon-stats"}', "no benchmark"),
        ('{"format": "rtrecon-bench", "version": 99}', "version 99"),
        ('{"format": "rtrecon-bench", "version": 2, "rows": [1]}', "damaged"),
        ('{"format": "rtrecon-bench", "version": 1, "rows": []}', "version 1 of the format"),
    ],
)
def test_what_is_no_benchmark_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_report(path)


def test_a_report_survives_the_file(tmp_path: Path) -> None:
    report = report_of({"m": [10.0, 11.0]}, {"x": "gone"})
    path = tmp_path / "new.json"
    path.write_text(json.dumps(report.to_json()), encoding="utf-8")
    assert read_report(path) == report
