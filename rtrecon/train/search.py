"""Which size of network is worth its time: each is trained alike, scored and timed."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rtrecon.train.latency import Latency, measure_sizes
from rtrecon.train.loop import FitConfig, fit
from rtrecon.train.network import SIZES

__all__ = ["SearchRow", "format_search", "pareto", "search_sizes"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchRow:
    """One size: its scores on held-out heads after the same steps, and its time of a crop.

    ``mae_mm`` and ``normal_deg`` are means over trainings from ``seeds`` different seeds,
    ``spread_mm`` the range of the first over them.
    """

    name: str
    mae_mm: float
    normal_deg: float
    mask_iou: float
    cpu_ms: float
    seeds: int = 1
    spread_mm: float = 0.0


def search_sizes(
    names: Sequence[str],
    data: list[Path],
    out: Path,
    *,
    steps: int = 500,
    batch: int = 24,
    size_px: int | None = None,
    threads: int | None = None,
    seeds: Sequence[int] = (1,),
    runs: int = 60,
) -> list[SearchRow]:
    """Train the networks ``names`` of `SIZES` from nothing, with the same batches, and time them.

    Short trainings favour small networks a little: the table says what a size is worth early.
    Differences below the spread over ``seeds`` say nothing.

    Args:
        names: of `SIZES`.
        data: folders made by ``generate``.
        out: a folder for each training, which is resumed.
        steps, batch: of each training.
        size_px: input of all of them; None: each its own.
        threads: of training.
        seeds: one training from each.
        runs: crops timed for each network, number of threads and round.

    Raises:
        DataError, ModelError, OutputError: as `fit`.
    """
    scores: dict[str, list[dict[str, float]]] = {}
    for name in names:
        size = size_px or (SIZES[name].size_px if name in SIZES else 192)
        for seed in seeds:
            folder = out / f"{name.replace(' ', '-')}-seed-{seed}"
            logger.info("%s at %d px, seed %d", name, size, seed)
            fit(
                FitConfig(
                    data=data,
                    out=folder,
                    network=name,
                    steps=steps,
                    batch=batch,
                    size=size,
                    warmup=min(60, steps // 5),
                    decay=0.6,
                    ema=0.99,
                    every=max(steps // 2, 1),
                    seed=seed,
                    threads=threads,
                )
            )
            last = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1]
            scores.setdefault(name, []).append(json.loads(last))
    times: Mapping[str, Latency] = {
        row.name: row for row in measure_sizes({n: SIZES[n] for n in names}, runs=runs)
    }
    return [_row(name, scores[name], times[name]) for name in names]


def _row(name: str, scores: Sequence[dict[str, float]], time: Latency) -> SearchRow:
    mae, normal, iou = (
        [score[key] for score in scores] for key in ("mae_mm", "normal_deg", "mask_iou")
    )
    return SearchRow(
        name,
        fmean(mae),
        fmean(normal),
        fmean(iou),
        time.cpu_ms[1],
        len(scores),
        max(mae) - min(mae),
    )


def pareto(rows: Sequence[SearchRow]) -> set[str]:
    """Names of the rows that no other row beats in both depth error and time."""
    return {
        a.name
        for a in rows
        if not any(
            b.mae_mm <= a.mae_mm
            and b.cpu_ms <= a.cpu_ms
            and (b.mae_mm, b.cpu_ms) != (a.mae_mm, a.cpu_ms)
            for b in rows
        )
    }


def format_search(rows: Sequence[SearchRow]) -> str:
    """The rows as a Markdown table, the Pareto front marked."""
    front = pareto(rows)
    lines = [
        "| network | depth error | normals | mask IoU | processor time, one thread | front |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.mae_mm:.2f} mm{f' (range {r.spread_mm:.2f})' if r.seeds > 1 else ''} | "
        f"{r.normal_deg:.1f} degrees | {r.mask_iou:.3f} | "
        f"{r.cpu_ms:.1f} ms | {'yes' if r.name in front else ''} |"
        for r in sorted(rows, key=lambda r: r.cpu_ms)
    ]
    return "\n".join(lines)
