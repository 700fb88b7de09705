"""Trains the details of a network alone: pixels to coefficients and landmarks, no transformer."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rtrecon.errors import DataError
from rtrecon.evaluate.expression_metrics import score_coefficients, summarize_coefficients
from rtrecon.train.augment import Warp, flip_labels, noise_bank, recolour
from rtrecon.train.checkpoint import load_tensors, save_tensors
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.details import Details
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.loop import keep_freed_memory, load_network
from rtrecon.train.losses import expression_loss, landmarks_loss
from rtrecon.types import Float32Array

__all__ = ["FitDetailsConfig", "fit_details"]

logger = logging.getLogger(__name__)

_PAIRS = 8  # of a batch that come again in other noise
_EMA = 0.999


@dataclass(kw_only=True)
class FitDetailsConfig:
    """Train the part of a network that sees eyes and mouth closely, alone."""

    data: list[Path]
    """Folders made by `generate`; new shards are taken in while training runs."""
    init: Path
    """Weights whose details are trained."""
    out: Path
    """Folder for weights.safetensors and the log."""
    steps: int = 6000
    """Optimiser steps."""
    batch: int = 64
    """Pictures a step."""
    rate: float = 2e-3
    """Highest learning rate."""
    seed: int = 1
    """Of the weights at first and of every batch."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    every: int = 500
    """Steps between validations, each of which writes the weights."""
    validate: int = 384
    """Held-out pictures that are scored."""


def fit_details(config: FitDetailsConfig) -> None:
    """Train until ``config.steps``; Ctrl-C keeps what was learnt.

    Raises:
        DataError: there is no data. ModelError: the weights cannot be used.
        OutputError: the weights cannot be written.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()
    data, held_out = ShardDataset(config.data), ShardDataset(config.data, held_out=True)
    if len(data) == 0 or len(held_out) == 0:
        raise DataError(f"no complete shards in {', '.join(map(str, config.data))} yet")
    network = load_network(config.init)
    _, header = load_tensors(config.init)
    torch.manual_seed(config.seed)
    if not header.get("details"):
        network.details = Details()
    details = network.details.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    decayed = [p for p in details.parameters() if p.ndim >= 2]
    others = [p for p in details.parameters() if p.ndim < 2]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.03}, {"params": others, "weight_decay": 0.0}],
        betas=(0.9, 0.99),
    )
    ema = {k: v.detach().clone() for k, v in details.state_dict().items()}
    start_s, smooth = time.monotonic(), 0.0

    def save(step: int) -> None:
        network.details.load_state_dict(ema)
        network.reset_shares()
        row = {"step": step, "pictures": len(data), "loss": round(smooth, 4)}
        row |= _scores(network.details, held_out, config.validate)
        logger.info("\n%s", json.dumps(row))
        with (config.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        save_tensors(
            config.out / "weights.safetensors", network.state_dict(), header | {"details": step}
        )

    config.out.mkdir(parents=True, exist_ok=True)
    step = 0
    try:
        for step in range(1, config.steps + 1):
            if step % 200 == 0:
                data.rescan()
            details.train()
            image, expression, marks = _batch(
                data, config.batch, np.random.default_rng([config.seed, step])
            )
            logits, found = details(image)
            said = torch.sigmoid(logits)
            again = (said[:_PAIRS] - said[-_PAIRS:]).abs().mean() + 10 * (
                found[:_PAIRS] - found[-_PAIRS:]
            ).abs().mean()
            loss = (
                4.0 * expression_loss(said, expression)
                + 10.0 * landmarks_loss(found.reshape(-1, 68, 2), marks)
                + 0.3 * again
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(details.parameters(), 2.0)
            rate = config.rate * _schedule(step, config.steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
            value = float(loss.detach())
            smooth = value if step == 1 else 0.98 * smooth + 0.02 * value
            _average(ema, details, min(_EMA, (1 + step) / (10 + step)))
            if step % 20 == 0:
                per_s = step / (time.monotonic() - start_s)
                print(  # noqa: T201
                    f"\rstep {step}/{config.steps}  loss {smooth:.3f}  "
                    f"{per_s * config.batch:.0f} pictures/s  "
                    f"{(config.steps - step) / per_s / 60:.0f} min to go ",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )
            if step % config.every == 0 and step < config.steps:
                now = {k: v.clone() for k, v in details.state_dict().items()}
                save(step)
                details.load_state_dict(now)
    except KeyboardInterrupt:
        logger.info("interrupted at step %d", step)
    save(step)


def _schedule(step: int, steps: int) -> float:
    warm = min(step / 200, 1.0)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _average(ema: dict[str, Tensor], details: Details, decay: float) -> None:
    with torch.no_grad():
        for key, now in details.state_dict().items():
            if now.dtype.is_floating_point:
                ema[key].lerp_(now, 1 - decay)
            else:
                ema[key].copy_(now)


def _batch(
    data: ShardDataset, count: int, rng: np.random.Generator | None, rows: Any = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures (n, 3, s, s), coefficients (n, 51), landmarks (n, 68, 2); no rng: as they are."""
    images: list[Float32Array] = []
    expressions, marks = [], []
    if rng is not None:
        rows = rng.integers(0, len(data), count - _PAIRS)
    for row in rows:
        image, expression, places = _example(data[int(row)], rng)
        images.append(image)
        expressions.append(expression)
        marks.append(places)
    if rng is not None:
        images += images[:_PAIRS]
        expressions += expressions[:_PAIRS]
        marks += marks[:_PAIRS]
        bank = noise_bank(images[0].shape[0])
        images = [bank.noisy(image, rng) for image in images]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).flip(1)
    return (
        pixels.contiguous(memory_format=torch.channels_last),
        torch.from_numpy(np.stack(expressions)).float(),
        torch.from_numpy(np.stack(marks)).float(),
    )


