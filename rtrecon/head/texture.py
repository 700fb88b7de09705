"""One texture of a person's head: what was seen, blended by view, and what fits to it elsewhere.

Colours are float32 RGB, as the picture has them (sRGB), 0 to 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import UInt8Array, vertex_normals
from rtrecon.head.color import median_color, unlike
from rtrecon.head.hair import grain_of, hair_tone
from rtrecon.head.layout import Layout, layout_of
from rtrecon.head.membrane import Membrane, membrane_of
from rtrecon.head.model import PART_NAMES, HeadModel
from rtrecon.head.paint import eye_color, paint_eyes, paint_mouth
from rtrecon.head.regions import Regions
from rtrecon.head.view import View, sample, toward_camera, visible
from rtrecon.types import Float32Array, Float64Array

__all__ = ["TEXTURE_PX", "bake"]

TEXTURE_PX = 2048

_BAKED_PX = 1024  # of a picture with fewer pixels a metre than the next
_FINE_PX_PER_M = 2600.0
_BAND_ROWS = 128
_SKIN_COLUMNS = 0.64  # of the texture's: the model's skin, and a border
_FACING = (0.30, 0.65)  # cosines
_HAIR_FACING = (0.26, 0.5)  # nothing is taken beyond 75 degrees
_VISIBLE_PX = 400  # side of the picture in which it is asked what stands in front
_SLACK_M = 0.005
_ASLANT, _WALL_SPREAD = 0.75, 13.0  # cosine to the view; of the wall's chroma from the person's
_SKIN_SPREAD = 11.0  # of the chroma of skin, in Lab: beside it is a collar, or the wall
_COLOR_REACH_M, _COLOR_FADE_M = 0.006, 0.022
_LIGHT_SHARE, _LIGHT_LIMIT = 0.55, 1.45
_MIRRORED = 0.6
_BEST_LOG2 = 3  # of the power of the weights among views: pictures a millimetre apart are not mixed
_BETTER = 0.4  # by so much must the other side be seen better to be taken whole
_SHUT_M = 0.002  # between the lips' inner landmarks


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What a view shows of the membrane's vertices: ``pixels`` (count, 2) of the image,
    ``weight`` (count,) and ``color`` (count, 3), ``facing`` (count,) cosine to the view;
    ``mouth_open`` in [0, 1]."""

    pixels: Float32Array
    weight: Float64Array
    color: Float64Array
    mouth_open: float
    facing: Float64Array

    @property
    def share(self) -> Float64Array:
        """(count,) among other views: the one that sees a place best is nearly alone."""
        return np.asarray((self.weight * self.facing.clip(0.0, 1.0)) ** (1 << _BEST_LOG2))


