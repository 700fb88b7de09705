"""How far a graph is from the network it was made of, in the unit of its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rtrecon.types import Float32Array

__all__ = ["TOLERANCES", "Parity", "compare"]

TOLERANCES = {"fp32": (2e-3, 2e-4), "fp16": (0.05, 0.01), "int8": (0.25, 0.03)}
"""Largest allowed maximum and mean difference, as shares of the output's spread."""

_LEAST_SPREAD = 1e-3  # in the output's unit; differences far below this are not depth


@dataclass(frozen=True, slots=True)
class Parity:
    """Difference of one precision from PyTorch in fp32 over ``pictures`` real crops.

    ``max_abs`` and ``mean_abs`` are in the output's ``unit``; ``spread`` is its 2nd to 98th
    percentile on these pictures and what ``tolerance`` (maximum, mean) is a share of.
    """

    precision: str
    unit: str
    max_abs: float
    mean_abs: float
    spread: float
    pictures: int
    tolerance: tuple[float, float]
    finite: bool

    @property
    def passed(self) -> bool:
        """Whether every value is finite and both differences are within tolerance."""
        return (
            self.finite
            and self.max_abs <= self.tolerance[0] * self.spread
            and self.mean_abs <= self.tolerance[1] * self.spread
        )

    def __str__(self) -> str:
        if not self.finite:
            return f"{self.precision}: values that are not finite (NaN or infinite)"
        share = 100.0 / self.spread
        return (
            f"{self.precision}: differs by at most {self.max_abs:.3g} {self.unit} "
            f"({self.max_abs * share:.2f}% of the spread, {100 * self.tolerance[0]:g}% allowed), "
            f"on average {self.mean_abs:.3g} ({self.mean_abs * share:.3f}%, "
            f"{100 * self.tolerance[1]:g}% allowed), over {self.pictures} pictures"
        )

    def as_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {**asdict(self), "tolerance": list(self.tolerance), "passed": self.passed}


def compare(
    precision: str, unit: str, reference: Sequence[Float32Array], found: Sequence[Float32Array]
) -> Parity:
    """Compare outputs picture by picture; ``reference`` is PyTorch's, of the same shapes."""
    expected = np.stack([np.asarray(r, dtype=np.float64).ravel() for r in reference])
    actual = np.stack([np.asarray(f, dtype=np.float64).ravel() for f in found])
    finite = bool(np.isfinite(actual).all())
    low, high = np.percentile(expected, (2, 98))
    difference = np.abs(actual - expected) if finite else np.array([np.inf])
    return Parity(
        precision=precision,
        unit=unit,
        max_abs=float(difference.max()),
        mean_abs=float(difference.mean()),
        spread=max(float(high - low), _LEAST_SPREAD),
        pictures=len(expected),
        tolerance=TOLERANCES[precision],
        finite=finite,
    )
