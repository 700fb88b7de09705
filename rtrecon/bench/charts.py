"""The charts of a benchmark: rates, stages, distributions of latency."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtrecon.bench.canvas import Canvas
from rtrecon.bench.results import Distribution, Report, Unpaced
from rtrecon.stats import WORK_STAGES

__all__ = ["WIDTH", "Chart", "make_charts", "nice_ticks"]

WIDTH = 960
_LEFT, _RIGHT = 266, 90  # room for the rows' names and for their figures
_ROW, _RIDGE = 30, 52
_AXIS = 30
_PARTS = (*WORK_STAGES, "other")
_BINS = 72
_LABEL_LETTERS = 34


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart ``WIDTH`` wide; ``draw`` is called with a canvas of its height."""

    title: str
    note: str
    height: int
    draw: Callable[[Canvas], None]


def make_charts(report: Report) -> list[Chart]:
    """The charts that the report has figures for."""
    if report.options["stages"]:
        alone = [(row.label, row.stages_alone) for row in report.rows if row.stages_alone]
        return [_alone_chart(alone)]
    unpaced = [(row.label, row.unpaced) for row in report.rows if row.unpaced is not None]
    if not unpaced:
        return []
    rate_hz = report.options["rate_hz"]
    return [
        _rate_chart(unpaced, rate_hz),
        _stage_chart(unpaced),
        _ridge_chart(
            f"Grab to geometry at {rate_hz:g} Hz",
            "Milliseconds of each frame from the camera's grab, newest frame wins: what people "
            "feel. Lines: median, p95, p99.",
            [
                (row.label, row.paced.latency, row.paced.latency_samples_ms)
                for row in report.rows
                if row.paced is not None and row.paced.latency is not None
            ],
        ),
        _ridge_chart(
            "Time of a frame, as fast as it can",
            "Milliseconds from the picture in memory to the face in metres. "
            "Lines: median, p95, p99.",
            [(label, figures.frame, figures.frame_samples_ms) for label, figures in unpaced],
        ),
    ]


def nice_ticks(most: float, count: int = 6) -> list[float]:
    """Round numbers from 0 to at least ``most``, about ``count`` of them."""
    if not most > 0:
        return [0.0, 1.0]
    raw = most / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    return [round(k * step, 10) for k in range(math.ceil(most / step - 1e-9) + 1)]


def _rate_chart(rows: Sequence[tuple[str, Unpaced]], rate_hz: float) -> Chart:
    top, height = 24, 24 + _ROW * len(rows) + _AXIS

    def draw(canvas: Canvas) -> None:
        most = max([rate_hz, *(max(figures.round_fps) for _, figures in rows)])
        x_of = _axis(canvas, nice_ticks(1.04 * most), top, height - _AXIS, "fps")
        for k, (label, figures) in enumerate(rows):
            y, fps = top + k * _ROW, figures.fps
            low, high = min(figures.round_fps), max(figures.round_fps)
            _name(canvas, label, y)
            hint = f"{label}: {fps} fps, rounds {low} to {high}, peak {figures.peak_fps}"
            canvas.rect(x_of(0), y + 6, x_of(fps) - x_of(0), _ROW - 12, "bar", hint)
            _whisker(canvas, x_of(low), x_of(high), y + _ROW / 2)
            canvas.text(WIDTH - 8, y + 20, f"{fps:.1f} fps", anchor="end")
        x = x_of(rate_hz)
        canvas.line(x, top - 4, x, height - _AXIS, "mark", 1.5)
        canvas.text(x, top - 9, f"camera, {rate_hz:g} Hz", "mark", 12, "middle")

    note = "Sustained rate as fast as it can, every frame: median of the rounds; thin line: range."
    return Chart("Frames per second", note, height, draw)


def _stage_chart(rows: Sequence[tuple[str, Unpaced]]) -> Chart:
    top, height = 34, 34 + _ROW * len(rows) + _AXIS

    def draw(canvas: Canvas) -> None:
        x = float(_LEFT)
        for stage in _PARTS:
            canvas.rect(x, 6, 12, 12, stage)
            canvas.text(x + 17, 17, stage, "ink", 12)
            x += 28 + 7.5 * len(stage) + 8
        most = max(figures.frame.mean_ms for _, figures in rows)
        x_of = _axis(canvas, nice_ticks(1.02 * most), top, height - _AXIS, "ms")
        for k, (label, figures) in enumerate(rows):
            y, at_ms = top + k * _ROW, 0.0
            _name(canvas, label, y)
            for stage, ms in _parts(figures):
                x0, x1 = x_of(at_ms), x_of(at_ms + ms)
                canvas.rect(x0, y + 5, max(x1 - x0 - 1, 0.5), _ROW - 10, stage, f"{stage} {ms} ms")
                at_ms += ms
            canvas.text(WIDTH - 8, y + 20, f"{figures.frame.mean_ms:.1f} ms", anchor="end")

    note = (
        "Mean milliseconds a frame, as fast as it can. A full detection runs once in many frames: "
        "its share is small, not its length."
    )
    return Chart("Where the time goes", note, height, draw)