def _example(
    row: dict[str, npt.NDArray[Any]], rng: np.random.Generator | None
) -> tuple[Float32Array, Float32Array, Float32Array]:
    """One picture (s, s, 3) BGR in [0, 1], its coefficients and landmarks, augmented alike."""
    image = np.asarray(row["image"])
    size = image.shape[0]
    warp = Warp.draw(rng, size, size)
    marks = np.asarray(row["landmarks68_px"], dtype=np.float32)
    expression = np.asarray(row["expression"])
    if rng is not None:
        image = cv2.warpAffine(image, warp.matrix, (size, size), flags=cv2.INTER_LINEAR)
        image = recolour(np.asarray(image, np.uint8), rng)
    places: npt.NDArray[np.floating] = (
        marks @ warp.matrix[:, :2].T + warp.matrix[:, 2] + 0.5
    ) / size
    if warp.flip:
        places, expression = flip_labels(places, expression)
    return (
        image.astype(np.float32) / 255.0,
        np.asarray(expression, np.float32),
        places.astype(np.float32),
    )


def _scores(details: Details, held_out: ShardDataset, count: int) -> dict[str, float]:
    details.eval()
    rows = np.linspace(0, len(held_out) - 1, min(count, len(held_out))).astype(int)
    found, true, apart = [], [], []
    for chunk in np.array_split(rows, max(1, len(rows) // 64)):
        image, expression, marks = _batch(held_out, 0, None, chunk)
        with torch.no_grad():
            logits, places = details(image)
        found.append(torch.sigmoid(logits).numpy())
        true.append(expression.numpy())
        eyes = (marks[:, 45] - marks[:, 36]).norm(dim=1).clamp(min=0.05)
        miss = (places.reshape(-1, 68, 2) - marks).norm(dim=2).mean(dim=1)
        apart.append(float((miss / eyes).mean()))
    scores = score_coefficients(np.concatenate(found), np.concatenate(true), ARKIT_NAMES)
    summary = summarize_coefficients(scores) | {"landmark_share": float(np.mean(apart))}
    return {name: round(value, 4) for name, value in summary.items()}
