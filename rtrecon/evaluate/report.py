"""Scores as a table for people and as JSON for scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rtrecon.evaluate.face_metrics import YawBin
from rtrecon.evaluate.face_scores import FaceScores
from rtrecon.evaluate.metrics import FrameScore, Jitter, summarize

__all__ = ["PredictorReport", "format_face_tables", "format_table", "to_json"]

_COLUMNS = (
    ("detection_rate", "detected", "{:.0%}"),
    ("coverage", "covered", "{:.0%}"),
    ("mae_mm", "MAE mm", "{:.2f}"),
    ("mae_affine_mm", "affine mm", "{:.2f}"),
    ("shape_mm", "shape mm", "{:.2f}"),
    ("rmse_mm", "RMSE mm", "{:.2f}"),
    ("under_2mm", "<2 mm", "{:.0%}"),
    ("under_5mm", "<5 mm", "{:.0%}"),
    ("under_10mm", "<10 mm", "{:.0%}"),
    ("normal_deg", "normals deg", "{:.1f}"),
    ("relief_of_plane", "of plane", "{:.2f}"),
    ("distance_percent", "distance %", "{:.1f}"),
    ("distance_spread_percent", "spread %", "{:.1f}"),
    ("jitter_mm", "jitter mm", "{:.2f}"),
    ("jitter_shape_mm", "jitter shape", "{:.2f}"),
    ("jitter_distance_mm", "jitter distance", "{:.2f}"),
)
_FACE_COLUMNS = (
    ("rotation_deg", "rotation deg", "{:.1f}"),
    ("rotation_moves_deg", "less offset", "{:.1f}"),
    ("landmarks_percent", "68 points %", "{:.1f}"),
    ("landmarks_jaw_percent", "jaw", "{:.1f}"),
    ("landmarks_brows_percent", "brows", "{:.1f}"),
    ("landmarks_nose_percent", "nose", "{:.1f}"),
    ("landmarks_eyes_percent", "eyes", "{:.1f}"),
    ("landmarks_mouth_percent", "mouth", "{:.1f}"),
    ("gaze_deg", "gaze deg", "{:.1f}"),
    ("expression_correlation", "correlation", "{:.2f}"),
    ("expression_correlation_worst", "worst", "{:.2f}"),
    ("expression_order", "order", "{:.3f}"),
    ("expression_order_worst", "worst", "{:.3f}"),
    ("expression_order_person", "of a person", "{:.3f}"),
    ("expression_order_person_worst", "worst", "{:.3f}"),
    ("expression_spread", "spread", "{:.2f}"),
)
_CONSTANT = "a constant"


@dataclass(frozen=True, slots=True)
class PredictorReport:
    """All scores of one predictor; ``jitter_mm`` for videos, ``face`` beside the depth."""

    name: str
    ids: Sequence[str]
    scores: Sequence[FrameScore]
    jitter_mm: Jitter | None = None
    face: FaceScores | None = None

    def overall(self) -> dict[str, float]:
        """Means over the frames, by name."""
        overall = summarize(self.scores)
        if self.face is not None:
            overall.update(self.face.overall)
        if self.jitter_mm is not None:
            overall["jitter_mm"] = self.jitter_mm.whole
            overall["jitter_shape_mm"] = self.jitter_mm.shape
            overall["jitter_distance_mm"] = self.jitter_mm.distance
        return overall


def format_table(reports: Sequence[PredictorReport]) -> str:
    """One line a predictor; `-` where a figure could not be had."""
    return _table([(report.name, report.overall()) for report in reports], _COLUMNS)


def format_face_tables(
    reports: Sequence[PredictorReport], *, coefficients: bool = False
) -> list[str]:
    """What is said beside the depth, and what a constant would score; empty if nothing is known.

    Rotation, landmarks and expression; distance by yaw; and, if asked for, a line a coefficient.
    """
    faces = [(report.name, report.face) for report in reports if report.face is not None]
    said = [(name, face) for name, face in faces if _says(face.overall)]
    tables = []
    if said:
        rows = [(name, face.overall) for name, face in said]
        tables.append(_table([*rows, (_CONSTANT, said[0][1].constant)], _FACE_COLUMNS))
    binned = [(name, face.distances) for name, face in faces if face.distances]
    if binned:
        tables.append(_yaw_table(binned))
    if coefficients:
        tables += [_coefficient_table(name, face) for name, face in said if face.coefficients]
    return tables


def _says(overall: Mapping[str, float]) -> bool:
    return any(key in overall for key, _, _ in _FACE_COLUMNS)


def _yaw_table(binned: Sequence[tuple[str, Sequence[YawBin]]]) -> str:
    """Bias and spread of the distance in percent, over bins of yaw."""
    edges = sorted({(b.from_deg, b.to_deg, b.frames) for _, bins in binned for b in bins})
    columns = [f"{low:.0f}-{high:.0f} deg ({count})" for low, high, count in edges]
    lines = [["distance %, by yaw", *columns]]
    constant: dict[tuple[float, float, int], str] = {}
    for name, bins in binned:
        cells = {}
        for b in bins:
            key = (b.from_deg, b.to_deg, b.frames)
            cells[key] = f"{b.bias_percent:+.1f} ± {b.spread_percent:.1f}"
            constant[key] = f"{b.constant_percent:.1f}"
        lines.append([name, *(cells.get(key, "-") for key in edges)])
    lines.append([f"{_CONSTANT}, absolute", *(constant[key] for key in edges)])
    return _aligned(lines)


def _coefficient_table(name: str, face: FaceScores) -> str:
    columns = (
        ("correlation", "correlation", "{:.2f}"),
        ("order", "order", "{:.3f}"),
        ("order_person", "of a person", "{:.3f}"),
        ("spread", "spread", "{:.3f}"),
        ("true_spread", "of the truth", "{:.3f}"),
        ("error", "error", "{:.3f}"),
        ("constant_error", "a constant's", "{:.3f}"),
    )
    lines = [[name, *(title for _, title, _ in columns)]]
    for score in face.coefficients:
        row = {key: float(getattr(score, key)) for key, _, _ in columns}
        lines.append([score.name, *(_cell(row, key, form) for key, _, form in columns)])
    return _aligned(lines)


def _table(
    rows: Sequence[tuple[str, Mapping[str, float]]], columns: Sequence[tuple[str, str, str]]
) -> str:
    known = [c for c in columns if any(c[0] in row for _, row in rows)]
    lines = [["", *(title for _, title, _ in known)]]
    for name, row in rows:
        lines.append([name, *(_cell(row, key, form) for key, _, form in known)])
    return _aligned(lines)


def _aligned(table: Sequence[Sequence[str]]) -> str:
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
                **_face_json(report.face),
                "frames": [
                    {"id": name, **_finite(asdict(score))}
                    for name, score in zip(report.ids, report.scores, strict=True)
                ],
            }
            for report in reports
        ],
    }


def _face_json(face: FaceScores | None) -> dict[str, Any]:
    if face is None:
        return {}
    return {
        "constant": _finite(face.constant),
        "coefficients": {
            score.name: _finite({k: v for k, v in asdict(score).items() if k != "name"})
            for score in face.coefficients
        },
        "distance_by_yaw": [_finite(asdict(b)) for b in face.distances],
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
