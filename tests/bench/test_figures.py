from __future__ import annotations

import numpy as np
import pytest

from rtrecon.bench.figures import (
    distribution,
    paced_figures,
    peak_fps,
    told_apart,
    undecided,
    unpaced_figures,
)
from rtrecon.bench.results import Distribution
from tests.bench.reports import one_round


def test_a_distribution_pools_samples_and_keeps_the_rounds_apart() -> None:
    figures = distribution([[1.0, 2.0, 3.0], [4.0, 5.0, 60.0]])
    assert figures is not None
    assert figures.median_ms == 3.5
    assert figures.round_medians_ms == (2.0, 5.0)
    assert figures.spread_ms == 3.0
    assert (figures.min_ms, figures.max_ms, figures.samples) == (1.0, 60.0, 6)
    assert figures.median_ms < figures.p95_ms < figures.p99_ms < 60.0


def test_one_round_has_no_spread_and_no_samples_no_figures() -> None:
    figures = distribution([[1.0, 2.0], []])
    assert figures is not None
    assert figures.spread_ms is None
    assert distribution([[], []]) is None
    assert distribution([]) is None


def test_the_peak_is_the_best_run_of_frames() -> None:
    slow = [0.1 * k for k in range(10)]
    fast = [slow[-1] + 0.01 * (k + 1) for k in range(10)]
    assert peak_fps(slow + fast, frames=5) == pytest.approx(100.0)
    assert peak_fps(slow, frames=5) == pytest.approx(10.0)
    assert peak_fps([0.0, 0.5]) == pytest.approx(2.0)
    assert peak_fps([0.0]) is None


def test_a_stage_that_seldom_runs_counts_little_a_frame() -> None:
    figures = unpaced_figures([one_round(ms)["unpaced"] for ms in (10.0, 12.0, 11.0)])
    assert figures is not None
    detect = figures.stages["detect"]
    assert detect.samples == 3
    assert detect.median_ms == 22.0
    assert detect.mean_per_frame_ms == pytest.approx((20 + 24 + 22) / 120)
    assert figures.fps == pytest.approx(1000 / 11, rel=0.01)
    assert figures.cpu_s_per_frame == 0.02
    assert figures.frames == len(figures.frame_samples_ms) == 120


def test_drops_are_a_share_of_what_the_camera_gave() -> None:
    figures = paced_figures([one_round(10.0)["paced"]] * 2, 30.0)
    assert figures is not None
    assert (figures.frames_captured, figures.frames_dropped) == (84, 4)
    assert figures.dropped_share == pytest.approx(4 / 84, abs=1e-4)
    assert figures.latency is not None
    assert figures.latency.median_ms == pytest.approx(11.0, abs=0.01)
    assert figures.grab_to_photon_ms is None
    assert figures.view is None


def of_medians(medians_ms: list[float]) -> Distribution:
    """Rounds of one sample each."""
    figures = distribution([[ms] for ms in medians_ms])
    assert figures is not None
    return figures


def test_rows_whose_rounds_meet_are_not_told_apart() -> None:
    a, b, c = (
        distribution([[v] * 5 for v in medians])
        for medians in ([10.0, 11.0, 12.0], [11.5, 13.0, 14.0], [20.0, 21.0, 22.0])
    )
    assert a is not None
    assert b is not None
    assert c is not None
    assert not told_apart(a, b)
    assert not told_apart(b, a)
    assert told_apart(a, c)
    assert told_apart(c, a)
    assert undecided({"a": a, "b": b, "c": c}) == [("a", "b")]


@pytest.mark.parametrize(("rounds", "most"), [(2, 0.12), (3, 0.04), (4, 0.03), (5, 0.015)])
def test_like_rows_are_seldom_told_apart_and_unlike_ones_mostly(rounds: int, most: float) -> None:
    random = np.random.default_rng(rounds)

    def share(apart_ms: float) -> float:
        pairs = random.normal(100.0, 1.0, (2000, 2, rounds))
        pairs[:, 1] += apart_ms
        told = [
            told_apart(of_medians(one.tolist()), of_medians(other.tolist())) for one, other in pairs
        ]
        return float(np.mean(told))

    assert share(0.0) < most
    assert share(6.0) > 0.9


def test_a_single_round_tells_nothing() -> None:
    assert not told_apart(of_medians([1.0]), of_medians([50.0, 51.0]))
