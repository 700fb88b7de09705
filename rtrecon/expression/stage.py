"""From a network's coefficients to the expression and gaze that a caller gets."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtrecon.depth.model import DepthPrediction
from rtrecon.expression.calibration import Calibration
from rtrecon.expression.filter import ExpressionFilter
from rtrecon.types import Expression, Float32Array

__all__ = ["ExpressionStage"]

logger = logging.getLogger(__name__)

_MOST = 100.0  # beyond it is no coefficient, as what is not finite is none
_MOST_PEOPLE = 64  # whose calibration is remembered


@dataclass(slots=True, eq=False)
class _FaceMemory:
    filter: ExpressionFilter
    last: Float32Array
    t_ns: int


class ExpressionStage:
    """Checks, calibrates and filters coefficients, with a memory for each face. One thread.

    Args:
        temporal: filter over time; off for unrelated pictures.
        calibrate: learn slowly what is neutral and what is much for each person; needs
            ``temporal``.

    Attributes:
        dropped: coefficients that were not finite, so far. In their place a face keeps the last
            one that was, and 0 where there was none; nothing is learnt from them.
    """

    def __init__(self, temporal: bool = True, calibrate: bool = False) -> None:
        self._temporal = temporal
        self._calibrate = calibrate and temporal
        self._faces: dict[int, _FaceMemory] = {}
        self._calibrations: dict[int, Calibration] = {}
        self.dropped = 0

    def forget(self, keep: Iterable[int]) -> None:
        """Drop what is remembered of all faces but those whose ids are in ``keep``.

        What was learnt of a person stays, for when the face returns under its id.
        """
        kept = set(keep)
        for face_id in [face_id for face_id in self._faces if face_id not in kept]:
            del self._faces[face_id]

    def calibration(self, face_id: int) -> Calibration | None:
        """What was learnt of a face so far."""
        return self._calibrations.get(face_id)

    def update(self, face_id: int, prediction: DepthPrediction, t_ns: int) -> Expression | None:
        """The expression of one face at ``t_ns``; None if the model gives none."""
        values, names = prediction.expression, prediction.expression_names
        if values is None:
            return None
        memory = self._faces.get(face_id) if self._temporal else None
        known = np.abs(values) < _MOST
        raw = np.where(known, values, np.float32(np.nan))
        values = self._finite(values, known, names, memory)
        if not self._temporal:
            return Expression(names, np.clip(values, 0.0, 1.0))
        if memory is None:
            memory = self._faces[face_id] = _FaceMemory(ExpressionFilter(names), values, t_ns)
        dt_s = (t_ns - memory.t_ns) * 1e-9
        memory.last, memory.t_ns = values, t_ns
        if self._calibrate:
            values = self._learn(face_id, raw, names, dt_s).apply(values)
        return Expression(names, np.clip(memory.filter(values, t_ns), 0.0, 1.0))

    def _learn(
        self, face_id: int, values: Float32Array, names: Sequence[str], dt_s: float
    ) -> Calibration:
        known = self._calibrations.pop(face_id, None) or Calibration.none(names)
        learnt = self._calibrations[face_id] = known.learn(values, dt_s)
        if len(self._calibrations) > _MOST_PEOPLE:
            del self._calibrations[next(iter(self._calibrations))]  # longest unseen
        return learnt

    def _finite(
        self,
        values: Float32Array,
        known: npt.NDArray[np.bool_],
        names: Sequence[str],
        memory: _FaceMemory | None,
    ) -> Float32Array:
        if known.all():
            return values
        wrong = [name for name, ok in zip(names, known, strict=True) if not ok]
        if self.dropped == 0:
            logger.warning(
                "the model gave coefficients that are not finite (%s): dropped, and counted",
                ", ".join(wrong[:4]) + (" ..." if len(wrong) > 4 else ""),
            )
        self.dropped += len(wrong)
        instead = np.float32(0.0) if memory is None else memory.last
        return np.asarray(np.where(known, values, instead), dtype=np.float32)
