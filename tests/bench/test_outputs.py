from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np
import pytest

from rtrecon.bench.charts import make_charts, nice_ticks
from rtrecon.bench.page import page_html
from rtrecon.bench.raster import draw_charts, draw_png
from rtrecon.bench.report import csv_text
from rtrecon.bench.table import LiveTable, final_table
from rtrecon.stats import WORK_STAGES
from tests.bench.reports import MACHINE, report_of

REPORT = report_of(
    {"one": [10.0, 10.5, 10.2], "two": [10.3, 10.6, 10.1], "three": [30.0, 31.0, 30.5]},
    {"lost <model>": "there is no depth model 'lost & gone'"},
)
EMPTY = report_of({}, {"lost": "gone"})
_VOID = {"meta", "br", "link", "img", "input", "hr"}


class _Balance(HTMLParser):
    """Fails on a tag that is not closed, or closed out of turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _parsed(page: str) -> _Balance:
    parser = _Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def test_the_page_is_whole_and_needs_no_network() -> None:
    page = page_html(REPORT, ["one: slower (1.00 to 2.00 ms, +100.0%)"])
    parser = _parsed(page)
    assert parser.seen.count("svg") == 4
    text = "".join(parser.text)
    for words in ("one", "lost <model>", "lost & gone", "Test & Sons <9000>", "+100.0%", "± is"):
        assert words in text
    assert "script" not in parser.seen
    assert "link" not in parser.seen
    assert not re.search(r"https?://|src=|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page
    used = set(re.findall(r"var\(--(\w+)\)", page))
    for ground in re.findall(r":root \{([^}]*)\}", page):
        assert used <= set(re.findall(r"--(\w+):", ground))


def test_the_page_of_nothing_but_failures() -> None:
    parser = _parsed(page_html(EMPTY))
    assert "svg" not in parser.seen
    assert "gone" in "".join(parser.text)


def test_bars_of_stages_are_as_long_as_the_frame() -> None:
    page = page_html(REPORT)
    (bars,) = re.findall(r'aria-label="Where the time goes">(.*?)</svg>', page, re.DOTALL)
    found = re.findall(
        r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"[^>]*><title>(\w+) ([\d.]+) ms', bars
    )
    first_row = [bar for bar in found if bar[1] == found[0][1]]
    assert [bar[3] for bar in first_row] == [*WORK_STAGES, "other"]
    total_ms = sum(float(bar[4]) for bar in first_row)
    assert REPORT.rows[0].unpaced is not None
    assert total_ms == pytest.approx(REPORT.rows[0].unpaced.frame.mean_ms, abs=0.01)
    ends = [float(x) + float(width) for x, _, width, *_ in first_row]
    starts = [float(x) for x, *_ in first_row]
    assert all(s >= e - 0.6 for s, e in zip(starts[1:], ends[:-1], strict=True))


def test_the_picture_shows_bars() -> None:
    image = cv2.imdecode(np.frombuffer(draw_png(REPORT), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == draw_charts(REPORT).shape
    depth = np.all(image == (0xB2, 0x72, 0x00), axis=2)  # #0072b2
    rows = np.flatnonzero(depth.sum(axis=1) > 40)
    # One in the legend would be narrow: these are three bars, the third the longest.
    groups = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    widths = [int(depth[group].sum(axis=1).max()) for group in groups]
    assert len(widths) == 3
    assert widths[2] > 2 * widths[0]


def test_a_picture_of_nothing_but_failures_says_so() -> None:
    assert make_charts(EMPTY) == []
    assert draw_charts(EMPTY).std() > 1


def test_the_csv_has_a_line_a_row_with_numbers() -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(REPORT))))
    assert [line["asked_model"] for line in lines] == ["one", "two", "three", "lost <model>"]
    assert float(lines[2]["frame_median_ms"]) == pytest.approx(30.5, abs=0.2)
    assert lines[3]["frame_median_ms"] == ""
    assert "lost & gone" in lines[3]["error"]
    for name in lines[0]:
        assert not name.endswith(("median", "p95", "latency")), f"{name} has no unit"


def test_warnings_name_the_rows_that_cannot_be_told_apart() -> None:
    apart = [w for w in REPORT.warnings if "not to be told apart" in w]
    assert len(apart) == 1
    assert "one" in apart[0]
    assert "two" in apart[0]
    assert "three" not in apart[0]


def test_warnings_of_the_machine_and_of_noise() -> None:
    machine = {
        **MACHINE, "load_average_1min": 3.0, "governor": "powersave", "on_battery": True,
    }  # fmt: skip
    warnings = " / ".join(report_of({"m": [10.0, 20.0, 10.0]}, machine=machine).warnings)
    for words in ("load 3.00", "powersave", "battery", "not quiet"):
        assert words in warnings
    assert "--repeat 3" in " ".join(report_of({"m": [10.0]}).warnings)


def test_many_warnings_of_a_kind_are_one() -> None:
    alike = {f"m{k}": [10.0, 20.0, 10.0] for k in range(9)}
    noisy, pairs = report_of(alike).warnings
    assert "m0, 10.00 about 10.10 ms;" in noisy
    assert noisy.endswith("and 3 more)")
    assert pairs.endswith("m0 / m6; and 30 more")


def test_the_final_table_has_all_rows() -> None:
    lines = final_table(REPORT).splitlines()
    assert len(lines) == 6
    assert "frame ms" in lines[0]
    assert lines[1].startswith("one ")
    assert lines[-1] == "failed: lost <model>: there is no depth model 'lost & gone'"


def test_alike_failures_are_one_line() -> None:
    lines = final_table(report_of({"m": [10.0]}, {"a": "gone", "b": "gone", "c": "other"}))
    assert lines.splitlines()[-2:] == ["failed: a and 1 more: gone", "failed: c: other"]


def test_drawing_is_shown_where_something_was_drawn() -> None:
    report = report_of({"m": [10.0, 10.5]})
    page = page_html(report)
    assert "drawn ms" not in page + final_table(report)
    (row,) = report.rows
    assert row.paced is not None
    assert row.paced.latency is not None
    paced = replace(row.paced, grab_to_drawn=replace(row.paced.latency, median_ms=23.456))
    report = replace(report, rows=(replace(row, paced=paced),))
    assert final_table(report).splitlines()[1].split()[-2] == "23.46"
    assert "<td>23.46</td>" in page_html(report)
    (line,) = csv.DictReader(io.StringIO(csv_text(report)))
    assert float(line["paced_grab_to_drawn_median_ms"]) == 23.456


def test_the_page_has_each_stage_of_each_row() -> None:
    cells = re.findall(r"<td>(\w+)</td><td>(detect|depth)</td>", page_html(REPORT))
    names = ("one", "two", "three")
    assert cells == [(name, stage) for name in names for stage in ("detect", "depth")]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_living_table_is_drawn_in_place() -> None:
    from rtrecon.bench.combination import Combination
    from rtrecon.bench.rows import Row
    from tests.bench.reports import one_round

    row = Row(Combination("m", "auto", None, 640, 480, 1, None), "m")
    terminal = _Terminal()
    table = LiveTable([row], 30.0, stream=terminal)
    table.show()
    assert "waiting" in terminal.getvalue()
    row.rounds.append(one_round(10.0))
    row.state = "round 2 of 3"
    terminal.truncate(0)
    terminal.seek(0)
    table.show()
    assert terminal.getvalue().startswith("\x1b[2F\x1b[J")
    assert "99.5" in terminal.getvalue() or "100." in terminal.getvalue()
    table.clear()
    assert terminal.getvalue().endswith("\x1b[2F\x1b[J")


def test_without_a_terminal_each_change_is_a_line() -> None:
    from rtrecon.bench.combination import Combination
    from rtrecon.bench.rows import Row

    row = Row(Combination("m", "auto", None, 640, 480, 1, None), "m")
    stream = io.StringIO()
    table = LiveTable([row], 30.0, stream=stream)
    table.show()
    row.state = "starting"
    table.show()
    table.show()
    row.fail("gone")
    table.show()
    assert stream.getvalue() == "m: starting\nm: failed: gone\n"


@pytest.mark.parametrize("most", [0.07, 1.0, 9.3, 10.0, 61.0, 1234.5])
def test_ticks_are_round_and_reach_the_end(most: float) -> None:
    ticks = nice_ticks(most)
    assert ticks[0] == 0.0
    assert ticks[-1] >= most > ticks[-2]
    assert 3 <= len(ticks) <= 8
