"""``rtrecon bench``."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtrecon.bench.combination import combinations, labels
from rtrecon.bench.compare import compare_reports
from rtrecon.bench.config import BenchConfig
from rtrecon.bench.machine import machine_line
from rtrecon.bench.pictures import Footage, load_footage, write_pictures
from rtrecon.bench.process import ChildError
from rtrecon.bench.report import csv_text, make_report, read_report
from rtrecon.bench.results import Report
from rtrecon.bench.rows import Row, measure_rows, trace_first
from rtrecon.bench.table import LiveTable, final_table
from rtrecon.console import say, signals_end
from rtrecon.errors import DataError, OutputError, UserError
from rtrecon.files import check_target, json_bytes, write_files
from rtrecon.host import describe_machine
from rtrecon.outputs.window.display import has_display

__all__ = ["run_bench"]

logger = logging.getLogger(__name__)

_INTERRUPTED = 130


def run_bench(config: BenchConfig) -> int:
    """Measure, print, write; 0, or 1 if a combination failed, or 130 after Ctrl-C.

    Raises:
        UserError: the source has no face, or an option cannot be used.
        OutputError: a file cannot be written; tried before anything is measured.
    """
    old = None if config.compare is None else read_report(config.compare)
    _check_view(config)
    _check_outputs(config)
    machine = describe_machine()
    footage = load_footage(config.source)
    wanted = combinations(config, footage.size_px)
    rows = [Row(c, label) for c, label in zip(wanted, labels(wanted), strict=True)]
    interrupted = False
    trace: dict[str, Any] | None = None
    table = LiveTable(rows, config.rate, quiet=config.quiet)
    with tempfile.TemporaryDirectory(prefix="rtrecon-bench-") as folder, signals_end():
        try:
            _write_pictures(footage, rows, Path(folder))
            _say_duration(config, rows)
            measure_rows(rows, config, table.show)
            trace = _trace(config, rows)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            table.clear()
            for row in rows:
                row.close()
    report = make_report(config, footage, machine, rows, interrupted=interrupted)
    comparison = _print(report, old)
    _write(config, report, comparison, trace)
    if interrupted:
        untraced = "; no trace was made" if config.trace is not None and trace is None else ""
        logger.error("interrupted: the figures are of the rounds done until then%s", untraced)
        return _INTERRUPTED
    return 1 if any(row.error for row in rows) else 0


def _write_pictures(footage: Footage, rows: Sequence[Row], folder: Path) -> None:
    made: dict[tuple[int, int, int], Path | str] = {}
    for row in rows:
        combination = row.combination
        size = combination.width_px, combination.height_px
        key = (*size, combination.faces)
        if key not in made:
            path = folder / "{}x{}-{}.npy".format(*key)
            try:
                count = write_pictures(footage, size, combination.faces, path)[0]
                made[key] = path
                if count < len(footage.pictures):
                    logger.info("at %dx%d on the first %d of them", *size, count)
            except DataError as error:
                made[key] = str(error)
        found = made[key]
        if isinstance(found, str):
            row.fail(found)
        else:
            row.pictures = found


def _say_duration(config: BenchConfig, rows: Sequence[Row]) -> None:
    running = sum(row.error is None for row in rows)
    ways = len(config.stage) or 2
    seconds = running * (config.repeat * ways * config.seconds + 2)
    logger.info(
        "%d combination%s, %d round%s: about %.0f s",
        len(rows),
        "s" if len(rows) > 1 else "",
        config.repeat,
        "s" if config.repeat > 1 else "",
        seconds,
    )


def _trace(config: BenchConfig, rows: Sequence[Row]) -> dict[str, Any] | None:
    if config.trace is None:
        return None
    try:
        trace = trace_first(rows, config)
    except ChildError as error:
        raise OutputError(f"no trace could be made: {error}") from error
    if trace is None:
        logger.error("no trace: no combination runs")
    return trace


def _print(report: Report, old: Report | None) -> list[str]:
    """Print the result; returns the lines of the comparison."""
    say(machine_line(report.machine))
    source = report.source
    say(
        f"{source['name']}, {source['pictures']} pictures decoded beforehand; "
        f"paced at {report.options['rate_hz']:g} Hz; {report.common}"
    )
    say(final_table(report))
    for warning in report.warnings:
        logger.warning("%s", warning)
    if old is None:
        return []
    comparisons, notes = compare_reports(old, report)
    lines = [f"compared with {old.created_utc}: {c}" for c in comparisons]
    for note in notes:
        logger.warning("%s", note)
    for line in lines:
        say(line)
    return [*lines, *notes]


def _write(
    config: BenchConfig,
    report: Report,
    comparison: list[str],
    trace: dict[str, Any] | None,
) -> None:
    files: dict[Path, bytes] = {}
    if config.json is not None:
        files[config.json] = json_bytes(report.to_json())
    if config.csv is not None:
        files[config.csv] = csv_text(report).encode()
    if config.plot is not None:
        from rtrecon.bench.raster import draw_png

        files[config.plot] = draw_png(report)
    if config.html is not None:
        from rtrecon.bench.page import page_html

        files[config.html] = page_html(report, comparison).encode()
    if config.trace is not None and trace is not None:
        files[config.trace] = json_bytes(trace, indent=None)
    write_files(files)
    for path in files:
        logger.info("wrote %s", path)


def _check_view(config: BenchConfig) -> None:
    displayed, reason = has_display()
    if config.view == "window" and not displayed:
        raise UserError(f"no window can be opened: {reason}; take --view offscreen")


def _check_outputs(config: BenchConfig) -> None:
    """Half a minute of measuring must not end in a folder that is not there."""
    paths = [config.json, config.csv, config.plot, config.html, config.trace]
    named = [path for path in paths if path is not None]
    files = [path.resolve() for path in named if not path.is_char_device()]
    if len(set(files)) < len(files):
        raise UserError("two of --json, --csv, --plot, --html and --trace name the same file")
    for path in named:
        check_target(path)
