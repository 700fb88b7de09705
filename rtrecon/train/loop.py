"""The training loop: resumable, deterministic by seed, watched through curves and pictures."""

from __future__ import annotations

import ctypes
import json
import logging
import math
import re
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rtrecon.console import Progress
from rtrecon.errors import DataError, ModelError
from rtrecon.evaluate.expression_metrics import score_coefficients, summarize_coefficients
from rtrecon.train.batches import batches, make_batch
from rtrecon.train.checkpoint import load_tensors, save_tensors
from rtrecon.train.curves import draw_curves, draw_predictions
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.losses import Targets, face_scores, token_scores, total_loss
from rtrecon.train.network import SIZES, FaceDpt, NetworkConfig
from rtrecon.train.optimiser import Optimiser
from rtrecon.types import Float32Array

__all__ = ["FitConfig", "fit", "keep_freed_memory", "load_network"]

logger = logging.getLogger(__name__)

_AVX512 = re.compile("AVX512|AMX")
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # malloc.h


@dataclass(kw_only=True)
class FitConfig:
    """Train the face DPT on generated heads."""

    data: list[Path]
    """Folders made by `generate`; new shards are taken in while training runs."""
    out: Path
    """Folder for checkpoint, weights, curves and pictures; a checkpoint there is resumed."""
    network: str = "shipped"
    """Size of a new network: one of the names that `latency` prints."""
    init: Path | None = None
    """Weights to begin with, when there is no checkpoint in `out`."""
    steps: int = 20000
    """Optimiser steps in all."""
    batch: int = 24
    """Pictures a step."""
    size: int = 192
    """Input size in pixels; 128 is twice as quick, for the first part of a training."""
    rate: float = 4e-3
    """Highest learning rate; a third of it to go on from trained weights."""
    warmup: int = 300
    """Steps until the highest learning rate."""
    decay: float = 0.3
    """Share of the steps, at the end, in which the rate falls to a fiftieth."""
    weight_decay: float = 0.03
    """For matrices alone."""
    freeze_norms: bool = False
    """Keep the batch norms' statistics: a third quicker, to go on from trained weights."""
    ema: float = 0.998
    """Decay a step of the averaged weights, which are what is shipped."""
    pairs: float = 1 / 6
    """Share of a batch that are others of it once more, in noise of their own."""
    seed: int = 1
    """Of the initial weights and of every batch."""
    threads: int | None = None
    """CPU threads; default: all cores."""
    device: str = "auto"
    """auto, cpu or cuda."""
    every: int = 250
    """Steps between validations, checkpoints and pictures."""
    validate: int = 192
    """Held-out pictures that are scored."""


def load_network(path: Path) -> FaceDpt:
    """The network with the weights of a file by `fit`.

    Raises:
        ModelError: the file is missing, damaged or of another architecture.
    """
    tensors, header = load_tensors(path)
    network = FaceDpt(NetworkConfig.from_dict(header.get("network", {})))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"the weights {path} are of another architecture: {error}") from error
    return network


def _network_config(name: str) -> NetworkConfig:
    if name not in SIZES:
        raise ModelError(f"there is no network size {name!r}: choose one of {', '.join(SIZES)}")
    return SIZES[name]


def fit(config: FitConfig) -> None:
    """Train until ``config.steps``; Ctrl-C keeps a checkpoint to go on from.

    Raises:
        DataError: there is no data, or more pairs than a batch can hold.
        ModelError: a checkpoint is of another architecture.
        OutputError: a checkpoint cannot be written; the last one stays.
    """
    if not 0 <= config.pairs <= 0.5:
        raise DataError(f"pairs are a share of a batch, 0 to 0.5, not {config.pairs:g}")
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()
    name = config.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    training = ShardDataset(config.data)
    held_out = ShardDataset(config.data, held_out=True)
    if len(training) == 0 or len(held_out) == 0:
        raise DataError(f"no complete shards in {', '.join(map(str, config.data))} yet")
    run = _Run(config, device)
    validation_rows = np.linspace(0, len(held_out) - 1, min(config.validate, len(held_out)))
    source = batches(
        training,
        seed=config.seed,
        first_step=run.step,
        count=config.batch,
        size_px=config.size,
        pairs=int(config.batch * config.pairs),
    )
    start_s, first = time.monotonic(), run.step
    try:
        with Progress("steps", config.steps) as progress:
            while run.step < config.steps:
                images, targets = next(source)
                parts = run.train_step(images, targets)
                rate = config.batch * (run.step - first) / (time.monotonic() - start_s)
                note = f"loss {run.smooth_loss:.3f}, {rate:.0f} pictures/s"
                progress.show(run.step, note, total=config.steps)
                if run.step % config.every == 0 or run.step == config.steps:
                    run.report(held_out, validation_rows.astype(int), parts, len(training))
                    run.save()
    except KeyboardInterrupt:
        run.save()
        logger.info("interrupted at step %d: run the same command to go on", run.step)
    finally:
        source.close()  # type: ignore[attr-defined]


