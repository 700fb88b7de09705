"""``python -m rtrecon.train COMMAND``: from synthetic heads to a model and its figures."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

# PyTorch's exporter warns of every operator that is not its own.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
os.environ["PYTHONSAFEPATH"] = "1"  # workers run nothing that lies in the current folder

from rtrecon.console import LogHandler
from rtrecon.errors import RtreconError
from rtrecon.train.face_model import default_face_model
from rtrecon.train.fit_details import FitDetailsConfig, fit_details
from rtrecon.train.loop import FitConfig, fit
from rtrecon.train.network import SIZES


@dataclass(kw_only=True)
class GenerateConfig:
    """Draw synthetic heads with exact depth into a folder of shards."""

    face_model: Path = field(default_factory=default_face_model)
    """ICT-FaceKit checkout, or its compact .npz; RTRECON_ICT_FACEKIT names it too."""
    out: Path
    """Folder of shards; what is there already is kept."""
    heads: int = 30000
    """Heads to draw, each in several variants."""
    first_seed: int = 0
    """Seed of the first head; the others follow."""
    workers: int | None = None
    """Processes; default: one a core."""
    size: int = 192
    """Picture size in pixels."""
    variants: int = 3
    """Pictures a head, which differ in skin, colours, light, background and sensor."""


@dataclass(kw_only=True)
class SheetConfig:
    """Draw a page of samples to look at."""

    face_model: Path = field(default_factory=default_face_model)
    """ICT-FaceKit checkout, or its compact .npz; RTRECON_ICT_FACEKIT names it too."""
    out: Path = Path("sheet.png")
    """Picture to write."""
    first_seed: int = 0
    """Seed of the first head."""
    count: int = 24
    """Heads on the page."""
    coefficients: bool = False
    """One head that does each coefficient at 0, 0.5 and 1 instead."""


@dataclass(kw_only=True)
class ExportConfig:
    """Export trained weights to ONNX with manifest and hash."""

    weights: Path
    """weights.safetensors of a training."""
    out: Path = Path("models/face-dpt")
    """Model folder to write."""
    data: Path | None = None
    """Samples for the parity check, the model card and int8; default: noise and no card."""
    size: int | None = None
    """Input size in pixels; default: the one the weights were last trained at."""
    int8: bool = False
    """Make an 8-bit file too, for CPUs; kept as their best if it costs under 2 %."""


@dataclass(kw_only=True)
class LatencyConfig:
    """Time untrained networks of several sizes in ONNX Runtime; prints a table."""

    runs: int = 60
    """Crops a network, number of threads and round."""
    rounds: int = 3
    """Rounds over all networks."""


@dataclass(kw_only=True)
class SearchConfig:
    """Train networks of several sizes alike, score and time them; prints a table."""

    data: list[Path]
    """Folders made by `generate`."""
    out: Path
    """A folder for each training goes in here; what is there is resumed."""
    networks: list[str] = field(default_factory=lambda: list(SIZES))
    """Names that `latency` prints."""
    steps: int = 500
    """Optimiser steps of each."""
    size: int | None = None
    """Input size of all; default: each its own."""
    seeds: list[int] = field(default_factory=lambda: [1])
    """A training of each network from every one of them, to see what is chance."""
    threads: int | None = None
    """CPU threads; default: all cores."""


@dataclass(kw_only=True)
class BiasConfig:
    """Score a model on the same heads in other skins and ages; prints a table."""

    face_model: Path = field(default_factory=default_face_model)
    """ICT-FaceKit checkout, or its compact .npz; RTRECON_ICT_FACEKIT names it too."""
    model: str = "face-dpt"
    """Model to score: its name or its folder."""
    heads: int = 150
    """Heads, none of which is trained on."""


def _run(
    config: Annotated[GenerateConfig, tyro.conf.subcommand("generate")]
    | Annotated[SheetConfig, tyro.conf.subcommand("sheet")]
    | Annotated[FitConfig, tyro.conf.subcommand("fit")]
    | Annotated[FitDetailsConfig, tyro.conf.subcommand("fit-details")]
    | Annotated[ExportConfig, tyro.conf.subcommand("export")]
    | Annotated[LatencyConfig, tyro.conf.subcommand("latency")]
    | Annotated[SearchConfig, tyro.conf.subcommand("search")]
    | Annotated[BiasConfig, tyro.conf.subcommand("bias")],
) -> None:
    if isinstance(config, GenerateConfig):
        from rtrecon.train.dataset import generate_dataset

        generate_dataset(
            config.out,
            config.face_model,
            config.first_seed,
            config.heads,
            workers=config.workers,
            size_px=config.size,
            variants=config.variants,
        )
    elif isinstance(config, SheetConfig):
        from rtrecon.train.heads.sheet import coefficient_sheet, contact_sheet

        if config.coefficients:
            coefficient_sheet(config.out, config.face_model, config.first_seed)
            return
        contact_sheet(config.out, config.face_model, config.first_seed, config.count)
    elif isinstance(config, FitConfig):
        fit(config)
    elif isinstance(config, FitDetailsConfig):
        fit_details(config)
    elif isinstance(config, ExportConfig):
        from rtrecon.train.export import export_face_dpt

        export_face_dpt(
            config.weights, config.out, config.data, size_px=config.size, int8=config.int8
        )
    elif isinstance(config, SearchConfig):
        from rtrecon.train.search import format_search, search_sizes

        rows = search_sizes(
            config.networks,
            config.data,
            config.out,
            steps=config.steps,
            size_px=config.size,
            threads=config.threads,
            seeds=config.seeds,
        )
        print(format_search(rows))  # noqa: T201
    elif isinstance(config, BiasConfig):
        from rtrecon.train.bias import bias_table, measure_bias

        print(bias_table(measure_bias(config.model, config.face_model, config.heads)))  # noqa: T201
    else:
        from rtrecon.train.latency import format_table, measure_sizes

        print(format_table(measure_sizes(runs=config.runs, rounds=config.rounds)))  # noqa: T201


def main() -> int:
    """Run one command; returns its exit code."""
    logging.basicConfig(level=logging.INFO, handlers=[LogHandler()])
    try:
        tyro.cli(_run, prog="python -m rtrecon.train", config=(tyro.conf.OmitArgPrefixes,))
    except RtreconError as error:
        print(f"rtrecon: error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
