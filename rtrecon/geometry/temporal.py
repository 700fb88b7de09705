"""Filter over time in crop space, where the face stands still.

Each pixel follows slowly while what is new differs from what is known by no more than the
network's noise, and at once where the difference is larger than noise over a neighbourhood:
an expression, a turn, a hand before the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.faces.align import Crop
from rtrecon.types import Float32Array

__all__ = ["CropFilter"]

# Relief units (multiples of the crop's width, about a quarter of a metre).
_NOISE = 0.003  # differences up to this, under a millimetre, are noise
_TAU_S = 0.15  # how slowly a pixel without change follows
_GAP_S = 0.5  # beyond it the face may be anything
_NEIGHBOURHOOD = 9
_LOGIT_LIMIT = 6.0  # so that a change of mind about the mask is not delayed by certainty
_LOGIT_NOISE = 3.0


@dataclass(slots=True, eq=False)
class _State:
    relief: Float32Array
    logit: Float32Array | None
    crop: Crop
    t_ns: int


class CropFilter:
    """Remembers the relief and mask of one face; not thread-safe.

    Args:
        size: width and height of the crops in pixels.
    """

    def __init__(self, size: int) -> None:
        self._state: _State | None = None
        self._difference = np.empty((size, size), dtype=np.float32)
        self._gain = np.empty((size, size), dtype=np.float32)
        self._work = np.empty((size, size), dtype=np.float32)

    def update(
        self, relief: Float32Array, logit: Float32Array | None, crop: Crop, t_ns: int
    ) -> tuple[Float32Array, Float32Array | None]:
        """Filter one prediction.

        Args:
            relief: (h, w) float32, finite.
            logit: (h, w) float32 mask logits, or None.
            crop: where the prediction was made.
            t_ns: its time.

        Returns:
            The filtered relief and logits: the filter's own arrays, good until the next call.
        """
        state = self._state
        if state is None or not self._continues(state, logit, crop, t_ns):
            state = _State(
                relief.copy(),
                None if logit is None else np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT),
                crop,
                t_ns,
            )
            self._state = state
            return state.relief, state.logit
        dt_s = max(0.0, (t_ns - state.t_ns) * 1e-9)
        floor = 1.0 - math.exp(-dt_s / _TAU_S)
        self._blend(state.relief, relief, _NOISE, floor)
        if logit is not None and state.logit is not None:
            np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT, out=self._work)
            self._blend(state.logit, self._work, _LOGIT_NOISE, floor)
        state.crop, state.t_ns = crop, t_ns
        return state.relief, state.logit

    def _blend(self, known: Float32Array, new: Float32Array, noise: float, floor: float) -> None:
        """``known += gain * (new - known)``, gain from ``floor`` to 1 by the local difference."""
        difference, gain = self._difference, self._gain
        np.subtract(new, known, out=difference)
        cv2.blur(difference, (_NEIGHBOURHOOD, _NEIGHBOURHOOD), dst=gain)
        # floor + (1 - floor) * d^2 / (d^2 + noise^2): half open at the noise.
        np.multiply(gain, gain, out=gain)
        np.add(gain, noise * noise, out=gain)
        np.divide(-(1.0 - floor) * noise * noise, gain, out=gain)
        np.add(gain, 1.0, out=gain)
        np.multiply(difference, gain, out=difference)
        np.add(known, difference, out=known)

    @staticmethod
    def _continues(state: _State, logit: Float32Array | None, crop: Crop, t_ns: int) -> bool:
        """Whether the crop holds the same part of the same face as the last one."""
        if (state.logit is None) != (logit is None) or state.crop.size_px != crop.size_px:
            return False
        gap_s = (t_ns - state.t_ns) * 1e-9
        ratio = crop.side_px / state.crop.side_px
        if not -1e-6 <= gap_s <= _GAP_S or not 0.7 < ratio < 1.4:
            return False
        here, before = crop.M_picture_crop, state.crop.M_picture_crop
        half = (crop.size_px - 1) / 2.0
        center = np.array([half, half, 1.0])
        moved_px = float(np.linalg.norm((here - before) @ center))
        turned = float(
            np.linalg.norm(here[:, 0] / crop.side_px - before[:, 0] / state.crop.side_px)
        )
        return moved_px < 0.5 * crop.side_px and turned * crop.size_px < 0.35