def bake(
    model: HeadModel,
    views: Sequence[View],
    seen: Sequence[Float32Array],
    rest: Float32Array,
    regions: Regions,
    size: int = TEXTURE_PX,
) -> UInt8Array:
    """(size, size, 3) uint8 RGB.

    Args:
        model: whose layout it has.
        views: of one person.
        seen: (n, 3) vertices in the camera frame of each view.
        rest: (n, 3) vertices at rest, head frame.
        regions: the person's own.
        size: of the texture.
    """
    membrane = membrane_of(model)
    factor = 2 if size > _BAKED_PX and max(v.px_per_m for v in views) > _FINE_PX_PER_M else 1
    layout = layout_of(model, min(size, _BAKED_PX))
    looks = [_look(view, vertices, regions) for view, vertices in zip(views, seen, strict=True)]
    tones = _tones(views, looks, regions)
    looks = [_plausible(look, tones, regions, membrane) for look in looks]
    gain = _evened(model, rest, looks, regions)
    weight = np.max([look.weight for look in looks], axis=0)
    color = _blended(looks) * gain[:, None]
    base = _base(model, membrane, regions, weight, color, tones)
    baked = layout.size * factor
    grain = grain_of(views[0], baked)
    smooth = [_smooth_color(membrane, look) for look in looks]
    texture = np.empty((baked, baked, 3), dtype=np.float32)
    texture[:] = tones.skin
    for first in range(0, layout.size, _BAND_ROWS):
        band = _Band(layout, first, min(first + _BAND_ROWS, layout.size), factor)
        own, mirrored = _detail(model, band, views, looks, smooth)
        texture[band.where] = _composed(band, base, own, mirrored, regions, grain[band.where])
    paint_mouth(texture, model, layout, tones.skin)
    if baked != size:
        way = cv2.INTER_CUBIC if size > baked else cv2.INTER_AREA
        texture = np.asarray(cv2.resize(texture, (size, size), interpolation=way), np.float32)
    paint_eyes(texture, model, layout, eye_color(views[0], seen[0]))
    return np.asarray(np.clip(texture + 0.5, 0, 255), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class _Tones:
    """``skin``, ``lips`` and ``hair`` (3,) RGB."""

    skin: Float64Array
    lips: Float64Array
    hair: Float64Array


def _look(view: View, vertices: Float32Array, regions: Regions) -> _Seen:
    model = view.fitted.model
    count = membrane_of(model).count
    facing = toward_camera(vertices, model.triangles)[:count]
    pixels = view.pixels(vertices)
    scale = _VISIBLE_PX / len(view.image)
    shown = visible(
        ((pixels + 0.5) * scale - 0.5).astype(np.float32),
        vertices[:, 2],
        model.triangles,
        _VISIBLE_PX,
        _SLACK_M,
    )[:count]
    membrane = membrane_of(model)
    at = view.pixels_of_outline(vertices[:count])
    # A little inside the outline: the wall's colour has bled into its edge.
    inside = sample(cv2.erode(view.outline, np.ones((5, 5), np.uint8)), at)
    inside = inside * sample(cv2.erode(view.known, np.ones((3, 3), np.uint8)), at)
    low, high = (
        at + regions.scalp * (at_hair - at)
        for at, at_hair in zip(_FACING, _HAIR_FACING, strict=True)
    )
    weight = np.clip((facing - low) / (high - low), 0.0, 1.0) * shown * (inside > 0.5)
    weight *= regions.outside
    # Let it fade before it ends, so that there is no edge.
    faded = membrane.smooth(weight[:, None], 5)[:, 0]
    weight = np.minimum(weight, np.clip(1.7 * faded - 0.3, 0.0, 1.0))
    small = cv2.GaussianBlur(view.image, (0, 0), max(0.6, 0.0012 * view.px_per_m))
    color = sample(small, pixels[:count])[:, ::-1].astype(np.float64)
    lips = vertices[model.landmarks[[61, 62, 63, 65, 66, 67]]]
    gap_m = float(np.linalg.norm(lips[:3] - lips[:2:-1], axis=1).mean())
    mouth_open = float(np.clip((gap_m - _SHUT_M) / _SHUT_M, 0.0, 1.0))
    return _Seen(pixels[:count], weight, color, mouth_open, facing)


def _tones(views: Sequence[View], looks: Sequence[_Seen], regions: Regions) -> _Tones:
    """The person's skin: the median of the face; hair: of what is along the head's outline."""
    weight = np.concatenate([look.weight for look in looks])
    color = np.concatenate([look.color for look in looks])
    n = len(looks)
    face = np.tile(regions.coarse * (1.0 - regions.scalp) * (1.0 - regions.neck), n)
    skin = median_color(color, (weight > 0.5) & (face > 0.9), np.array([198.0, 160.0, 138.0]))
    hair = hair_tone(views, skin)
    lips = median_color(color, (weight > 0.5) & (np.tile(regions.lips, n) > 0.9), skin * 0.8)
    return _Tones(skin, lips, hair)


def _plausible(look: _Seen, tones: _Tones, regions: Regions, membrane: Membrane) -> _Seen:
    """Without what is no skin below the jaw: collars; and no lip between the lips: teeth, the
    dark of the mouth."""
    keep = np.ones(len(look.weight))
    like = np.clip(2.0 - unlike(look.color, tones.skin, 25.0) / _SKIN_SPREAD, 0.0, 1.0)
    keep *= 1.0 - np.clip(regions.neck * 1.5, 0.0, 1.0) * (1.0 - like)
    # At the head's sides, seen aslant, what is neither skin nor hair is the wall behind.
    own = np.minimum(unlike(look.color, tones.skin, 30.0), unlike(look.color, tones.hair, 30.0))
    aslant = np.clip((_ASLANT - look.facing) / 0.2, 0.0, 1.0) * (1.0 - regions.ear)
    keep *= 1.0 - aslant * (1.0 - np.clip(2.0 - own / _WALL_SPREAD, 0.0, 1.0))
    # Below a collar's edge there is no skin again that counts.
    keep *= np.clip(1.6 - regions.below_jaw_m / 0.045, 0.0, 1.0)
    around = membrane.smooth(keep[:, None], 8)[:, 0]
    keep = np.minimum(keep, np.clip(3.0 * around - 1.9, 0.0, 1.0))
    # An open mouth's teeth are a millimetre beside the lips.
    keep *= 1.0 - look.mouth_open * regions.between_lips
    return replace(look, weight=look.weight * keep)


def _evened(
    model: HeadModel, rest: Float32Array, looks: Sequence[_Seen], regions: Regions
) -> Float64Array:
    """(count,) what takes a share of the light's direction out of the colours.

    The light is a function of the normal: spherical harmonics up to the second order (Ramamoorthi
    and Hanrahan, "An efficient representation for irradiance environment maps", 2001).
    """
    count = len(regions.outside)
    normals = vertex_normals(rest, model.triangles)[:count].astype(np.float64)
    weight = np.max([look.weight for look in looks], axis=0)
    luma = np.log(np.maximum(_blended(looks) @ (0.299, 0.587, 0.114), 8.0))
    use = weight * regions.coarse * (1.0 - regions.scalp) * (1.0 - regions.neck)
    if use.sum() < 200.0:
        return np.ones(count)
    basis = _harmonics(normals)
    middle = float(np.average(luma, weights=use))
    w = use.copy()
    for _ in range(3):
        A = basis * w[:, None]
        c = np.linalg.solve(A.T @ basis + 3.0 * np.eye(basis.shape[1]), A.T @ (luma - middle))
        apart = np.abs(luma - middle - basis @ c)
        w = use * 0.12 / np.maximum(apart, 0.12)  # beards and brows are no light
    light = basis @ c
    limit = np.log(_LIGHT_LIMIT)
    return np.asarray(np.exp(-_LIGHT_SHARE * np.clip(light, -limit, limit)))


def _harmonics(n: Float64Array) -> Float64Array:
    x, y, z = n.T
    return np.stack([x, y, z, x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], axis=1)


def _base(
    model: HeadModel,
    membrane: Membrane,
    regions: Regions,
    weight: Float64Array,
    color: Float64Array,
    tones: _Tones,
) -> Float64Array:
    """(count, 3) smooth colours everywhere: seen, mirrored, else skin or hair."""
    count = membrane.count
    prior = tones.skin + regions.scalp[:, None] * (tones.hair - tones.skin)
    prior = prior + regions.between_lips[:, None] * (tones.lips - prior)
    mirror = model.mirror[:count]
    mirror = np.where(mirror < count, mirror, np.arange(count))
    other = _MIRRORED * _other_share(weight, weight[mirror])
    total = weight + other
    mixed = weight[:, None] * color + other[:, None] * color[mirror]
    mixed = mixed / np.maximum(total, 1e-6)[:, None]
    fade = _COLOR_FADE_M * (1.0 - 0.8 * regions.between_lips)
    base = membrane.solve(total.clip(0.0, 1.0), mixed, _COLOR_REACH_M, fade, prior)
    return np.asarray(base.clip(0.0, 255.0))


@dataclass(frozen=True, slots=True)
class _Band:
    """Rows of the layout, ``first`` to ``end``, each ``factor`` rows of the texture; and as many
    columns as show skin. In bands, as all that is computed on the way takes ten times as much."""

    layout: Layout
    first: int
    end: int
    factor: int

    @property
    def where(self) -> tuple[slice, slice]:
        """Its place in the texture."""
        columns = min(round(_SKIN_COLUMNS * self.layout.size), self.layout.size)
        return np.s_[self.first * self.factor : self.end * self.factor, : columns * self.factor]

    def spread(self, values: Float64Array) -> Float32Array:
        """(rows, columns, c) of the vertices' (n, c) values."""
        layout, factor = self.layout, self.factor
        columns = min(round(_SKIN_COLUMNS * layout.size), layout.size)
        if factor == 1:
            return layout.spread(values.astype(np.float32), (self.first, self.end))[:, :columns]
        # With what is beside it, so that bands meet.
        low, high = max(self.first - 2, 0), min(self.end + 2, layout.size)
        maps = layout.spread(values.astype(np.float32), (low, high))
        size = (factor * layout.size, factor * (high - low))
        large = np.asarray(cv2.resize(maps, size), dtype=np.float32)
        rows = slice(factor * (self.first - low), factor * (self.end - low))
        return large[rows, : columns * factor]

    def skin(self) -> npt.NDArray[np.bool_]:
        """(rows, columns, 1) where it shows skin."""
        columns = min(round(_SKIN_COLUMNS * self.layout.size), self.layout.size)
        kind = self.layout.part[self.first : self.end, :columns]
        of_skin = kind < PART_NAMES.index("mouth_socket")
        return of_skin.repeat(self.factor, axis=0).repeat(self.factor, axis=1)[:, :, None]


def _detail(
    model: HeadModel,
    band: _Band,
    views: Sequence[View],
    looks: Sequence[_Seen],
    smooth: Sequence[Float64Array],
) -> tuple[Float32Array, Float32Array]:
    """What the pictures have beyond ``smooth`` colours: (rows, columns, 4) ratio to those, and how
    far it is known; of the side itself, and of the mirrored one."""
    count = membrane_of(model).count
    mirror = model.mirror[:count]
    mirror = np.where(mirror < count, mirror, np.arange(count))
    parts = []
    for index in (slice(None), mirror):
        total, known = np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32)
        ratios = np.zeros(0, dtype=np.float32)
        for view, look, low in zip(views, looks, smooth, strict=True):
            faced = look.facing.clip(0.0, 1.0)
            values = np.column_stack([look.pixels, low, look.weight, faced])[index]
            maps = band.spread(values)
            picture = cv2.remap(
                view.image,
                np.ascontiguousarray(maps[:, :, :2]),
                None,  # type: ignore[call-overload]
                cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REPLICATE,
            )
            ratio = picture[:, :, ::-1].astype(np.float32)
            ratio /= np.maximum(maps[:, :, 2:5], 4.0)
            w = np.clip(maps[:, :, 5:6], 0.0, 1.0)
            if len(views) == 1:
                ratios, known = ratio, w
                continue
            share = w * maps[:, :, 6:]
            for _ in range(_BEST_LOG2):
                share *= share
            if total.size == 0:
                total, known, ratios = share, w, share * ratio
            else:
                total, known, ratios = total + share, np.maximum(known, w), ratios + share * ratio
        if len(views) > 1:
            ratios /= np.maximum(total, 1e-30)
        parts.append(np.concatenate([ratios, known], axis=2))
    return parts[0], parts[1]


