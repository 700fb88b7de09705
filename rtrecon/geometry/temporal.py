"""Filter over time in crop space, where the face stands still.

Each pixel follows slowly while what is new differs from what is known by no more than noise, and
at once where the difference of a small block of pixels is larger: an expression, a turn, a hand
before the face. How large noise is differs from camera to camera and from light to light; it is
learnt while the face is still.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.faces.align import Crop
from rtrecon.types import Float32Array

__all__ = ["CropFilter", "NoiseMeter"]

_TAU_S = 0.3  # how slowly a pixel without change follows
_GAP_S = 0.5  # beyond it the face may be anything
_BLOCK = 4  # pixels across that move together
_SURPRISE = 4.0  # a difference of so many standard deviations is half believed
# Of a block's relief (multiples of the crop's width, a quarter of a metre): before any was seen,
# and the least and most that is believed.
_PRIOR, _LEAST, _MOST = 0.0007, 0.0003, 0.002
_STILL = 1.7  # a face that changes in `_LONG` frames by more than this times its noise moves
_APART, _LONG = 2, 8
_KEPT = _LONG // _APART + 1
_MEMORY = 15
_LEAST_BLOCKS = 50
_MEDIAN_TO_SIGMA = 1.0 / 0.6745
_TAU_LOGIT_S = 0.15
_NEIGHBOURHOOD = 9
_LOGIT_LIMIT = 6.0  # so that a change of mind about the mask is not delayed by certainty
_LOGIT_NOISE = 3.0


@dataclass(slots=True, eq=False)
class _State:
    relief: Float32Array
    logit: Float32Array | None
    crop: Crop
    t_ns: int


class NoiseMeter:
    """Learns how noisy the relief of one face is; not thread-safe.

    Second differences over frames that lie `_APART` are noise where the face does not move; that
    it does not, the change over `_LONG` frames says, which is larger than noise when it does. A
    face that moves all the time leaves the noise at what is known.

    Args:
        size: width and height of the maps of blocks.
    """

    def __init__(self, size: int) -> None:
        self._ring = np.zeros((_KEPT, size, size), dtype=np.float32)
        self._frames = self._count = 0
        self._seen: deque[float] = deque([_PRIOR] * _MEMORY, maxlen=_MEMORY)
        self.sigma = _PRIOR

    def restart(self) -> None:
        """What comes next is not of the same crop; what was learnt stays."""
        self._frames = self._count = 0

    def wants_next(self) -> bool:
        """Whether to `update` by the next frame; asked once for each.

        Every `_APART`-th frame is enough, and costs half.
        """
        self._frames += 1
        return self._frames % _APART == 1

    def update(self, blocks: Float32Array, head: npt.NDArray[np.bool_] | None) -> None:
        """Take in one frame's ``blocks`` (k, k), of which ``head`` are the face."""
        ring, now = self._ring, self._count
        ring[now % _KEPT] = blocks
        self._count += 1
        if now < _KEPT - 1:
            return
        last, before, earlier = (ring[(now - k) % _KEPT] for k in range(3))
        bent = last - 2.0 * before + earlier
        moved = last - ring[(now + 1) % _KEPT]
        if head is not None:
            bent, moved = bent[head], moved[head]
        if bent.size < _LEAST_BLOCKS:
            return
        sigma = _MEDIAN_TO_SIGMA / math.sqrt(6.0) * _median(np.abs(bent))
        moved -= _median(moved)
        if _MEDIAN_TO_SIGMA / math.sqrt(2.0) * _median(np.abs(moved)) < _STILL * sigma:
            self._seen.append(sigma)
            self.sigma = min(max(float(np.median(self._seen)), _LEAST), _MOST)


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
        self._blocks = max(1, size // _BLOCK)
        self.noise = NoiseMeter(self._blocks)

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
            self.noise.restart()
            if self.noise.wants_next():
                self.noise.update(self._averaged(relief), None)
            return state.relief, state.logit
        dt_s = max(0.0, (t_ns - state.t_ns) * 1e-9)
        if self.noise.wants_next():
            head = None if state.logit is None else self._averaged(state.logit) > 0.0
            self.noise.update(self._averaged(relief), head)
        self._follow(state.relief, relief, 1.0 - math.exp(-dt_s / _TAU_S))
        if logit is not None and state.logit is not None:
            np.clip(logit, -_LOGIT_LIMIT, _LOGIT_LIMIT, out=self._work)
            floor = 1.0 - math.exp(-dt_s / _TAU_LOGIT_S)
            self._blend(state.logit, self._work, _LOGIT_NOISE, floor)
        state.crop, state.t_ns = crop, t_ns
        return state.relief, state.logit

    def held(
        self, logit: Float32Array | None, crop: Crop, t_ns: int
    ) -> tuple[Float32Array, Float32Array | None] | None:
        """What is known, in place of a prediction that cannot be used.

        None where it is too old, or not of the part of the face that ``crop`` holds.
        """
        state = self._state
        if state is None or not self._continues(state, logit, crop, t_ns):
            return None
        self.noise.restart()  # a frame is left out: what comes next is not evenly spaced
        return state.relief, state.logit

    def _averaged(self, values: Float32Array) -> Float32Array:
        """The mean of each block of pixels."""
        size = (self._blocks, self._blocks)
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=np.float32)

    def _follow(self, known: Float32Array, new: Float32Array, floor: float) -> None:
        """``known += gain * (new - known)``, gain from ``floor`` to 1 by a block's difference."""
        difference, gain = self._difference, self._gain
        np.subtract(new, known, out=difference)
        # In units of what is half believed: floor + (1 - floor) * d^4 / (d^4 + 1).
        block = self._averaged(difference)
        block *= np.float32(1.0 / (_SURPRISE * self.noise.sigma))
        np.multiply(block, block, out=block)
        np.multiply(block, block, out=block)
        np.minimum(block, np.float32(1e12), out=block)
        block /= block + np.float32(1.0)
        block *= np.float32(1.0 - floor)
        block += np.float32(floor)
        cv2.resize(block, gain.shape[::-1], dst=gain, interpolation=cv2.INTER_LINEAR)
        np.multiply(difference, gain, out=difference)
        np.add(known, difference, out=known)

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


def _median(values: Float32Array) -> float:
    middle = values.size // 2
    return float(np.partition(values, middle, axis=None)[middle])
