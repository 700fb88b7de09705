"""The rows of a benchmark while it runs: processes started, rounds interleaved, failures kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from rtrecon.bench.combination import Combination, round_order
from rtrecon.bench.config import BenchConfig
from rtrecon.bench.figures import paced_figures, stage_figures, unpaced_figures
from rtrecon.bench.process import ChildError, MeasuredProcess
from rtrecon.bench.results import RowResult, Used
from rtrecon.host import gpu_memory_mb

__all__ = ["Row", "measure_rows", "trace_first"]

_LEAST_FREE_MB = 512  # below it a system begins to swap, and the figures are of the disk


@dataclass(slots=True, eq=False)
class Row:
    """One combination and what is known of it so far; ``error`` says why it cannot run."""

    combination: Combination
    label: str
    pictures: Path | None = None
    state: str = "waiting"
    error: str | None = None
    process: MeasuredProcess | None = None
    started: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    gpu_memory_mb: float | None = None
    idle_cpu_s: float = 0.0
    _cpu_s: float = 0.0

    def fail(self, error: str) -> None:
        """Leave it out from now on."""
        self.error, self.state = error, "failed"
        self.close()

    def close(self) -> None:
        """End its process."""
        if self.process is not None:
            self.process.close()
            self.process = None

    def result(self, rate_hz: float) -> RowResult:
        """What is known so far, as it goes into the report."""
        used = self.started.get("used")
        alone = any("stage_ms" in r for r in self.rounds)
        peaks = [r["peak_rss_mb"] for r in self.rounds]
        return RowResult(
            label=self.label,
            asked=self.combination,
            used=None if used is None else Used(**used),
            error=self.error,
            rounds=len(self.rounds),
            first_frame_s=self.started.get("first_frame_s"),
            unpaced=None if alone else unpaced_figures([r["unpaced"] for r in self.rounds]),
            paced=None if alone else paced_figures([r["paced"] for r in self.rounds], rate_hz),
            stages_alone=stage_figures(self.rounds) if alone else None,
            view=self.rounds[-1]["view"] if alone else None,
            peak_rss_mb=max(peaks, default=None),
            gpu_memory_mb=self.gpu_memory_mb,
            idle_cpu_s=round(self.idle_cpu_s, 3),
        )


def measure_rows(rows: Sequence[Row], config: BenchConfig, changed: Callable[[], None]) -> None:
    """Start the processes one by one, then measure all in interleaved rounds.

    ``changed`` is called whenever a row has. On an exception, Ctrl-C among them, the rounds
    done so far are in the rows; the caller closes the rows.
    """
    for row in rows:
        if row.error is None:
            _start(row, config, changed)
    for index in range(config.repeat):
        for place in round_order(len(rows), index):
            if rows[place].process is not None:
                _measure(rows[place], config, changed, index)


def trace_first(rows: Sequence[Row], config: BenchConfig) -> dict[str, Any] | None:
    """A trace of the first row that runs; None if none does.

    Raises:
        ChildError: it failed.
    """
    for row in rows:
        if row.process is not None:
            return row.process.ask(
                "trace",
                _timeout_s(config),
                seconds=config.seconds,
                view=config.view,
                label=row.label,
            )
    return None


def _start(row: Row, config: BenchConfig, changed: Callable[[], None]) -> None:
    row.state = "starting"
    changed()
    assert row.pictures is not None
    free_mb = psutil.virtual_memory().available / 2**20
    if free_mb < _LEAST_FREE_MB:
        row.fail(
            f"only {free_mb:.0f} MiB of memory are free beside the combinations started before: "
            "measure fewer at once"
        )
        changed()
        return
    try:
        row.process = MeasuredProcess(
            row.combination, row.pictures, config.rate, debug=config.debug
        )
    except ChildError as error:
        row.fail(str(error))
    else:
        row.started = row.process.started
        row.state = "ready"
        row._cpu_s = row.process.cpu_s()
    changed()


def _measure(row: Row, config: BenchConfig, changed: Callable[[], None], index: int) -> None:
    process = row.process
    assert process is not None
    row.state = f"round {index + 1} of {config.repeat}"
    changed()
    row.idle_cpu_s += process.cpu_s() - row._cpu_s
    try:
        if config.stage:
            answer = process.ask(
                "stages",
                _timeout_s(config),
                stages=config.stage,
                seconds=config.seconds,
                view=config.view,
            )
        else:
            answer = process.ask(
                "round", _timeout_s(config), seconds=config.seconds, view=config.view
            )
    except ChildError as error:
        row.fail(str(error))
    else:
        row.rounds.append(answer)
        row.gpu_memory_mb = gpu_memory_mb(process.pid)
        row._cpu_s = process.cpu_s()
        row.state = "done" if index + 1 == config.repeat else f"{index + 1} of {config.repeat} done"
    changed()


def _timeout_s(config: BenchConfig) -> float:
    return 120.0 + 20.0 * config.seconds * max(1, len(config.stage))
