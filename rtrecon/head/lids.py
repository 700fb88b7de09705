"""Lids that close on a person's own eyes: the model's blink leaves a slit, and a stranger's eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtrecon.head.model import HeadModel
from rtrecon.types import Float32Array, Float64Array

__all__ = ["LidMargins", "closed_lids", "lid_margins"]

_CARDS = 12  # of lashes: three rows above, three below, the left eye first
_OVERLAP_RAD = np.radians(0.8)
_MOST_RAD = np.radians(25.0)
_CLEAR_M = 0.0004
_NEAR_M = 0.006  # of the eyeball: what else moves is brow and cheek


@dataclass(frozen=True, slots=True, eq=False)
class LidMargins:
    """Where lashes grow, of one eye: vertices of the face along the ``upper`` and ``lower`` lid."""

    upper: npt.NDArray[np.intp]
    lower: npt.NDArray[np.intp]


def lid_margins(model: HeadModel) -> tuple[LidMargins, LidMargins]:
    """Of the left and of the right eye."""
    lashes = model.parts["lashes"]
    cards = np.arange(lashes.start, lashes.stop).reshape(_CARDS, -1)
    skin = model.vertices[model.parts["face"]].astype(np.float64)
    rows = []
    for card in cards[::3]:
        place = model.vertices[card].astype(np.float64)
        squared = (place**2).sum(axis=1)[:, None] + (skin**2).sum(axis=1) - 2.0 * place @ skin.T
        nearest = squared.argmin(axis=1)
        rows.append(np.unique(nearest[squared.min(axis=1) < 1e-9]))
    return LidMargins(rows[0], rows[1]), LidMargins(rows[2], rows[3])


def closed_lids(
    model: HeadModel, vertices: Float32Array, blink: Float32Array, eye: int
) -> Float32Array:
    """(n, 3) float32 a blink that closes: the upper lid's margin ends on the lower one's.

    The lid turns on about the eyeball's middle, each vertex by its share of the margin's way, and
    keeps off the ball on its way too.

    Args:
        model: whose topology it is.
        vertices: (n, 3) the person's head at rest.
        blink: (n, 3) what the shape adds so far.
        eye: 0 the person's left, 1 the right.
    """
    margins = lid_margins(model)[eye]
    ball = vertices[model.parts[("eye_left", "eye_right")[eye]]].astype(np.float64)
    center = model.eye_centers(vertices)[eye]
    moved = np.flatnonzero(np.abs(blink).max(axis=1) > 0.0)
    rest = _Sphere.of(vertices[moved] - center)
    end = _Sphere.of(vertices[moved] + blink[moved] - center)

    index = np.full(len(vertices), -1)
    index[moved] = np.arange(len(moved))
    upper, lower = index[margins.upper], index[margins.lower]
    upper, lower = upper[upper >= 0], lower[lower >= 0]
    if min(len(upper), len(lower)) < 4:
        return blink
    up, low = upper[end.azimuth[upper].argsort()], lower[end.azimuth[lower].argsort()]
    lowest = np.interp(end.azimuth[up], end.azimuth[low], end.polar[low])
    missing = np.clip(lowest + _OVERLAP_RAD - end.polar[up], -_MOST_RAD, _MOST_RAD)
    # At the corners the lids are one: nothing is missing there.
    inner = np.minimum(np.arange(len(up)), np.arange(len(up))[::-1])
    missing *= np.clip(inner / 2.0, 0.0, 1.0)
    way = np.maximum((end.polar - rest.polar)[up], np.radians(1.5))
    share = (end.polar - rest.polar) / np.interp(end.azimuth, end.azimuth[up], way)
    is_near = end.radius < np.linalg.norm(ball - center, axis=1).max() + _NEAR_M
    is_lash = moved >= model.parts["lashes"].start
    share = np.where(is_near | is_lash, np.clip(share, 0.0, 1.0), 0.0)
    polar = end.polar + share * np.interp(end.azimuth, end.azimuth[up], missing)
    radius = end.radius.copy()
    # What was outside the ball at rest stays outside, at the end and half way.
    surface = _Ball(ball - center)
    half = _Sphere.of((rest.points() + _Sphere(end.azimuth, polar, radius).points()) / 2.0)
    outside = (rest.radius > surface.radius(rest) + 1e-4) & (share > 0.02)
    needed = surface.radius(_Sphere(end.azimuth, polar, radius)) + _CLEAR_M - radius
    needed_half = 2.0 * (surface.radius(half) + _CLEAR_M - half.radius)
    radius += np.where(outside, np.maximum(np.maximum(needed, needed_half), 0.0), 0.0)
    closed = blink.copy()
    closed[moved] = (
        _Sphere(end.azimuth, polar, radius).points() + center - vertices[moved]
    ).astype(np.float32)
    closed[moved[share <= 0.0]] = blink[moved[share <= 0.0]]
    return closed


@dataclass(frozen=True, slots=True, eq=False)
class _Sphere:
    """Points about an eyeball's middle: azimuth to the person's left, polar downward, radians."""

    azimuth: Float64Array
    polar: Float64Array
    radius: Float64Array

    @classmethod
    def of(cls, points: npt.NDArray[np.floating]) -> _Sphere:
        x, y, z = np.asarray(points, dtype=np.float64).T
        flat = np.hypot(x, z)
        return cls(np.arctan2(x, -z), np.arctan2(y, flat), np.hypot(flat, y))

    def points(self) -> Float64Array:
        flat = self.radius * np.cos(self.polar)
        return np.stack(
            [
                flat * np.sin(self.azimuth),
                self.radius * np.sin(self.polar),
                -flat * np.cos(self.azimuth),
            ],
            axis=1,
        )


class _Ball:
    """An eyeball's surface, which the cornea makes no sphere."""

    def __init__(self, points: Float64Array) -> None:
        self._radius = np.linalg.norm(points, axis=1)
        self._ahead = points / self._radius[:, None]

    def radius(self, where: _Sphere) -> Float64Array:
        """(n,) metres in those directions: the greatest of the three nearest vertices."""
        points = where.points()
        near = points / np.linalg.norm(points, axis=1, keepdims=True) @ self._ahead.T
        best = np.argpartition(-near, 2, axis=1)[:, :3]
        return np.asarray(self._radius[best].max(axis=1))
