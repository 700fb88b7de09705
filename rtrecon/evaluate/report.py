"""Scores as a table for people and as JSON for scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rtrecon.evaluate.metrics import FrameScore, summarize

__all__ = ["PredictorReport", "format_table", "to_json"]

_COLUMNS = (
    ("detection_rate", "detected", "{:.0%}"),
    ("coverage", "covered", "{:.0%}"),
    ("mae_mm", "MAE mm", "{:.2f}"),
    ("mae_affine_mm", "affine mm", "{:.2f}"),
    ("rmse_mm", "RMSE mm", "{:.2f}"),
    ("under_2mm", "<2 mm", "{:.0%}"),
    ("under_5mm", "<5 mm", "{:.0%}"),
    ("under_10mm", "<10 mm", "{:.0%}"),
    ("normal_deg", "normals deg", "{:.1f}"),
    ("relief_of_plane", "of plane", "{:.2f}"),
    ("distance_percent", "distance %", "{:.1f}"),
    ("jitter_mm", "jitter mm", "{:.2f}"),
    ("jitter_shape_mm", "jitter shape", "{:.2f}"),
)


@dataclass(frozen=True, slots=True)
class PredictorReport:
    """All scores of one predictor; ``jitter_mm`` (whole, shape alone) for videos."""

    name: str
    ids: Sequence[str]
    scores: Sequence[FrameScore]
    jitter_mm: tuple[float, float] | None = None

    def overall(self) -> dict[str, float]:
        """Means over the frames, by name."""
        overall = summarize(self.scores)
        if self.jitter_mm is not None:
            overall["jitter_mm"], overall["jitter_shape_mm"] = self.jitter_mm
        return overall


def format_table(reports: Sequence[PredictorReport]) -> str:
    """One line a predictor; `-` where a figure could not be had."""
    overall = [report.overall() for report in reports]
    columns = [c for c in _COLUMNS if any(c[0] in row for row in overall)]
    table = [["", *(title for _, title, _ in columns)]]
    for report, row in zip(reports, overall, strict=True):
        table.append([report.name, *(_cell(row, key, form) for key, _, form in columns)])
    widths = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    )


def to_json(dataset: str, reports: Sequence[PredictorReport]) -> dict[str, Any]:
    """Everything, each frame's figures too; what could not be had is null."""
    return {
        "dataset": dataset,
        "frames": len(reports[0].ids) if reports else 0,
        "predictors": [
            {
                "name": report.name,
                "overall": _finite(report.overall()),
                "frames": [
                    {"id": name, **_finite(asdict(score))}
                    for name, score in zip(report.ids, report.scores, strict=True)
                ],
            }
            for report in reports
        ],
    }


def _cell(row: Mapping[str, float], key: str, form: str) -> str:
    value = row.get(key, math.nan)
    return form.format(value) if math.isfinite(value) else "-"


def _finite(row: Mapping[str, float]) -> dict[str, float | bool | None]:
    return {
        key: value
        if isinstance(value, bool)
        else (round(value, 5) if math.isfinite(value) else None)
        for key, value in row.items()
    }
