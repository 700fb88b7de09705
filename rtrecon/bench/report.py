"""The file of a benchmark: JSON with all of it, CSV with one line a row."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtrecon.bench.combination import common
from rtrecon.bench.config import ALONE_STAGES, AVATAR_PARTS, BenchConfig
from rtrecon.bench.figures import NOISY_SPREAD, undecided
from rtrecon.bench.machine import busy_before
from rtrecon.bench.pictures import Footage
from rtrecon.bench.results import FORMAT, VERSION, Distribution, Report, RowResult
from rtrecon.bench.rows import Row
from rtrecon.errors import DataError
from rtrecon.json_text import read_json
from rtrecon.stats import WORK_STAGES

__all__ = ["csv_text", "make_report", "read_report"]

_MOST_NAMED = 6  # rows or pairs of them in a warning


def make_report(
    config: BenchConfig,
    footage: Footage,
    machine: dict[str, Any],
    rows: Sequence[Row],
    *,
    interrupted: bool,
) -> Report:
    """Everything that is known after a run."""
    results = tuple(row.result(config.rate) for row in rows)
    width, height = footage.size_px
    return Report(
        created_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        interrupted=interrupted,
        options={
            "seconds": config.seconds,
            "repeat": config.repeat,
            "rate_hz": config.rate,
            "view": config.view,
            "stages": list(config.stage),
        },
        source={
            "name": footage.name,
            "width_px": width,
            "height_px": height,
            "pictures": len(footage.pictures),
            "rate_hz": footage.rate_hz,
            "faces": footage.faces,
        },
        machine=machine,
        common=common([row.combination for row in rows]),
        rows=results,
        warnings=tuple(_warnings(config, machine, results)),
    )


def read_report(path: Path) -> Report:
    """Read a file of an earlier benchmark.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    try:
        data = read_json(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON file: give one of `rtrecon bench --json`") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise DataError(f"{path} is no benchmark: give a file of `rtrecon bench --json`")
    if data.get("version") != VERSION:
        raise DataError(
            f"{path} has version {data.get('version')} of the format, this is version {VERSION}: "
            "measure again with this rtrecon"
        )
    try:
        return Report.of(data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path} is a damaged benchmark: measure again") from error


def csv_text(report: Report) -> str:
    """One line a row; empty where there is no figure."""
    out = io.StringIO()
    lines = [_csv_line(row) for row in report.rows]
    if lines:
        writer = csv.DictWriter(out, fieldnames=list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return out.getvalue()


_SPOTS = ("median_ms", "p95_ms", "p99_ms", "spread_ms")


def _csv_line(row: RowResult) -> dict[str, Any]:
    unpaced, paced, used = row.unpaced, row.paced, row.used
    line: dict[str, Any] = {f"asked_{name}": value for name, value in row.asked.as_dict().items()}
    for name in ("provider", "precision", "threads", "crop_px"):
        line[f"used_{name}"] = getattr(used, name, None)
    for name in ("error", "rounds", "first_frame_s", "peak_rss_mb", "gpu_memory_mb"):
        line[name] = getattr(row, name)
    for name in ("fps", "peak_fps", "cpu_s_per_frame", "faces_per_frame"):
        line[name] = getattr(unpaced, name, None)
    line |= _spots("frame", getattr(unpaced, "frame", None))
    line |= _spots("paced_latency", getattr(paced, "latency", None))
    line |= _spots("paced_grab_to_drawn", getattr(paced, "grab_to_drawn", None))
    for name in ("rate_hz", "frames_captured", "frames_dropped"):
        line[f"paced_{name}"] = getattr(paced, name, None)
    for stage in WORK_STAGES:
        figures = None if unpaced is None else unpaced.stages.get(stage)
        line |= _spots(stage, figures, (*_SPOTS, "mean_per_frame_ms"))
    for stage in (*ALONE_STAGES, *AVATAR_PARTS):
        figures = (row.stages_alone or {}).get(stage)
        line |= _spots(f"{stage.replace(' ', '_')}_alone", figures, ("min_ms", *_SPOTS))
    return line


def _spots(
    name: str, figures: Distribution | None, spots: Sequence[str] = _SPOTS
) -> dict[str, float | None]:
    return {f"{name}_{spot}": getattr(figures, spot, None) for spot in spots}


def _warnings(config: BenchConfig, machine: dict[str, Any], rows: Sequence[RowResult]) -> list[str]:
    warnings = list(_machine_warnings(machine))
    if config.repeat == 1:
        warnings.append("one round has no spread: no difference between rows is sure (--repeat 3)")
    for stage in config.stage or (None,):
        what = f", {stage}" if stage else ""
        known = {r.label: f for r in rows if (f := r.main_figure(stage)) is not None}
        noisy = [
            f"{label}, {figures.spread_ms:.2f} about {figures.median_ms:.2f} ms"
            for label, figures in known.items()
            if (figures.spread_ms or 0.0) > NOISY_SPREAD * figures.median_ms
        ]
        if noisy:
            warnings.append(
                f"the machine was not quiet{what}: the rounds' medians range over more than "
                f"{NOISY_SPREAD:.0%} ({_some(noisy)})"
            )
        pairs = undecided(known) if config.repeat > 1 else []
        if pairs:
            named = [f"{one} / {other}" for one, other in pairs]
            warnings.append(f"within the spread, not to be told apart{what}: {_some(named)}")
    for row in rows:
        if row.unpaced is None:
            continue
        found, wanted = row.unpaced.faces_per_frame, row.asked.faces
        if found < 0.98 * wanted:
            warnings.append(f"{row.label}: {found:.2f} faces a frame were seen, not {wanted}")
    return warnings


def _some(texts: Sequence[str]) -> str:
    more = len(texts) - _MOST_NAMED
    return "; ".join(texts[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


def _machine_warnings(machine: dict[str, Any]) -> list[str]:
    warnings = []
    if (busy := busy_before(machine)) is not None:
        warnings.append(f"the machine was busy before: {busy}")
    if machine.get("governor") == "powersave":
        warnings.append("the CPU governor is powersave: `cpupower frequency-set -g performance`")
    if machine.get("on_battery"):
        warnings.append("the machine runs on battery: figures on mains may be higher")
    return warnings
