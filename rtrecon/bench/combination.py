"""One combination to measure, and in which order several are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rtrecon.bench.config import BenchConfig
from rtrecon.config import parse_size

__all__ = ["Combination", "combinations", "labels", "round_order"]


@dataclass(frozen=True, slots=True)
class Combination:
    """What was asked for; ``precision`` and ``threads`` None: the model's own choice."""

    model: str
    provider: str
    precision: str | None
    width_px: int
    height_px: int
    faces: int
    threads: int | None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def combinations(config: BenchConfig, native_size: tuple[int, int]) -> list[Combination]:
    """All combinations of the options, the last option fastest, without repeats.

    ``native_size`` is the source's width and height, used when no size was given.
    """
    sizes = [size for text in config.sizes if (size := parse_size(text)) is not None]
    product = itertools.product(
        config.models,
        config.providers,
        config.precisions,
        sizes or [native_size],
        config.faces,
        config.threads or (None,),
    )
    return list(
        dict.fromkeys(
            Combination(
                model, provider, None if precision == "auto" else precision, *size, faces, threads
            )
            for model, provider, precision, size, faces, threads in product
        )
    )


def round_order(count: int, round_index: int) -> list[int]:
    """In which order ``count`` combinations are measured in one round.

    Each round begins with another one, and every second round runs backwards: a machine
    that slows down or speeds up meets all alike.
    """
    if count == 0:
        return []
    start = (round_index // 2) % count
    order = [(start + k) % count for k in range(count)]
    return order[::-1] if round_index % 2 else order


def labels(rows: Sequence[Combination]) -> list[str]:
    """A short name for each: the model, and of the rest what is not the same in all."""
    parts = [
        [
            str(row.model),
            row.provider,
            row.precision or "auto precision",
            f"{row.width_px}x{row.height_px}",
            f"{row.faces} face{'s' if row.faces > 1 else ''}",
            "auto threads" if row.threads is None else f"{row.threads} threads",
        ]
        for row in rows
    ]
    differs = [len({part[k] for part in parts}) > 1 for k in range(6)]
    return [
        ", ".join(text for k, text in enumerate(part) if k == 0 or differs[k]) for part in parts
    ]
