"""From the samples of rounds to the figures of a row, and which rows they tell apart."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rtrecon.bench.results import Distribution, Paced, Stages, Unpaced

__all__ = [
    "NOISY_SPREAD",
    "distribution",
    "paced_figures",
    "peak_fps",
    "stage_figures",
    "told_apart",
    "undecided",
    "unpaced_figures",
]

NOISY_SPREAD = 0.15
"""Spread of the rounds' medians, as a share of the median, from which a row counts as noisy."""

_PEAK_FRAMES = 30
_MARGINS = {2: 1.0, 3: 0.5, 4: 0.25}  # by rounds; from simulated medians of like rows


def distribution(rounds_ms: Sequence[Sequence[float]]) -> Distribution | None:
    """Of the samples (milliseconds) of some rounds; None without samples."""
    filled = [samples for samples in rounds_ms if len(samples)]
    if not filled:
        return None
    pooled = np.concatenate([np.asarray(samples, dtype=np.float64) for samples in filled])
    median, p95, p99 = np.percentile(pooled, (50, 95, 99))
    medians = [float(np.median(samples)) for samples in filled]
    return Distribution(
        min_ms=_ms(pooled.min()),
        median_ms=_ms(median),
        p95_ms=_ms(p95),
        p99_ms=_ms(p99),
        max_ms=_ms(pooled.max()),
        mean_ms=_ms(pooled.mean()),
        spread_ms=_ms(max(medians) - min(medians)) if len(medians) > 1 else None,
        round_medians_ms=tuple(_ms(m) for m in medians),
        samples=len(pooled),
    )


def peak_fps(done_s: Sequence[float], frames: int = _PEAK_FRAMES) -> float | None:
    """The highest rate over ``frames`` frames in a row (all, if there are fewer).

    ``done_s`` are the times at which frames were done. None for fewer than two.
    """
    done = np.asarray(done_s, dtype=np.float64)
    gaps = min(frames, len(done)) - 1
    if gaps < 1:
        return None
    spans = done[gaps:] - done[:-gaps]
    least = float(spans.min())
    return round(gaps / least, 2) if least > 0 else None


def unpaced_figures(rounds: Sequence[Mapping[str, Any]]) -> Unpaced | None:
    """Figures of the rounds of `measure_unpaced`; None without rounds."""
    if not rounds:
        return None
    frames = [len(r["frame_ms"]) for r in rounds]
    rates = [n / r["wall_s"] for n, r in zip(frames, rounds, strict=True)]
    peaks = [peak for r in rounds if (peak := peak_fps(r["done_s"])) is not None]
    frame = distribution([r["frame_ms"] for r in rounds])
    assert frame is not None  # a round has three frames at least
    return Unpaced(
        fps=round(statistics.median(rates), 2),
        round_fps=tuple(round(rate, 2) for rate in rates),
        peak_fps=round(max([*peaks, *rates]), 2),
        frame=frame,
        capture=distribution([r["capture_ms"] for r in rounds]),
        stages=_stages(rounds, sum(frames)),
        cpu_s_per_frame=round(sum(r["cpu_s"] for r in rounds) / sum(frames), 6),
        faces_per_frame=round(
            sum(r["faces"] * n for n, r in zip(frames, rounds, strict=True)) / sum(frames), 3
        ),
        frames=sum(frames),
        frame_samples_ms=tuple(ms for r in rounds for ms in r["frame_ms"]),
    )


def paced_figures(rounds: Sequence[Mapping[str, Any]], rate_hz: float) -> Paced | None:
    """Figures of the rounds of `measure_paced`; None without rounds."""
    if not rounds:
        return None
    captured, processed = (sum(r[name] for r in rounds) for name in ("captured", "processed"))
    dropped = sum(r["dropped"] for r in rounds)
    drawn = [r["drawn_ms"] for r in rounds if "drawn_ms" in r]
    return Paced(
        rate_hz=rate_hz,
        latency=distribution([r["latency_ms"] for r in rounds]),
        stages=_stages(rounds, processed),
        fps=round(statistics.median(r["fps"] for r in rounds), 2),
        frames_captured=captured,
        frames_dropped=dropped,
        dropped_share=round(dropped / captured, 4) if captured else None,
        cpu_s_per_frame=round(statistics.median(r["cpu_s_per_frame"] for r in rounds), 6),
        view=distribution([r["view_ms"] for r in rounds if "view_ms" in r]),
        grab_to_drawn=distribution(drawn),
        latency_samples_ms=tuple(ms for r in rounds for ms in r["latency_ms"]),
    )


def stage_figures(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Distribution | None]:
    """Figures of the rounds of `StageBench`, by stage."""
    names = rounds[0]["stage_ms"] if rounds else {}
    return {name: distribution([r["stage_ms"][name] for r in rounds]) for name in names}


def told_apart(one: Distribution, other: Distribution) -> bool:
    """Whether two distributions differ by more than the spread of their rounds.

    The ranges of the round medians must not meet, and with few rounds, whose range is easily too
    small, must be apart by a share of the larger one. Of two alike, one pair in ten is taken for
    different with 2 rounds, one in forty with 3, one in a hundred with 5. A single round tells
    nothing.
    """
    a, b = one.round_medians_ms, other.round_medians_ms
    rounds = min(len(a), len(b))
    if rounds < 2:
        return False
    gap = max(min(a) - max(b), min(b) - max(a))
    return bool(gap > _MARGINS.get(rounds, 0.0) * max(max(a) - min(a), max(b) - min(b)))


def undecided(frames: Mapping[str, Distribution]) -> list[tuple[str, str]]:
    """Pairs of rows, by name, whose difference is within the spread of their rounds."""
    return [
        (one, other)
        for one, other in itertools.combinations(frames, 2)
        if not told_apart(frames[one], frames[other])
    ]


def _stages(rounds: Sequence[Mapping[str, Any]], frames: int) -> Stages:
    """As `distribution`, with ``mean_per_frame_ms``: a stage may not run in every frame."""
    stages: Stages = {}
    for name in rounds[0]["stage_ms"]:
        figures = distribution([r["stage_ms"][name] for r in rounds])
        if figures is not None:
            total_ms = sum(sum(r["stage_ms"][name]) for r in rounds)
            mean_ms = _ms(total_ms / max(frames, 1))
            stages[name] = replace(figures, mean_per_frame_ms=mean_ms)
    return stages


def _ms(value: float) -> float:
    return round(float(value), 4)
