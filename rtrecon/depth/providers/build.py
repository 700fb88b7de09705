"""Engines ahead of time, so that a run starts at once."""

from __future__ import annotations

from pathlib import Path

from rtrecon.depth.manifest import Manifest
from rtrecon.depth.providers import engines
from rtrecon.depth.store import find_model

__all__ = ["build_engine"]


def build_engine(
    model: str | Path,
    provider: str = "tensorrt",
    precision: str | None = None,
    threads: int | None = None,
) -> str:
    """Build the engine of a model for this machine and run it once. Returns what was done.

    Raises:
        ModelError: no such model or precision, or its file is damaged.
        ProviderError: the provider does not work here; says why.
    """
    from rtrecon.depth.model import DepthModel

    manifest = Manifest.load(find_model(model))
    precision = manifest.precision_for(provider, precision)
    key = engines.current_key(manifest.source_for(precision))
    there = engines.is_built(key)
    opened = DepthModel(manifest, provider, precision, threads)
    latency_ms = opened.warmup()
    said = "was there already" if there else "is built"
    folder = engines.engine_folder(key) if key is not None else engines.engines_root()
    return (
        f"{manifest.name} in {precision}: the {provider} engine {said}, {latency_ms:.2f} ms a "
        f"crop, in {folder}"
    )
