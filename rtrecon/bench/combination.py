"""One combination to measure, and in which order several are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rtrecon.bench.config import BenchConfig
from rtrecon.config import parse_size
from rtrecon.shown import plain

__all__ = ["Combination", "combinations", "common", "labels", "round_order"]

_PARTS = 6  # of a label


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
    """A name for each: what is not the same in all, or the model if all of it is."""
    parts = _parts(rows)
    differs = [len({part[k] for part in parts}) > 1 for k in range(_PARTS)]
    if not any(differs):
        differs[0] = True
    return [", ".join(part[k] for k in range(_PARTS) if differs[k]) for part in parts]


def common(rows: Sequence[Combination]) -> str:
    """What `labels` leaves out: what is the same in all rows."""
    parts = _parts(rows)
    return ", ".join(parts[0][k] for k in range(_PARTS) if len({part[k] for part in parts}) == 1)


def _parts(rows: Sequence[Combination]) -> list[list[str]]:
    names = {row.model: plain(Path(row.model).name or row.model) for row in rows}
    if len(set(names.values())) < len(names):  # two folders of one name
        names = {model: plain(model) for model in names}
    return [
        [
            names[row.model],
            "auto provider" if row.provider == "auto" else row.provider,
            row.precision or "auto precision",
            f"{row.width_px}x{row.height_px}",
            f"{row.faces} face{'s' if row.faces > 1 else ''}",
            "auto threads"
            if row.threads is None
            else f"{row.threads} thread{'s' if row.threads > 1 else ''}",
        ]
        for row in rows
    ]
