from __future__ import annotations

import pytest

from rtrecon.stats import RunStats, Samples


def test_samples_keep_the_newest() -> None:
    samples = Samples(capacity=4)
    assert samples.percentiles() == {}
    for value in range(10):
        samples.add(value)
    assert sorted(samples.values()) == [6, 7, 8, 9]
    assert samples.count == 10
    assert samples.percentiles()["p50"] == 7.5


def test_fps_counts_gaps_not_frames() -> None:
    stats = RunStats()
    for k in range(31):
        stats.add_frame(0, k * 100_000_000, has_face=k % 2 == 0)
    assert stats.fps == pytest.approx(10.0)
    assert stats.recent_fps == pytest.approx(10.0)
    assert (stats.frames_processed, stats.frames_with_face) == (31, 16)


def test_one_frame_has_no_rate() -> None:
    stats = RunStats()
    stats.add_frame(0, 5, has_face=False)
    assert stats.fps == 0.0


def test_summary_names_only_stages_that_ran() -> None:
    stats = RunStats()
    stats.add_stage("depth", 7_000_000)
    stats.add_frame(0, 9_000_000, has_face=True)
    summary = stats.summary()
    assert summary["stage_ms"] == {"depth": {"p50": 7.0, "p95": 7.0, "p99": 7.0}}
    assert summary["latency_ms"]["p50"] == 9.0
    assert summary["peak_rss_mb"] > 10


def test_the_first_frames_are_not_mixed_in() -> None:
    stats = RunStats()
    for k in range(40):
        latency_ms = 500 if k < 10 else 9
        stats.add_frame(k * 10**9, k * 10**9 + latency_ms * 10**6, has_face=True)
    summary = stats.summary()
    assert summary["latency_ms"] == {"p50": 9.0, "p95": 9.0, "p99": 9.0}
    assert summary["warm_up"] == {
        "frames": 10,
        "latency_ms": {"p50": 500.0, "p95": 500.0, "p99": 500.0},
    }
    assert stats.latency_ms.count == 40
    short = RunStats()
    short.add_frame(0, 7_000_000, has_face=True)
    assert short.summary()["latency_ms"]["p50"] == 7.0