def _ridge_chart(
    title: str, note: str, shown: Sequence[tuple[str, Distribution, Sequence[float]]]
) -> Chart:
    top, height = 8, 8 + _RIDGE * len(shown) + _AXIS

    def draw(canvas: Canvas) -> None:
        if not shown:
            return
        # A single stray frame must not squeeze all others into a corner.
        most = max(min(figures.max_ms, 1.6 * figures.p99_ms) for _, figures, _ in shown)
        ticks = nice_ticks(most)
        x_of = _axis(canvas, ticks, top, height - _AXIS, "ms")
        edges = np.linspace(0.0, ticks[-1], _BINS + 1)
        for k, (label, figures, samples) in enumerate(shown):
            base = top + (k + 1) * _RIDGE - 6
            _name(canvas, label, base - _ROW)
            counts, _ = np.histogram(np.clip(samples, 0.0, ticks[-1]), bins=edges)
            _ridge(canvas, edges, counts, base, x_of, _spoken(label, figures))
            spots = ((figures.median_ms, True), (figures.p95_ms, False), (figures.p99_ms, False))
            for ms, strong in spots:
                x = x_of(min(ms, ticks[-1]))
                reach = _RIDGE - 16 if strong else 16
                canvas.line(x, base, x, base - reach, "mark", 2.0 if strong else 1.2)
            canvas.text(WIDTH - 8, base - 14, f"{figures.median_ms:.1f} ms", anchor="end")
            tail = f"p95 {figures.p95_ms:.1f}"
            canvas.text(WIDTH - 8, base, tail, "muted", 12, "end")

    return Chart(title, note, height, draw)


def _ridge(
    canvas: Canvas,
    edges: np.ndarray[Any, Any],
    counts: np.ndarray[Any, Any],
    base: float,
    x_of: Callable[[float], float],
    hint: str,
) -> None:
    tall = (_RIDGE - 14) / max(int(counts.max()), 1)
    points = [(x_of(float(edges[0])), base)]
    for left, right, count in zip(edges[:-1], edges[1:], counts, strict=True):
        y = base - float(count) * tall
        points += [(x_of(float(left)), y), (x_of(float(right)), y)]
    points.append((x_of(float(edges[-1])), base))
    canvas.polygon(points, "fill", hint)
    canvas.line(x_of(float(edges[0])), base, x_of(float(edges[-1])), base, "bar", 1.0)


def _alone_chart(rows: Sequence[tuple[str, Mapping[str, Distribution | None]]]) -> Chart:
    bars = [
        (f"{stage}, {label}" if len(rows) > 1 else stage, figures)
        for label, stages in rows
        for stage, figures in stages.items()
        if figures is not None
    ]
    top, height = 8, 8 + _ROW * len(bars) + _AXIS

    def draw(canvas: Canvas) -> None:
        if not bars:
            return
        ticks = nice_ticks(1.02 * max(figures.p95_ms for _, figures in bars))
        x_of = _axis(canvas, ticks, top, height - _AXIS, "ms")
        for k, (label, figures) in enumerate(bars):
            y = top + k * _ROW
            _name(canvas, label, y)
            length = x_of(figures.median_ms) - x_of(0)
            hint = _spoken(label, figures)
            canvas.rect(x_of(0), y + 6, length, _ROW - 12, "bar", hint)
            _whisker(canvas, x_of(figures.min_ms), x_of(figures.p95_ms), y + _ROW / 2)
            canvas.text(WIDTH - 8, y + 20, f"{figures.median_ms:.2f} ms", anchor="end")

    note = "Median milliseconds of a call on all faces of a picture; thin line: least to p95."
    return Chart("Stages alone", note, height, draw)


def _axis(
    canvas: Canvas, ticks: Sequence[float], top: float, bottom: float, unit: str
) -> Callable[[float], float]:
    """Draw the grid; returns the function from a value to its x."""
    width = WIDTH - _LEFT - _RIGHT

    def x_of(value: float) -> float:
        return _LEFT + width * value / ticks[-1]

    for k, tick in enumerate(ticks):
        x = x_of(tick)
        canvas.line(x, top, x, bottom, "grid", 1.0)
        text = f"{tick:g} {unit}" if k == len(ticks) - 1 else f"{tick:g}"
        canvas.text(x, bottom + 18, text, "muted", 12, "middle")
    return x_of


def _name(canvas: Canvas, label: str, y: float) -> None:
    if len(label) > _LABEL_LETTERS:  # the end tells rows apart
        label = f"{label[:12]}…{label[13 - _LABEL_LETTERS :]}"
    canvas.text(_LEFT - 12, y + 20, label, "ink", 13, "end")


def _whisker(canvas: Canvas, x0: float, x1: float, y: float) -> None:
    canvas.line(x0, y, x1, y, "ink", 1.5)
    for x in (x0, x1):
        canvas.line(x, y - 4, x, y + 4, "ink", 1.5)


def _parts(figures: Unpaced) -> list[tuple[str, float]]:
    """Stage and mean milliseconds a frame, and what is left over."""
    parts = [
        (stage, round(figures.stages[stage].mean_per_frame_ms or 0.0, 3))
        for stage in WORK_STAGES
        if stage in figures.stages
    ]
    left = figures.frame.mean_ms - sum(ms for _, ms in parts)
    return [*parts, ("other", round(max(left, 0.0), 3))]


def _spoken(label: str, figures: Distribution) -> str:
    return (
        f"{label}: median {figures.median_ms:.2f} ms, p95 {figures.p95_ms:.2f} ms, "
        f"p99 {figures.p99_ms:.2f} ms, {figures.samples} samples"
    )