def _blended(looks: Sequence[_Seen]) -> Float64Array:
    """(count, 3) of what several views show."""
    total = np.sum([look.share for look in looks], axis=0)
    color = np.sum([look.share[:, None] * look.color for look in looks], axis=0)
    return np.asarray(color / np.maximum(total, 1e-30)[:, None])


def _other_share(own: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """How far the other side's pixels are taken: as it is seen better than the side itself. A
    mole stays on its own side."""
    own = np.clip(own, 0.0, 1.0)
    better = np.clip((other - own) / _BETTER, 0.0, 1.0)
    return np.asarray(better * other * (1.0 - own), dtype=own.dtype)


def _smooth_color(membrane: Membrane, look: _Seen) -> Float64Array:
    rest = np.average(look.color, axis=0, weights=look.weight + 1e-6)
    return membrane.solve(
        look.weight.clip(0.0, 1.0),
        look.color,
        _COLOR_REACH_M,
        _COLOR_FADE_M,
        np.tile(rest, (membrane.count, 1)),
    ).clip(4.0, 255.0)


def _composed(
    band: _Band,
    base: Float64Array,
    own: Float32Array,
    mirrored: Float32Array,
    regions: Regions,
    grain: Float32Array,
) -> Float32Array:
    """Smooth colours times the pictures' detail, and times hair's grain where there is none."""
    smooth = band.spread(np.column_stack([base, regions.scalp]))
    w = own[:, :, 3:]
    other = _other_share(w, mirrored[:, :, 3:])
    filled = 1.0 + smooth[:, :, 3:] * (grain[:, :, None] - 1.0)
    ratio = w * own[:, :, :3] + other * mirrored[:, :, :3] + (1.0 - w - other) * filled
    return np.asarray(
        smooth[:, :, :3] * np.where(band.skin(), np.clip(ratio, 0.0, 4.0), 1.0), dtype=np.float32
    )
