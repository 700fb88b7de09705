"""The page's figures are held against their aims; what was not measured misses none."""

from __future__ import annotations

import math
from dataclasses import replace

import measure_page
from soak_page import Row, slope_mb_an_hour

GOOD = measure_page.Figures(
    results_hz=16.0,
    late_p50_ms=150.0,
    late_p95_ms=300.0,
    kilobytes=38.0,
    server_ms=20.0,
    packing_ms=2.5,
    page_ms=30.0,
    server_cpu_ms=40.0,
    browser_cores=1.0,
    server_cores=0.6,
    load=2.0,
)


def test_each_aim_that_is_missed_is_named() -> None:
    assert measure_page.verdict(GOOD) == []
    bad = replace(GOOD, results_hz=14.0, kilobytes=41.0)
    assert [text.split()[0] for text in measure_page.verdict(bad)] == ["results_hz", "kilobytes"]


def test_the_server_s_camera_is_asked_for_its_own_rate_and_no_latency() -> None:
    figures = replace(GOOD, results_hz=29.8, late_p50_ms=math.nan, late_p95_ms=math.nan)
    assert measure_page.verdict(figures, is_server_camera=True) == []
    assert len(measure_page.verdict(GOOD, is_server_camera=True)) == 1


def test_the_slope_leaves_the_warm_up_out() -> None:
    rows = [
        Row(minutes=k, rss_mb=100.0 if k < 2 else 200.0 + k, descriptors=9, threads=9, viewers=k,
            results=k, megabytes=1.0, server_cores=0.1, empty=0)
        for k in range(10)
    ]  # fmt: skip
    assert round(slope_mb_an_hour(rows)) == 60
