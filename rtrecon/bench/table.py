"""The rows as a table: alive on a terminal while it runs, plain lines elsewhere, final at the end.

The living table is redrawn in place with three ANSI sequences, which needs no library.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import IO

from rtrecon.bench.results import Report, RowResult
from rtrecon.bench.rows import Row
from rtrecon.console import leave_bottom, stay_at_bottom

__all__ = ["LiveTable", "final_table"]

_UP, _ERASE_BELOW = "\x1b[{}F", "\x1b[J"
_COLUMNS = (
    "fps", "peak", "frame ms", "p95", "p99", "±", "paced ms", "p95", "p99", "drop %",
    "first s", "CPU ms", "RSS MB", "GPU MB",
)  # fmt: skip
_DRAWN = ("drawn ms", "p95")  # from the grab until it is drawn: where results are drawn


class LiveTable:
    """Shows the rows on ``stream`` whenever `show` is called, with as little as it takes.

    Args:
        rows: to show; they change meanwhile.
        rate_hz: camera rate.
        quiet: show nothing.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        rate_hz: float,
        *,
        quiet: bool = False,
        stream: IO[str] | None = None,
    ) -> None:
        self._rows, self._rate_hz, self._quiet = rows, rate_hz, quiet
        self._stream = sys.stderr if stream is None else stream
        self._on_terminal = self._stream.isatty()
        self._lines = 0
        self._said: dict[str, str] = {}

    def show(self) -> None:
        """Draw the table anew, or say which rows have changed."""
        if self._quiet:
            return
        if not self._on_terminal:
            for row in self._rows:
                if self._said.get(row.label) != row.state:
                    self._said[row.label] = row.state
                    if row.state != "waiting":
                        self._stream.write(f"{row.label}: {row.state}{_brief(row)}\n")
            self._stream.flush()
            return
        stay_at_bottom(self)
        self.take_away()
        self.put_back()

    def put_back(self) -> None:
        """Draw the table as the rows are now."""
        size = shutil.get_terminal_size()
        results = [row.result(self._rate_hz) for row in self._rows]
        states = [row.state for row in self._rows]
        lines = _lines(results, states)[: size.lines - 2]
        self._stream.write("".join(line[: size.columns - 1] + "\n" for line in lines))
        self._stream.flush()
        self._lines = len(lines)

    def clear(self) -> None:
        """Take the table off the terminal for good."""
        leave_bottom(self)
        self.take_away()

    def take_away(self) -> None:
        """Take the table off the terminal, before something else is written there."""
        if self._lines:
            self._stream.write(_UP.format(self._lines) + _ERASE_BELOW)
            self._lines = 0
            self._stream.flush()


def final_table(report: Report) -> str:
    """The rows of a report for people, in the order in which they were asked for."""
    return "\n".join(_lines(report.rows, None))


def _lines(rows: Sequence[RowResult], states: Sequence[str] | None) -> list[str]:
    alone = any(row.stages_alone is not None for row in rows)
    columns = ("stage", "min ms", "median ms", "p95 ms", "±", "calls") if alone else _COLUMNS
    drawn = any(row.paced is not None and row.paced.grab_to_drawn is not None for row in rows)
    table = [["", *([""] if states else []), *columns, *(_DRAWN if drawn else ())]]
    failures: dict[str, list[str]] = {}
    for k, row in enumerate(rows):
        if row.error:
            failures.setdefault(row.error, []).append(row.label)
        for cells in _stage_cells(row) if alone else [_cells(row)]:
            state = [states[k]] if states else []
            table.append([row.label, *state, *cells, *(_drawn_cells(row) if drawn else ())])
    widths = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    left = {0, 1} if states or alone else {0}
    lines = [
        "  ".join(
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
    # A model that is not there fails in all its combinations alike.
    for error, names in failures.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"failed: {names[0]}{more}: {error}")
    return lines


def _cells(row: RowResult) -> list[str]:
    unpaced, paced = row.unpaced, row.paced
    frame = None if unpaced is None else unpaced.frame
    latency = None if paced is None else paced.latency
    return [
        _number(unpaced, "fps", 1),
        _number(unpaced, "peak_fps", 1),
        *(_number(frame, name, 2) for name in ("median_ms", "p95_ms", "p99_ms", "spread_ms")),
        *(_number(latency, name, 2) for name in ("median_ms", "p95_ms", "p99_ms")),
        _number(paced, "dropped_share", 1, 100),
        _number(row, "first_frame_s", 2),
        _number(unpaced, "cpu_s_per_frame", 1, 1000),
        _number(row, "peak_rss_mb", 0),
        _number(row, "gpu_memory_mb", 0),
    ]


def _drawn_cells(row: RowResult) -> list[str]:
    drawn = None if row.paced is None else row.paced.grab_to_drawn
    return [_number(drawn, name, 2) for name in ("median_ms", "p95_ms")]


def _stage_cells(row: RowResult) -> list[list[str]]:
    lines = []
    for stage, figures in (row.stages_alone or {}).items():
        name = f"{stage} ({row.view})" if stage == "view" else stage
        if figures is None:
            lines.append([name, *["-"] * 5])
            continue
        spots = ("min_ms", "median_ms", "p95_ms", "spread_ms")
        lines.append([name, *(_number(figures, s, 3) for s in spots), str(figures.samples)])
    return lines or [["-"] * 6]


def _brief(row: Row) -> str:
    if row.error is not None:
        return f": {row.error}"
    last = row.rounds[-1] if row.rounds else None
    if last is None or "unpaced" not in last or not row.state.endswith("done"):
        return ""
    unpaced = last["unpaced"]
    return f", {len(unpaced['frame_ms']) / unpaced['wall_s']:.1f} fps"


def _number(figures: object, name: str, digits: int, factor: float = 1.0) -> str:
    """The figure of that name in words; a dash where there is none."""
    value = getattr(figures, name, None)
    return "-" if value is None else f"{factor * value:.{digits}f}"
