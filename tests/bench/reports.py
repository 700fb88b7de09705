"""Rows with made-up rounds, for tests of what is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rtrecon.bench.combination import Combination, labels
from rtrecon.bench.config import BenchConfig
from rtrecon.bench.pictures import Footage
from rtrecon.bench.report import make_report
from rtrecon.bench.results import Report
from rtrecon.bench.rows import Row

MACHINE: dict[str, Any] = {
    "cpu": "Test & Sons <9000>",
    "cores_usable": 2,
    "cores_physical": 2,
    "cores_logical": 4,
    "memory_gb": 8.0,
    "memory_available_gb": 6.0,
    "gpus": [],
    "os": "Linux 6",
    "architecture": "x86_64",
    "governor": None,
    "on_battery": None,
    "load_average_1min": 0.1,
    "versions": {"python": "3.11"},
}


def one_round(median_ms: float, *, frames: int = 40) -> dict[str, Any]:
    """A round whose frames take ``median_ms``, half of it in the depth model."""
    ms = [median_ms + 0.01 * (k - frames // 2) for k in range(frames)]
    return {
        "unpaced": {
            "frame_ms": ms,
            "capture_ms": [0.1] * frames,
            "stage_ms": {
                "detect": [2 * median_ms],
                "track": [0.1 * median_ms] * frames,
                "align": [0.01] * frames,
                "depth": [0.5 * median_ms] * frames,
                "geometry": [0.1 * median_ms] * frames,
            },
            "done_s": list(np.cumsum(ms) / 1000),
            "wall_s": sum(ms) / 1000,
            "cpu_s": frames * 0.02,
            "faces": 1.0,
        },
        "paced": {
            "latency_ms": [v + 1 for v in ms],
            "stage_ms": {"depth": [0.6 * median_ms] * frames},
            "captured": frames + 2,
            "dropped": 2,
            "processed": frames,
            "fps": 30.0,
            "cpu_s_per_frame": 0.03,
        },
        "peak_rss_mb": 120.0,
    }


def report_of(
    medians_ms: dict[str, list[float]],
    failed: dict[str, str] | None = None,
    *,
    machine: dict[str, Any] | None = None,
    interrupted: bool = False,
) -> Report:
    """A report of one row a model: the medians of its rounds, or why it failed."""
    names = [*medians_ms, *(failed or {})]
    combinations = [Combination(name, "auto", None, 640, 480, 1, None) for name in names]
    rows = []
    for combination, label in zip(combinations, labels(combinations), strict=True):
        row = Row(combination, label)
        if combination.model in medians_ms:
            row.started = {
                "first_frame_s": 0.8,
                "used": {
                    "model": label,
                    "provider": "cpu",
                    "precision": "int8",
                    "threads": 2,
                    "crop_px": 192,
                },
            }
            row.rounds = [one_round(median) for median in medians_ms[combination.model]]
        else:
            row.fail((failed or {})[combination.model])
        rows.append(row)
    pictures = [np.zeros((480, 640, 3), np.uint8)]
    footage = Footage("clip", pictures, 30.0, np.array([1.0, 1, 9, 9]), 1)
    config = BenchConfig(repeat=max([len(m) for m in medians_ms.values()], default=1))
    return make_report(config, footage, machine or MACHINE, rows, interrupted=interrupted)
