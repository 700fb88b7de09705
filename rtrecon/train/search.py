"""Which size of network is worth its time: each is trained alike, scored and timed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch.nn import functional

from rtrecon.train.batches import make_batch
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.latency import Latency, measure_sizes
from rtrecon.train.loop import FitConfig, fit, load_network
from rtrecon.train.losses import face_scores
from rtrecon.train.network import SIZES

__all__ = ["SearchRow", "format_search", "pareto", "search_sizes"]

logger = logging.getLogger(__name__)

_HEADS = 384
_TARGETS_PX = 192  # the input whose targets, half as wide, all are scored against


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
            found = _score(folder / "weights.safetensors", data, size)
            scores.setdefault(name, []).append(found)
    times: Mapping[str, Latency] = {
        row.name: row for row in measure_sizes({n: SIZES[n] for n in names}, runs=runs)
    }
    return [_row(name, scores[name], times[name]) for name in names]


def _score(weights: Path, data: list[Path], size_px: int) -> dict[str, float]:
    """`face_scores` on held-out heads, of every input size against the same targets."""
    held_out = ShardDataset(data, held_out=True)
    rows = np.linspace(0, len(held_out) - 1, min(_HEADS, len(held_out))).astype(int)
    network = load_network(weights).eval()
    found = []
    for chunk in np.array_split(rows, max(1, len(rows) // 24)):
        images, _ = make_batch(held_out, chunk, size_px, None)
        _, targets = make_batch(held_out, chunk, _TARGETS_PX, None)
        with torch.no_grad():
            out = network(images)
        relief, mask = (
            functional.interpolate(t, targets.relief.shape[-2:], mode="bilinear", antialias=True)
            for t in (out.relief, out.mask)
        )
        found.append(face_scores(replace(out, relief=relief, mask=mask), targets))
    return {key: fmean(score[key] for score in found) for key in found[0]}


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
