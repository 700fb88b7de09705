"""A depth model that goes wrong where a test says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from rtrecon.depth.model import DepthModel, DepthPrediction
from rtrecon.faces.align import Crop
from rtrecon.types import BgrImage

Change = Callable[[DepthPrediction], DepthPrediction]


class Faulty:
    """Stands in for a `DepthModel`; ``change`` is made to the answers of the runs in ``at``."""

    def __init__(self, model: DepthModel, change: Change, at: Sequence[int]) -> None:
        self._model, self._change, self._at = model, change, set(at)
        self.runs = 0

    def predict(self, image_bgr: BgrImage, crops: Sequence[Crop]) -> list[DepthPrediction]:
        predictions = self._model.predict(image_bgr, crops)
        run, self.runs = self.runs, self.runs + 1
        return [self._change(p) for p in predictions] if run in self._at else predictions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def poisoned(output: str, value: float, *, share: float = 1.0) -> Change:
    """Fill a ``share`` of an output's numbers with ``value``, the middle ones."""

    def change(prediction: DepthPrediction) -> DepthPrediction:
        numbers = getattr(prediction, output).copy()
        flat = numbers.reshape(-1)
        count = max(1, round(share * flat.size))
        first = (flat.size - count) // 2
        flat[first : first + count] = value
        return dataclasses.replace(prediction, **{output: numbers})

    return change
