"""How well coefficients of an expression follow the truth; pure functions of arrays.

A mean absolute error says little here: most coefficients of most faces are near zero, so that
a constant scores well. Each figure below has a value that a constant gets, and it is not a good
one: no correlation, an order of one half, no spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtrecon.types import Float32Array, Float64Array

__all__ = [
    "ACTIVE",
    "AT_REST",
    "CONSTANT_ORDER",
    "CoefficientScore",
    "auc",
    "score_coefficients",
    "summarize_coefficients",
]

ACTIVE, AT_REST = 0.4, 0.05
"""Above the first a coefficient is active, below the second at rest; between, it is neither."""
CONSTANT_ORDER = 0.5
"""The order that any constant scores."""

_LEAST = 3  # faces of each kind that an order needs
_LEAST_SPREAD = 0.02  # of the truth: with less there is nothing to correlate


@dataclass(frozen=True, slots=True)
class CoefficientScore:
    """One coefficient over many faces; NaN where the truth does not move enough to say.

    ``correlation`` is Pearson's. ``order``: share of pairs of an active face and one at rest in
    which the active one gets more (the area under the ROC curve); ``order_person``: the same among
    pairs of one person, where somebody's brow is not compared with another's. ``spread`` and
    ``true_spread``: standard deviations of what is said and of the truth. ``error``: mean
    absolute error, and ``constant_error`` that of the best constant, the truth's median.
    """

    name: str
    correlation: float
    order: float
    spread: float
    true_spread: float
    error: float
    constant_error: float
    order_person: float = float("nan")


def auc(active: Float64Array, at_rest: Float64Array) -> float:
    """Share of pairs in which the value of ``active`` (n,) is above ``at_rest``'s (m,).

    Equal ones count half. NaN where either is empty.
    """
    if len(active) == 0 or len(at_rest) == 0:
        return float("nan")
    ordered = np.sort(at_rest)
    below = np.searchsorted(ordered, active, side="left")
    not_above = np.searchsorted(ordered, active, side="right")
    return float((below + not_above).mean() / (2.0 * len(at_rest)))


def score_coefficients(
    said: Float32Array,
    truth: Float32Array,
    names: Sequence[str],
    people: Sequence[str] | None = None,
) -> list[CoefficientScore]:
    """A score for each of ``names`` (k).

    Args:
        said, truth: (n, k) of n faces.
        names: of the columns.
        people: who each face is; None: not known, and nobody is compared with himself.
    """
    scores = []
    for name, p, t in zip(
        names, said.astype(np.float64).T, truth.astype(np.float64).T, strict=True
    ):
        active, at_rest = p[t > ACTIVE], p[t < AT_REST]
        enough = min(len(active), len(at_rest)) >= _LEAST
        spread, true_spread = float(p.std()), float(t.std())
        moves = true_spread >= _LEAST_SPREAD
        # A constant has no correlation, rather than none that is known.
        correlation = 0.0
        if moves and spread > 1e-9:
            correlation = float(((p - p.mean()) * (t - t.mean())).mean() / (spread * true_spread))
        scores.append(
            CoefficientScore(
                name,
                correlation if moves else float("nan"),
                auc(active, at_rest) if enough else float("nan"),
                spread,
                true_spread,
                float(np.abs(p - t).mean()),
                float(np.abs(t - np.median(t)).mean()),
                _order_person(p, t, people),
            )
        )
    return scores


def summarize_coefficients(scores: Sequence[CoefficientScore]) -> dict[str, float]:
    """Means over the coefficients that can be scored, and the worst of each.

    ``expression_correlation``, ``expression_order``, ``expression_order_person`` and ``..._worst``
    of each;
    ``expression_spread``: what is said to move over what moves.
    """
    correlations = _known([s.correlation for s in scores])
    orders = _known([s.order for s in scores])
    within = _known([s.order_person for s in scores])
    moving = [s for s in scores if np.isfinite(s.correlation)]
    true_spread = sum(s.true_spread for s in moving)
    return {
        "expression_correlation": _mean(correlations),
        "expression_correlation_worst": min(correlations, default=float("nan")),
        "expression_order": _mean(orders),
        "expression_order_worst": min(orders, default=float("nan")),
        "expression_order_person": _mean(within),
        "expression_order_person_worst": min(within, default=float("nan")),
        "expression_spread": sum(s.spread for s in moving) / true_spread
        if true_spread > 0
        else float("nan"),
    }


def _order_person(said: Float64Array, truth: Float64Array, people: Sequence[str] | None) -> float:
    """The mean over people who show it in one picture and not in another."""
    who = np.array([] if people is None else people)
    orders = []
    for person in np.unique(who):
        p, t = said[who == person], truth[who == person]
        orders.append(auc(p[t > ACTIVE], p[t < AT_REST]))
    return _mean(_known(orders))


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if np.isfinite(value)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
