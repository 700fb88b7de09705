"""Colours compared as people see them: Lab. RGB arrays are of sRGB, 0 to 255."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.types import Float64Array

__all__ = ["median_color", "unlike"]

_LUMA_SHARE = 0.35
_LEAST = 12


def unlike(color: Float64Array, tone: Float64Array, free_luma: float) -> Float64Array:
    """(n,) how far ``color`` (n, 3) is from ``tone`` (3,) in Lab; lightness counts less, and not
    within ``free_luma``."""
    lab, wanted = _lab(color), _lab(tone[None])[0]
    luma = np.maximum(np.abs(lab[:, 0] - wanted[0]) - free_luma, 0.0)
    chroma = np.hypot(lab[:, 1] - wanted[1], lab[:, 2] - wanted[2])
    return np.asarray(chroma + _LUMA_SHARE * luma)


def median_color(
    color: Float64Array, chosen: npt.NDArray[np.bool_], default: Float64Array
) -> Float64Array:
    """(3,) of the chosen (n, 3); ``default`` where they are too few to say."""
    if np.count_nonzero(chosen) < _LEAST:
        return default
    return np.asarray(np.median(color[chosen], axis=0))


def _lab(color: Float64Array) -> Float64Array:
    image = np.clip(color / 255.0, 0.0, 1.0).astype(np.float32)[None]
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2Lab)[0], dtype=np.float64)
