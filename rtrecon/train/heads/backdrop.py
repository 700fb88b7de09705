"""Backgrounds: rooms, windows, shelves, foliage and skin-coloured traps, all procedural."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.train.heads.shade import NoiseBank
from rtrecon.types import Float32Array

__all__ = ["backdrop"]


def backdrop(rng: np.random.Generator, noise: NoiseBank, size_px: int) -> Float32Array:
    """A random linear RGB background (size_px, size_px, 3)."""
    kind = rng.random()
    if kind < 0.25:
        image = _leaves(rng, noise, size_px)
    elif kind < 0.37:
        image = _strands(rng, noise, size_px)
    else:
        return _room(rng, noise, size_px)
    sigma = float(rng.choice([0.0, 1.0, 3.0]))
    if sigma > 0:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.float32)
    return image


def _leaves(rng: np.random.Generator, noise: NoiseBank, size_px: int) -> Float32Array:
    """Things before things, areas as frequent as in photographs (dead leaves, Lee et al. 2001)."""
    n = size_px
    colours = rng.random((int(rng.integers(3, 9)), 3)) ** rng.uniform(0.8, 2.5)
    grey = rng.uniform(0.0, 0.9)
    colours = colours * (1 - grey) + colours.mean(axis=1, keepdims=True) * grey
    colours *= rng.uniform(0.1, 1.3)
    if rng.random() < 0.3:
        colours[0] = rng.uniform(1.5, 5)  # windows, lamps, sky
    image = np.empty((n, n, 3), dtype=np.float32)
    image[:] = colours[0]
    smallest, largest = n * 0.015, n * rng.uniform(0.15, 0.5)
    count = int(rng.integers(80, 260))
    u = rng.random(count)
    radii = smallest / np.sqrt(1 - u * (1 - (smallest / largest) ** 2))  # density r ** -3
    boxes = rng.random()
    for radius in radii:
        colour = colours[rng.integers(len(colours))] * rng.uniform(0.6, 1.4)
        centre = tuple(float(c) for c in rng.uniform(-0.05, 1.05, 2) * n)
        size = (2 * float(radius), 2 * float(radius * rng.uniform(0.3, 1.0)))
        turn = float(rng.normal(0, 20) if rng.random() < 0.6 else rng.uniform(0, 180))
        shade = tuple(float(c) for c in colour)
        if rng.random() < boxes:
            box = cv2.boxPoints((centre, size, turn)).astype(np.int32)
            cv2.fillPoly(image, [box], shade)
        else:
            cv2.ellipse(image, (centre, size, turn), shade, -1)
    texture = noise.image(rng, n, float(rng.uniform(0.4, 3.0)))
    grain = np.clip(1 + rng.uniform(0, 0.35) * texture[..., None], 0.05, None)
    return np.asarray(image * grain, dtype=np.float32)


def _strands(rng: np.random.Generator, noise: NoiseBank, size_px: int) -> Float32Array:
    """Curtains, wood, fur and the hair of others: noise that is long one way."""
    n = size_px
    at = np.arange(n, dtype=np.float32) / NoiseBank.SIZE
    x, y = np.meshgrid(at, at)
    turn = rng.normal(0, 0.25) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    along, across = np.float32(rng.uniform(0.05, 0.4)), np.float32(rng.uniform(0.8, 6.0))
    bend = noise.image(rng, n, 4.0) * np.float32(rng.uniform(0, 0.02))
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u = ((x * c - y * s + bend) * across + rng.random()).astype(np.float32)
    v = ((x * s + y * c) * along + rng.random()).astype(np.float32)
    level = noise(int(rng.integers(10)), u, v)[..., None] * rng.uniform(0.1, 0.5)
    first, second = (rng.random((2, 3)) ** rng.uniform(0.8, 2.5)).astype(np.float32)
    if rng.random() < 0.5:  # as hair is
        first = np.array([0.3, 0.2, 0.12], np.float32) * np.float32(rng.uniform(0.05, 2.0))
        second = first * np.float32(0.3)
    share = np.clip(0.5 + level, 0, 1.5)
    mixed = first * share + second * (1 - share)
    return np.asarray(np.clip(mixed * rng.uniform(0.2, 1.4), 0.002, None), dtype=np.float32)


def _room(rng: np.random.Generator, noise: NoiseBank, size_px: int) -> Float32Array:
    """A wall with plain things before it."""
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
