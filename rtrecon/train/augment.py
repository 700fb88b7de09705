"""What is done to a sample before it is shown: moved, mirrored, recoloured, in noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.depth.mirror import FLIP_68, flip_name
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.types import BgrImage, Float32Array, Float64Array

__all__ = ["NoiseBank", "Warp", "flip_labels", "noise_bank", "recolour"]

_FLIP_68 = np.array(FLIP_68)
_FLIP_EXPRESSION = np.array([ARKIT_NAMES.index(flip_name(n)) for n in ARKIT_NAMES])


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """How a sample is moved: ``matrix`` (2, 3) takes its pixels to those of what is shown.

    ``scale`` is by how much a pixel grows, ``zoom`` the part of it that is chance; ``angle`` in
    radians; ``flip`` mirrors.
    """

    matrix: Float64Array
    scale: float
    zoom: float
    angle: float
    flip: bool

    @classmethod
    def draw(cls, rng: np.random.Generator | None, n: int, size_px: int) -> Warp:
        """From a sample of ``n`` pixels to one of ``size_px``; no rng: resized alone."""
        zoom, angle, shift, flip = 1.0, 0.0, np.zeros(2), False
        if rng is not None:
            zoom = float(np.exp(rng.normal(0, 0.04)))
            angle = float(rng.normal(0, 0.07))
            shift = rng.normal(0, 0.012 * n, 2)
            flip = bool(rng.random() < 0.5)
        scale = size_px / n
        c, s = np.cos(angle) * zoom, np.sin(angle) * zoom
        middle = (n - 1) / 2
        M = np.array([[c, -s, 0.0], [s, c, 0.0]])
        M[:, 2] = middle + shift - M[:, :2] @ [middle, middle]
        M *= scale
        M[:, 2] += 0.5 * scale - 0.5
        if flip:
            M[0] *= -1
            M[0, 2] += size_px - 1
        return cls(M, zoom * scale, zoom, angle, flip)


def flip_labels(
    landmarks: npt.NDArray[np.floating], expression: Float32Array
) -> tuple[npt.NDArray[np.floating], Float32Array]:
    """Landmarks (68, 2), whose places are mirrored already, and coefficients (51,) by new names."""
    return landmarks[_FLIP_68], expression[_FLIP_EXPRESSION]


def recolour(image: BgrImage, rng: np.random.Generator) -> BgrImage:
    """``image`` (h, w, 3) uint8 with another gamma and gain a channel; grey now and then."""
    gamma = np.exp(rng.normal(0, 0.15))
    gain = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.05, 3))
    levels = (np.arange(256) / 255.0) ** gamma
    table = np.clip(levels[:, None] * gain * 255 + 0.5, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.LUT(image, table[None]), np.uint8)
    if rng.random() < 0.15:
        grey = image.mean(axis=2, keepdims=True).astype(np.uint8)
        image = np.repeat(grey, 3, axis=2)
    return image


class NoiseBank:
    """Noise that is drawn once and shifted: fine, or in blots as after a camera's smoothing."""

    def __init__(self, size_px: int) -> None:
        rng = np.random.default_rng(20261125)
        side = 4 * size_px
        fine = rng.standard_normal((side, side, 3)).astype(np.float32)
        self._size, self._side = size_px, side
        self._maps = (fine, 2.0 * cv2.blur(fine, (3, 3)))

    def noisy(self, image: Float32Array, rng: np.random.Generator) -> Float32Array:
        """``image`` (s, s, 3) in [0, 1] in noise of its own, a quarter of them coded as JPEG."""
        y, x = rng.integers(0, self._side - self._size, 2)
        noise = self._maps[int(rng.random() < 0.5)][y : y + self._size, x : x + self._size]
        level = np.float32(0.004 + 0.03 * rng.random() ** 2)
        image = np.clip(image + level * noise, 0, 1)
        if rng.random() < 0.25:
            quality = int(rng.integers(35, 90))
            _, code = cv2.imencode(
                ".jpg", (image * 255 + 0.5).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
            )
            image = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.float32) / 255.0
        return image


@cache
def noise_bank(size_px: int) -> NoiseBank:
    """The bank for pictures of ``size_px``."""
    return NoiseBank(size_px)