def keep_freed_memory() -> None:
    """Have glibc keep what is freed: returned pages cost an eighth of a step on processors."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**28)):
        mallopt(parameter, value)


class _Run:
    """State of a training: network, averaged weights, optimiser, step."""

    def __init__(self, config: FitConfig, device: torch.device) -> None:
        self._config, self._device = config, device
        torch.manual_seed(config.seed)
        self.network = FaceDpt(_network_config(config.network))
        if config.init is not None and not self._path.exists():
            self.network = load_network(config.init)
        if config.freeze_norms:
            self.network.freeze_norms()
        self.network = self.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimiser = Optimiser(self.network, config.weight_decay)
        self.step, self.smooth_loss = 0, 0.0
        self.ema = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        if self._path.exists():
            self._resume()

    @property
    def _path(self) -> Path:
        return self._config.out / "checkpoint.safetensors"

    def train_step(self, images: torch.Tensor, targets: Targets) -> dict[str, float]:
        """One optimiser step; returns the parts of the loss."""
        self.network.train()
        images, targets = self._move(images, targets)
        with self._autocast():
            out = self.network(images)
        loss, parts = total_loss(out, targets)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        if torch.isfinite(norm):
            self._optimiser.step(self._rate())
        self.step += 1
        value = float(loss.detach())
        self.smooth_loss = value if self.step == 1 else 0.98 * self.smooth_loss + 0.02 * value
        decay = min(self._config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, now in self.network.state_dict().items():
                if now.dtype.is_floating_point:
                    self.ema[key].lerp_(now, 1 - decay)
                else:
                    self.ema[key].copy_(now)
        return parts

    def _rate(self) -> float:
        c = self._config
        if self.step < c.warmup:
            return c.rate * (self.step + 1) / c.warmup
        start = c.steps * (1 - c.decay)
        if self.step < start:
            return c.rate
        t = min((self.step - start) / max(c.steps - start, 1), 1.0)
        return c.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * t)))

    def report(
        self, held_out: ShardDataset, rows: Any, parts: dict[str, float], heads: int
    ) -> None:
        """Score the averaged weights on held-out heads; append to the log, draw pictures."""
        network = FaceDpt(self.network.config).to(self._device)
        network.load_state_dict(self.ema)
        network.eval()
        scores: list[dict[str, float]] = []
        said: list[tuple[Float32Array, Float32Array]] = []
        shown = None
        for chunk in np.array_split(rows, max(1, len(rows) // 24)):
            images, targets = self._move(*make_batch(held_out, chunk, self._config.size, None))
            with torch.no_grad(), self._autocast():
                out = network(images)
            scores.append(face_scores(out, targets) | token_scores(out, targets))
            said.append((out.expression.float().cpu().numpy(), targets.expression.cpu().numpy()))
            shown = shown or (images.cpu(), out, targets)
        found, true = (np.concatenate(part) for part in zip(*said, strict=True))
        expression = summarize_coefficients(score_coefficients(found, true, ARKIT_NAMES))
        row: dict[str, Any] = {
            "step": self.step,
            "size": self._config.size,
            "pictures": heads,
            "loss": round(self.smooth_loss, 4),
            **{k: round(float(np.mean([s[k] for s in scores])), 4) for k in scores[0]},
            **{k: round(v, 4) for k, v in expression.items()},
            **{f"loss_{k}": round(v, 4) for k, v in parts.items()},
        }
        log = self._config.out / "log.jsonl"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        logger.info(
            "step %d: %.2f mm (plane %.1f), normals %.1f deg, mask IoU %.3f, coefficients: "
            "correlation %.3f, order %.3f",
            self.step,
            row["mae_mm"],
            row["plane_mm"],
            row["normal_deg"],
            row["mask_iou"],
            row["expression_correlation"],
            row["expression_order"],
        )
        draw_curves(log, self._config.out / "curves.png")
        if shown is not None:
            draw_predictions(*shown, self._config.out / "predictions.png")

    def save(self) -> None:
        """Write the checkpoint and the averaged weights."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.items()}
        tensors |= {f"optimiser.{k}": v for k, v in self._optimiser.tensors().items()}
        header = {
            "network": self.network.config.as_dict(),
            "step": self.step,
            "loss": self.smooth_loss,
            "seed": self._config.seed,
            "size": self._config.size,
        }
        save_tensors(self._path, tensors, header)
        save_tensors(self._config.out / "weights.safetensors", self.ema, header)

    def _resume(self) -> None:
        tensors, header = load_tensors(self._path)
        if header.get("network") != self.network.config.as_dict():
            raise ModelError(
                f"the checkpoint {self._path} is of another architecture: choose another --out"
            )
        groups: dict[str, dict[str, torch.Tensor]] = {"network": {}, "ema": {}, "optimiser": {}}
        for key, tensor in tensors.items():
            group, _, rest = key.partition(".")
            groups[group][rest] = tensor
        self.network.load_state_dict(groups["network"])
        self.ema = {k: v.to(self._device) for k, v in groups["ema"].items()}
        self._optimiser.load(groups["optimiser"])
        self.step, self.smooth_loss = int(header["step"]), float(header["loss"])
        logger.info("going on from step %d", self.step)

    def _move(self, images: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, Targets]:
        if self._device.type == "cpu":
            return images, targets
        return images.to(self._device, non_blocking=True), targets.to(self._device)

    def _autocast(self) -> AbstractContextManager[None]:
        # Processors without wide vectors emulate half precision, many times slower.
        emulated = self._device.type == "cpu" and not _AVX512.match(
            torch.backends.cpu.get_cpu_capability()
        )
        context: AbstractContextManager[None] = torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=not emulated
        )
        return context
