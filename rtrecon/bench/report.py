"""The file of a benchmark: JSON with all of it, CSV with one line a row."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtrecon.bench.combination import common
from rtrecon.bench.config import STAGES, BenchConfig
from rtrecon.bench.figures import NOISY_SPREAD, undecided
from rtrecon.bench.machine import busy_before
from rtrecon.bench.pictures import Footage
from rtrecon.bench.rows import Row
from rtrecon.errors import DataError

__all__ = ["FORMAT", "VERSION", "csv_text", "main_figure", "make_report", "read_report"]

FORMAT, VERSION = "rtrecon-bench", 1
_MOST_NAMED = 6  # rows or pairs of them in a warning


def make_report(
    config: BenchConfig,
    footage: Footage,
    machine: dict[str, Any],
    rows: Sequence[Row],
    *,
    interrupted: bool,
) -> dict[str, Any]:
    """Everything that is known after a run; figures carry their unit in their name."""
    figures = [row.figures(config.rate) for row in rows]
    width, height = footage.size_px
    return {
        "format": FORMAT,
        "version": VERSION,
        "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "interrupted": interrupted,
        "options": {
            "seconds": config.seconds,
            "repeat": config.repeat,
            "rate_hz": config.rate,
            "view": config.view,
            "stages": list(config.stage),
        },
        "source": {
            "name": footage.name,
            "width_px": width,
            "height_px": height,
            "pictures": len(footage.pictures),
            "rate_hz": footage.rate_hz,
            "faces": footage.faces,
        },
        "machine": machine,
        "common": common([row.combination for row in rows]),
        "rows": figures,
        "warnings": _warnings(config, machine, figures),
    }


def main_figure(row: dict[str, Any], stage: str | None = None) -> dict[str, Any] | None:
    """What rows are compared by: time of a frame as fast as it can, or of one stage alone."""
    if stage is not None:
        figures: dict[str, Any] | None = (row.get("stages_alone") or {}).get(stage)
        return figures
    opened = row.get("open")
    return None if opened is None else opened["frame"]


def read_report(path: Path) -> dict[str, Any]:
    """Read a file that `make_report` filled.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
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
    shaped = (
        isinstance(data.get("rows"), list)
        and isinstance(data.get("machine"), dict)
        and isinstance(data.get("source"), dict)
        and isinstance(data.get("options"), dict)
        and all(isinstance(r, dict) and isinstance(r.get("asked"), dict) for r in data["rows"])
    )
    if not shaped:
        raise DataError(f"{path} is a damaged benchmark: measure again")
    return data


def csv_text(report: dict[str, Any]) -> str:
    """One line a row; empty where there is no figure."""
    out = io.StringIO()
    writer: Any = None
    for row in report["rows"]:
        line = _csv_line(row)
        if writer is None:
            writer = csv.DictWriter(out, fieldnames=list(line), lineterminator="\n")
            writer.writeheader()
        writer.writerow(line)
    return out.getvalue()


def _csv_line(row: dict[str, Any]) -> dict[str, Any]:
    opened, closed, used = row.get("open") or {}, row.get("closed") or {}, row["used"] or {}
    line: dict[str, Any] = {f"asked_{name}": value for name, value in row["asked"].items()}
    for name in ("provider", "precision", "threads", "crop_px"):
        line[f"used_{name}"] = used.get(name)
    line |= {name: row[name] for name in ("error", "rounds", "first_frame_s")}
    line |= {name: row[name] for name in ("peak_rss_mb", "gpu_memory_mb")}
    line |= {name: opened.get(name) for name in ("fps", "peak_fps", "cpu_s_per_frame")}
    line["faces_per_frame"] = opened.get("faces_per_frame")
    spots = ("median_ms", "p95_ms", "p99_ms", "spread_ms")
    for spot in spots:
        line[f"frame_{spot}"] = (opened.get("frame") or {}).get(spot)
    for spot in spots:
        line[f"paced_latency_{spot}"] = (closed.get("latency") or {}).get(spot)
    for spot in spots:
        line[f"paced_grab_to_drawn_{spot}"] = (closed.get("grab_to_drawn") or {}).get(spot)
    line |= {f"paced_{n}": closed.get(n) for n in ("rate_hz", "frames_captured", "frames_dropped")}
    for stage in STAGES[:5]:
        for spot in (*spots, "mean_per_frame_ms"):
            line[f"{stage}_{spot}"] = (opened.get("stages") or {}).get(stage, {}).get(spot)
    for stage in STAGES:
        alone = (row.get("stages_alone") or {}).get(stage) or {}
        for spot in ("min_ms", *spots):
            line[f"{stage}_alone_{spot}"] = alone.get(spot)
    return line


def _warnings(
    config: BenchConfig, machine: dict[str, Any], rows: Sequence[dict[str, Any]]
) -> list[str]:
    warnings = list(_machine_warnings(machine))
    if config.repeat == 1:
        warnings.append("one round has no spread: no difference between rows is sure (--repeat 3)")
    for stage in config.stage or (None,):
        what = f", {stage}" if stage else ""
        known = {r["label"]: f for r in rows if (f := main_figure(r, stage)) is not None}
        noisy = [
            f"{label}, {figures['spread_ms']:.2f} about {figures['median_ms']:.2f} ms"
            for label, figures in known.items()
            if (figures["spread_ms"] or 0.0) > NOISY_SPREAD * figures["median_ms"]
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
        found, wanted = (row.get("open") or {}).get("faces_per_frame"), row["asked"]["faces"]
        if found is not None and found < 0.98 * wanted:
            warnings.append(f"{row['label']}: {found:.2f} faces a frame were seen, not {wanted}")
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
