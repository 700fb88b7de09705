"""Backgrounds: rooms, windows, shelves, foliage and skin-coloured traps, all procedural."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.train.heads.shade import NoiseBank
from rtrecon.types import Float32Array

__all__ = ["backdrop"]


def backdrop(rng: np.random.Generator, noise: NoiseBank, size_px: int) -> Float32Array:
    """A random linear RGB background (size_px, size_px, 3)."""
    n = size_px
    first, second = (rng.random((2, 3)) ** rng.uniform(0.8, 2.5)).astype(np.float32)
    if rng.random() < 0.75:
        first, second = first * 0.3 + first.mean() * 0.7, second * 0.3 + second.mean() * 0.7
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:n, 0:n].astype(np.float32) / n - 0.5
    ramp = np.clip(0.5 + (x * np.cos(angle) + y * np.sin(angle)) * rng.uniform(0, 1.6), 0, 1)
    image = first * (1 - ramp[..., None]) + second * ramp[..., None]
    image = image * rng.uniform(0.2, 1.4)
    texture = noise.image(rng, n, float(rng.uniform(0.4, 4.0)))
    image = image * np.clip(1 + rng.uniform(0, 0.5) * texture[..., None], 0.05, None)
    for _ in range(int(rng.choice([0, 3, 9, 22], p=[0.2, 0.3, 0.3, 0.2]))):
        colour = (rng.random(3) ** rng.uniform(0.6, 3)) * rng.uniform(0.1, 1.5)
        if rng.random() < 0.75:  # most rooms are dull
            colour = colour.mean() + (colour - colour.mean()) * rng.uniform(0.0, 0.35)
        if rng.random() < 0.12:
            colour = np.array([0.55, 0.32, 0.22]) * rng.uniform(0.3, 1.2)  # skin-coloured
        if rng.random() < 0.06:
            colour = np.ones(3) * rng.uniform(2, 6)  # a lamp or window
        centre = rng.uniform(-0.1, 1.1, 2) * n
        extent = n * rng.uniform(0.02, 0.45, 2)
        canvas = np.ascontiguousarray(image, dtype=np.float32)
        colour_tuple = tuple(float(c) for c in colour)
        if rng.random() < 0.65:
            box = cv2.boxPoints(
                (tuple(centre), tuple(extent * 2), float(rng.normal(0, 12)))
            ).astype(np.int32)
            cv2.fillPoly(canvas, [box], colour_tuple, lineType=cv2.LINE_AA)
        else:
            cv2.ellipse(
                canvas,
                (tuple(centre), tuple(extent * 2), float(rng.uniform(0, 180))),
                colour_tuple,
                -1,
                lineType=cv2.LINE_AA,
            )
        image = canvas
    if rng.random() < 0.25:  # bars or shelves
        period = rng.uniform(6, 40)
        stripes = np.sin((x if rng.random() < 0.5 else y) * n / period * 2 * np.pi) > 0
        image = image * np.where(stripes, 1.0, rng.uniform(0.4, 0.9))[..., None]
    sigma = float(rng.choice([0.0, 1.0, 3.0, 8.0]))
    if sigma > 0:
        image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
    return np.asarray(image, dtype=np.float32)
