"""Light for pictures that have little: a gain, found from a few samples of the picture.

MTCNN was trained on photographs and loses faces that are dark. A plain gain that lifts the
brightest to where they are in a photograph gives it back nearly all of them; gamma, CLAHE
and equalisation, measured beside it, find fewer (docs/decisions/dark-rooms.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.types import BgrImage

__all__ = ["brighten", "gain_beside_lamps", "gain_for"]


@dataclass(frozen=True, slots=True)
class _Measure:
    """Of what a picture is judged by, in grey levels.

    The level that a ``share`` of the picture stays below is lifted to ``wanted`` where it is
    under ``dark``. From there to ``bright``, where nothing is done, the gain fades: a jump
    within a film would be seen in the landmarks.
    """

    share: float
    dark: float
    bright: float
    wanted: float


# A whole picture is dark where nothing in it is bright: a lit face in front of a dark wall,
# which fills a hundredth of the picture, needs nothing.
_BRIGHTEST = _Measure(share=0.995, dark=90, bright=128, wanted=200)
# All but the brightest fifth: lamps, windows and screens, which would hide a dark face.
_BESIDE_LAMPS = _Measure(share=0.8, dark=70, bright=110, wanted=160)

_MOST_GAIN = 20.0  # of noise alone nothing is to be made
_SAMPLES_ACROSS = 48


def gain_for(image: BgrImage) -> float:
    """Factor that gives a dark (H, W, 3) uint8 picture a photograph's brightness; mostly 1."""
    return _gain(image, _BRIGHTEST)


def gain_beside_lamps(image: BgrImage) -> float:
    """As `gain_for`, judged by what is not among the brightest fifth of the picture."""
    return _gain(image, _BESIDE_LAMPS)


def brighten(image: BgrImage, gain: float) -> BgrImage:
    """``image`` times ``gain``, cut at 255; the very array where the gain is 1."""
    if gain == 1.0:
        return image
    return np.asarray(cv2.convertScaleAbs(image, alpha=gain), dtype=np.uint8)


def _gain(image: BgrImage, by: _Measure) -> float:
    height, width = image.shape[:2]
    step = max(1, max(height, width) // _SAMPLES_ACROSS)
    blue, green, red = (image[step // 2 :: step, step // 2 :: step, k] for k in range(3))
    # The strongest channel: lamplight is red, and what is cut at 255 is lost.
    samples = np.maximum(np.maximum(blue, green), red).ravel()
    if samples.size == 0:
        return 1.0
    rank = min(int(by.share * samples.size), samples.size - 1)
    level = float(np.partition(samples, rank)[rank])
    if level >= by.bright:
        return 1.0
    lifted = by.wanted / max(level, 1.0)
    return min(_MOST_GAIN, float(np.interp(level, (by.dark, by.bright), (lifted, 1.0))))
