"""Figures of `compare_peers.py`: rows, ratios and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rtrecon.bench.figures import distribution

__all__ = ["AIMS", "Aim", "Row", "markdown", "ratio", "verdict"]

_DEPTH_MODEL = "depth model"  # among the versions, but another one with more cores
_NOISY = 0.15  # rounds' medians that differ by more than this share of the median


@dataclass(frozen=True)
class Row:
    """One line of the table: a ``job`` of a ``program``'s worker."""

    program: str
    job: str
    title: str

    @property
    def key(self) -> str:
        """Name of the row in a report."""
        return f"{self.program}: {self.job}"

    def figures(self, slices: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Of all rounds: the distribution in milliseconds, and CPU time a picture."""
        count = sum(len(s["ms"]) for s in slices)
        times = distribution([s["ms"] for s in slices])
        detections = [s["detections"] for s in slices]
        return {
            "title": self.title,
            **({} if times is None else asdict(times)),
            "cpu_ms": 1e3 * sum(s["cpu_s"] for s in slices) / count,
            "round_cpu_ms": [1e3 * s["cpu_s"] / len(s["ms"]) for s in slices],
            "with_face": sum(s["faces"] for s in slices) / count,
            "full_detections": None if None in detections else sum(detections),
        }


@dataclass(frozen=True)
class Aim:
    """``upper`` over ``lower`` (keys of rows) is to be at least or at most ``aim``."""

    title: str
    upper: str
    lower: str
    aim: float
    at_least: bool


AIMS = (
    *(
        Aim(
            f"tracked frame, times faster than facenet-pytorch from {px} px",
            f"facenet: detect {px}",
            "rtrecon: track",
            15.0,
            True,
        )
        for px in (80, 60, 20)
    ),
    *(
        Aim(
            f"full detection, times faster than facenet-pytorch from {px} px",
            f"facenet: detect {px}",
            f"rtrecon: detect {px}",
            3.0,
            True,
        )
        for px in (80, 60, 20)
    ),
    *(
        Aim(
            f"{ours}, in times of Face Mesh{kind}",
            f"rtrecon: {job}",
            f"mediapipe: {row}",
            3.0,
            False,
        )
        for ours, job in (
            ("whole frame", "frame"),
            ("the same with triangles", "frame and triangles"),
        )
        for kind, row in (("", "plain"), (", refined", "refined"))
    ),
)


def ratio(aim: Aim, rows: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The ratio in each round, and whether the aim is reached."""
    upper, lower = rows[aim.upper], rows[aim.lower]
    each = np.divide(upper["round_medians_ms"], lower["round_medians_ms"])
    cpu = np.divide(upper["round_cpu_ms"], lower["round_cpu_ms"])
    low, high = float(each.min()), float(each.max())
    return {
        "title": aim.title,
        "ratio": float(np.median(each)),
        "low": low,
        "high": high,
        "cpu_ratio": float(np.median(cpu)),
        "verdict": verdict(aim, low, high),
    }


def verdict(aim: Aim, low: float, high: float) -> str:
    """What can be said when the rounds gave ``low`` to ``high``."""
    worst, best = (low, high) if aim.at_least else (-high, -low)
    wanted = aim.aim if aim.at_least else -aim.aim
    if worst >= wanted:
        return "reached"
    return "missed" if best < wanted else "reached in some rounds"


def markdown(report: dict[str, Any]) -> str:
    """The whole report for a page of documentation."""
    width, height = report["source"]["size_px"]
    lines = [
        f"`{report['command']}`",
        "",
        f"{report['machine_line']}. {report['source']['name']}: {report['source']['pictures']} "
        f"pictures of {width}x{height}. {report['rounds']} rounds of {report['seconds']:g} s each.",
    ]
    for part in report["cores"]:
        lines += ["", f"### {part['cores']} core{'s' if part['cores'] > 1 else ''}", ""]
        lines += [
            "| ms a frame | median | p95 | medians of the rounds | CPU time |",
            "|---|---|---|---|---|",
        ]
        for row in part["rows"].values():
            medians = row["round_medians_ms"]
            lines.append(
                f"| {row['title']} | {row['median_ms']:.2f} | {row['p95_ms']:.2f} "
                f"| {min(medians):.2f} to {max(medians):.2f} | {row['cpu_ms']:.2f} |"
            )
        lines += ["", "| ratio | median (rounds) | in CPU time | aim | |", "|---|---|---|---|---|"]
        for aim, found in zip(report["aims"], part["ratios"], strict=True):
            sign = "≥" if aim["at_least"] else "≤"
            lines.append(
                f"| {found['title']} | **{found['ratio']:.2f}** ({found['low']:.2f} to "
                f"{found['high']:.2f}) | {found['cpu_ratio']:.2f} | {sign} {aim['aim']:g} "
                f"| {found['verdict']} |"
            )
        lines += ["", *_notes(part)]
    lines += ["", "Versions: " + "; ".join(_versions(report["cores"][0]["versions"])) + "."]
    return "\n".join(lines)


def _notes(part: dict[str, Any]) -> list[str]:
    model = part["versions"].get("rtrecon", {}).get(_DEPTH_MODEL)
    notes = [f"- rtrecon's depth model: {model}."] if model else []
    for job, same in part["same_faces"].items():
        px = job.split()[-1]
        if same["same"]:
            notes.append(
                f"- Both MTCNNs, from {px} px: the same {same['faces']} faces in "
                f"{same['pictures']} pictures, IoU {same['least_iou']:.4f} or more, landmarks "
                f"within {same['landmarks_off_px']:.3f} px."
            )
        else:
            notes.append(f"- Both MTCNNs, from {px} px: NOT the same faces ({same}).")
    for row in part["rows"].values():
        if row["with_face"] < 1.0:
            notes.append(
                f"- {row['title']}: a face in {row['with_face']:.1%} of the pictures only."
            )
        if row["full_detections"] is not None:
            notes.append(
                f"- {row['title']}: {row['full_detections']} full detections in "
                f"{row['samples']} pictures."
            )
    noisy = [r["title"] for r in part["rows"].values() if _spread(r) > _NOISY]
    if noisy:
        notes.append(
            f"- Noisy: the rounds' medians differ by more than {_NOISY:.0%} in {len(noisy)} of "
            f"{len(part['rows'])} rows ({'; '.join(noisy)}). Trust ratios, not milliseconds."
        )
    return notes


def _spread(row: dict[str, Any]) -> float:
    return (row["spread_ms"] or 0.0) / row["median_ms"]


def _versions(programs: dict[str, dict[str, str]]) -> list[str]:
    return [
        f"{name}: "
        + ", ".join(f"{key} {value}" for key, value in found.items() if key != _DEPTH_MODEL)
        for name, found in programs.items()
    ]
