"""One page of a benchmark: no network, no script, readable on light and dark ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from rtrecon.bench.canvas import COLORS
from rtrecon.bench.charts import make_charts
from rtrecon.bench.results import Distribution, Report, RowResult
from rtrecon.bench.svg import chart_svg

__all__ = ["page_html"]

_STYLE = """
:root { color-scheme: light dark; %(light)s }
@media (prefers-color-scheme: dark) { :root { %(dark)s } }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--ground);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0; }
p, li { max-width: 46rem; }
.note, .sub { color: var(--muted); margin: .15rem 0 .75rem; font-size: .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.2rem; font-size: .9rem; }
dt { color: var(--muted); }
dd { margin: 0; }
svg { display: block; width: 100%%; height: auto; font-family: system-ui, sans-serif; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--grid); }
th { color: var(--muted); font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:nth-child(2), td:nth-child(2) { text-align: left; }
td.failed { text-align: left; white-space: normal; color: var(--mark); }
td.failed span { display: block; max-width: 38rem; }
.warnings { border-left: 3px solid var(--mark); padding: .1rem 0 .1rem 1rem; margin: 1.5rem 0; }
.warnings ul { margin: .3rem 0; padding-left: 1.1rem; }
"""

_HOW = """Each row ran in a process of its own; the processes were measured in turns, in rounds
({repeat} of {seconds:g} s each), and stood still between their turns. Pictures were decoded
beforehand. {ways} ± is the range of the rounds' medians: rows closer than that are not told
apart."""
_WHOLE = """“As fast as it can” reconstructs every picture, one after the other; “paced” is the live
pipeline behind a camera of {rate:g} Hz, where the newest frame wins and the rest is dropped.
Latency is from the grab to the face in metres, “drawn” from the grab until the draw call has
returned; the time until light leaves the screen is not known."""
_ALONE = """Each stage ran by itself on what the stages before it make of eight pictures, caches
warm: the sum is not the frame. “align” warps the crop too, which is part of “depth” in the
pipeline; “geometry” makes the triangles too; “mesh” is a GLB in memory."""

# Heading, path to the figure, digits, factor.
_COLUMNS: tuple[tuple[str, tuple[str, ...], int, float], ...] = (
    ("fps", ("unpaced", "fps"), 1, 1),
    ("peak fps", ("unpaced", "peak_fps"), 1, 1),
    ("frame ms", ("unpaced", "frame", "median_ms"), 2, 1),
    ("p95", ("unpaced", "frame", "p95_ms"), 2, 1),
    ("p99", ("unpaced", "frame", "p99_ms"), 2, 1),
    ("±", ("unpaced", "frame", "spread_ms"), 2, 1),
    ("paced ms", ("paced", "latency", "median_ms"), 2, 1),
    ("p95", ("paced", "latency", "p95_ms"), 2, 1),
    ("p99", ("paced", "latency", "p99_ms"), 2, 1),
    ("±", ("paced", "latency", "spread_ms"), 2, 1),
    ("dropped %", ("paced", "dropped_share"), 1, 100),
    ("first frame s", ("first_frame_s",), 2, 1),
    ("CPU ms a frame", ("unpaced", "cpu_s_per_frame"), 1, 1000),
    ("peak RSS MiB", ("peak_rss_mb",), 0, 1),
    ("GPU MiB", ("gpu_memory_mb",), 0, 1),
)
_DRAWN_COLUMNS: tuple[tuple[str, tuple[str, ...], int, float], ...] = (
    ("drawn ms", ("paced", "grab_to_drawn", "median_ms"), 2, 1),
    ("p95", ("paced", "grab_to_drawn", "p95_ms"), 2, 1),
)
_STAGE_COLUMNS: tuple[tuple[str, tuple[str, ...], int, float], ...] = tuple(
    (title, (spot,), 3, 1)
    for title, spot in (
        ("min ms", "min_ms"),
        ("median ms", "median_ms"),
        ("p95 ms", "p95_ms"),
        ("p99 ms", "p99_ms"),
        ("±", "spread_ms"),
    )
)


def page_html(report: Report, comparison: Sequence[str] = ()) -> str:
    """The page of a report; ``comparison`` are lines about an earlier one."""
    source, options = report.source, report.options
    style = _STYLE % {
        "light": "".join(f"--{name}: {tone.light}; " for name, tone in COLORS.items()),
        "dark": "".join(f"--{name}: {tone.dark}; " for name, tone in COLORS.items()),
    }
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>rtrecon bench, {escape(report.created_utc)}</title>",
        f"<style>{style}</style></head><body>",
        "<h1>rtrecon bench</h1>",
        f'<p class="sub">{escape(report.created_utc)}, {escape(source["name"])} '
        f"{source['width_px']}x{source['height_px']}, {source['pictures']} pictures; "
        f"{escape(report.common)}{'; interrupted' if report.interrupted else ''}</p>",
        _facts(report.machine),
        _list("Warnings", report.warnings, "warnings"),
        _list("Compared with before", comparison, "comparison"),
    ]
    for chart in make_charts(report):
        parts.append(f'<h2>{escape(chart.title)}</h2><p class="note">{escape(chart.note)}</p>')
        parts.append(f'<div class="chart">{chart_svg(chart)}</div>')
    parts.append("<h2>Figures</h2>")
    if options["stages"]:
        parts.append(_stage_table(report.rows, lambda row: row.stages_alone or {}))
    else:
        parts.append(_table(report.rows))
        parts.append("<h2>Stages within the frame</h2>")
        parts.append('<p class="note">As fast as it can, in the frames in which a stage ran.</p>')
        done = [row for row in report.rows if row.unpaced is not None]
        parts.append(_stage_table(done, lambda row: row.unpaced.stages if row.unpaced else {}))
    ways = _ALONE if options["stages"] else _WHOLE.format(rate=options["rate_hz"])
    how = _HOW.format(repeat=options["repeat"], seconds=options["seconds"], ways=ways)
    parts.append(f"<h2>How it was measured</h2><p>{how}</p>")
    parts.append("</body></html>\n")
    return "\n".join(part for part in parts if part)


def _facts(machine: dict[str, Any]) -> str:
    battery = {True: "battery", False: "mains", None: None}[machine.get("on_battery")]
    facts = [
        ("processor", machine.get("cpu")),
        (
            "threads",
            f"{machine.get('cores_usable')} usable of {machine.get('cores_logical')}, "
            f"{machine.get('cores_physical') or 'unknown'} cores",
        ),
        ("memory", f"{machine.get('memory_gb')} GiB"),
        ("GPU", ", ".join(machine.get("gpus") or ()) or None),
        ("system", f"{machine.get('os')}, {machine.get('architecture')}"),
        ("governor", machine.get("governor")),
        ("power", battery),
        ("load before", machine.get("load_average_1min")),
        ("versions", ", ".join(f"{k} {v}" for k, v in (machine.get("versions") or {}).items())),
    ]
    rows = "".join(
        f"<dt>{name}</dt><dd>{escape('unknown' if value is None else str(value))}</dd>"
        for name, value in facts
    )
    return f"<dl>{rows}</dl>"


def _list(title: str, lines: Sequence[str], css: str) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="{css}"><strong>{title}</strong><ul>{items}</ul></div>'


def _table(rows: Sequence[RowResult]) -> str:
    drawn = any(row.paced is not None and row.paced.grab_to_drawn is not None for row in rows)
    columns = (*_COLUMNS, *(_DRAWN_COLUMNS if drawn else ()))
    heads = "".join(f"<th>{title}</th>" for title, *_ in columns)
    lines = [f"<tr><th>what</th><th>runs on</th>{heads}</tr>"]
    for row in rows:
        name = f"<td>{escape(row.label)}</td>"
        if row.error:
            failed = _failed(row.error, len(columns) + 1)
            lines.append(f"<tr>{name}{failed}</tr>")
        used = row.used
        if row.unpaced is None or used is None:
            continue
        threads = "1 thread" if used.threads == 1 else f"{used.threads} threads"
        where = f"{used.provider} {used.precision}, {threads}"
        cells = "".join(f"<td>{_figure(row, *column[1:])}</td>" for column in columns)
        lines.append(f"<tr>{name}<td>{escape(where)}</td>{cells}</tr>")
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _stage_table(
    rows: Sequence[RowResult],
    stages_of: Callable[[RowResult], Mapping[str, Distribution | None]],
) -> str:
    heads = "".join(f"<th>{title}</th>" for title, *_ in _STAGE_COLUMNS)
    lines = [f"<tr><th>what</th><th>stage</th>{heads}</tr>"]
    for row in rows:
        name = f"<td>{escape(row.label)}</td>"
        if row.error:
            failed = _failed(row.error, len(_STAGE_COLUMNS) + 1)
            lines.append(f"<tr>{name}{failed}</tr>")
        for stage, figures in stages_of(row).items():
            cells = "".join(f"<td>{_figure(figures, *c[1:])}</td>" for c in _STAGE_COLUMNS)
            lines.append(f"<tr>{name}<td>{escape(stage)}</td>{cells}</tr>")
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _failed(error: str, columns: int) -> str:
    return f'<td class="failed" colspan="{columns}"><span>{escape(error)}</span></td>'


def _figure(figures: Any, path: Sequence[str], digits: int, factor: float) -> str:
    for name in path:
        figures = getattr(figures, name, None)
    return "–" if figures is None else f"{figures * factor:.{digits}f}"
