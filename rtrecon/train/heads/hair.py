"""Hair, hats and scarves as one surface around the scalp, cut to a style."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np

from rtrecon.train.face_model import PARTS, FaceModel
from rtrecon.train.heads.mesh import Part, grid_triangles
from rtrecon.train.heads.regions import Material
from rtrecon.types import Float32Array

__all__ = ["HairStyle", "Scalp", "hair_part", "sample_style"]

_CENTER = np.array([0.0, 2.5, 0.5], dtype=np.float32)
_ROWS, _COLUMNS, _HANG = 30, 96, 16
_AZIMUTH = np.linspace(-np.pi, np.pi, _COLUMNS, endpoint=True).astype(np.float32)


class Kind(StrEnum):
    """What the surface is."""

    HAIR = "hair"
    SCARF = "scarf"
    CAP = "cap"


@dataclass(slots=True)
class HairStyle:
    """Angles in radians from straight up, lengths in centimetres.

    ``ends`` are the polar angles where the surface ends at azimuths 0, 35, 60, 80, 105 and
    180 degrees from the front; ``hang`` the length below that where it hangs.
    """

    kind: Kind
    ends: Float32Array
    thickness: float
    volume_top: float
    strand: float
    wave: float
    hang: float
    open_deg: float
    thin: float


class Scalp:
    """Radius of a head in every direction from a fixed centre, by nearest mean-head vertices."""

    def __init__(self, model: FaceModel) -> None:
        first, end = PARTS["face"][0], PARTS["head_neck"][1]
        directions = model.vertices[first:end] - _CENTER
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        self._polar = np.linspace(0.02, 2.1, _ROWS * 2).astype(np.float32)
        wanted = _directions(self._polar[:, None], _AZIMUTH[None, :]).reshape(-1, 3)
        nearest = np.concatenate(
            [np.argmax(chunk @ directions.T, axis=1) for chunk in np.array_split(wanted, 16)]
        )
        self._vertex = (nearest + first).reshape(_ROWS * 2, _COLUMNS)

    def radius_cm(self, vertices: Float32Array) -> Float32Array:
        """(rows, columns) radius over polar angle and azimuth, smooth over the ears."""
        radius = np.linalg.norm(vertices[self._vertex] - _CENTER, axis=2)
        padded = np.concatenate([radius[:, -9:-1], radius, radius[:, 1:9]], axis=1)
        smooth = cv2.GaussianBlur(padded, (0, 0), 1.6)[:, 8:-8]
        return np.asarray(np.maximum(smooth, radius * 0.97), dtype=np.float32)

    def at(self, radius_cm: Float32Array, polar: Float32Array) -> Float32Array:
        """Radius at ``polar`` (rows, columns), each column at its own azimuth."""
        step = (self._polar[-1] - self._polar[0]) / (len(self._polar) - 1)
        row = np.clip((polar - self._polar[0]) / step, 0, len(self._polar) - 1.001)
        column = np.broadcast_to(np.arange(_COLUMNS, dtype=np.float32), row.shape)
        looked_up = cv2.remap(
            radius_cm, np.ascontiguousarray(column), row.astype(np.float32), cv2.INTER_LINEAR
        )
        return np.asarray(looked_up, dtype=np.float32)


def sample_style(rng: np.random.Generator) -> HairStyle | None:
    """A random style; None is bald."""
    kind = rng.choice(
        ["none", "short", "long", "fringe", "curly", "scarf", "cap"],
        p=[0.14, 0.34, 0.18, 0.14, 0.09, 0.06, 0.05],
    )
    if kind == "none":
        return None
    front = rng.normal(0.80, 0.09)
    if rng.random() < 0.2:
        front -= rng.uniform(0.1, 0.45)  # receding
    ends = np.array([front, front + rng.uniform(-0.05, 0.15), 1.15, 1.62, 1.85, 2.0])
    ends[2:] += rng.normal(0, 0.06, 4)
    style = HairStyle(
        kind=Kind.HAIR,
        ends=ends.astype(np.float32),
        thickness=float(0.25 + 3.0 * rng.random() ** 2),
        volume_top=float(rng.uniform(0.0, 3.0)),
        strand=float(rng.uniform(0.05, 0.35)),
        wave=float(rng.uniform(0.0, 0.5)),
        hang=0.0,
        open_deg=float(rng.uniform(62, 95)),
        thin=float(rng.uniform(0.0, 0.35)),
    )
    if kind == "long" or (kind == "fringe" and rng.random() < 0.6):
        style.hang = float(rng.uniform(0.5, 9) if rng.random() < 0.5 else rng.uniform(6, 24))
        style.thickness = float(rng.uniform(0.5, 3.8))
        style.wave = float(rng.uniform(0.0, 1.0))
    if kind == "fringe":
        style.ends[0] = rng.uniform(1.0, 1.3)
        style.ends[1] = rng.uniform(0.95, 1.35)
        style.ends[2] = max(style.ends[2], 1.2)
        if rng.random() < 0.4:  # swept aside
            style.ends[0] -= rng.uniform(0, 0.25)
    if kind == "curly":
        style.thickness = float(rng.uniform(1.5, 5.5))
        style.strand = float(rng.uniform(0.3, 0.9))
        style.wave = float(rng.uniform(0.4, 1.2))
        style.thin = 0.1
    if kind == "scarf":
        style.kind = Kind.SCARF
        style.ends = np.array([rng.uniform(0.75, 1.0), 1.05, 1.35, 1.7, 1.9, 2.0], np.float32)
        style.thickness = float(rng.uniform(0.4, 1.2))
        style.strand, style.wave, style.thin = 0.02, float(rng.uniform(0.1, 0.5)), 0.0
        style.hang, style.open_deg = float(rng.uniform(5, 16)), float(rng.uniform(48, 62))
    if kind == "cap":
        style.kind = Kind.CAP
        low = rng.uniform(0.8, 1.1)
        style.ends = np.array([low, low, low + 0.15, 1.25, 1.35, 1.45], np.float32)
        style.thickness, style.strand = float(rng.uniform(0.5, 1.2)), 0.01
        style.wave, style.thin, style.hang = 0.05, 0.0, 0.0
    return style


def hair_part(
    rng: np.random.Generator, style: HairStyle, scalp: Scalp, vertices: Float32Array
) -> Part:
    """The surface of ``style`` on the head with ``vertices``."""
    radius = scalp.radius_cm(vertices)
    degrees = np.abs(np.degrees(_AZIMUTH))
    skew = rng.normal(0, 0.06) * np.sin(_AZIMUTH) * (degrees < 90)
    end = np.interp(degrees, [0, 35, 60, 80, 105, 180], style.ends) + skew
    jag = _noise(rng, 1, _COLUMNS, 0.7)[0]
    end = end + jag * style.strand * 0.12
    t = np.linspace(0.0, 1.0, _ROWS, dtype=np.float32)[:, None]
    polar = (0.02 + t * (end[None, :] - 0.02)).astype(np.float32)
    base = scalp.at(radius, polar)
    top = np.clip(np.cos(polar), 0, 1) ** 1.5
    taper = np.clip((1.0 - t) / 0.22, 0.0, 1.0) ** 0.5 if style.hang == 0 else np.ones_like(t)
    thickness = 0.12 + taper * (style.thickness + style.volume_top * top)
    rough = _noise(rng, _ROWS, _COLUMNS, 0.8) * style.strand
    rough = rough + _noise(rng, _ROWS, _COLUMNS, 3.0) * style.wave * 0.8
    fine = _noise(rng, 1, _COLUMNS, 0.5) * style.strand * 0.6
    outer = base + np.maximum(thickness + (rough + fine) * np.minimum(thickness, 1.2), 0.1)
    points = _CENTER + _directions(polar, _AZIMUTH[None, :]) * outer[..., None]
    cover = np.clip((1.0 - t) / max(0.04, style.thin), 0, 1) * np.ones((1, _COLUMNS), np.float32)
    if style.kind is not Kind.HAIR:
        cover = np.ones_like(cover)
    if style.hang > 0:
        points, cover = _hang(rng, style, points, cover, degrees)
    rows = len(points)
    uv = np.stack(
        np.broadcast_arrays(
            np.linspace(0, 1, _COLUMNS)[None, :], np.linspace(0, rows / _ROWS, rows)[:, None]
        ),
        axis=-1,
    )
    material = Material.HAIR if style.kind is Kind.HAIR else Material.HAT
    return Part(
        points.reshape(-1, 3).astype(np.float32),
        grid_triangles(rows, _COLUMNS),
        float(material),
        uv.reshape(-1, 2).astype(np.float32),
        cover.reshape(-1).astype(np.float32),
    )


def brim_part(style: HairStyle, scalp: Scalp, vertices: Float32Array) -> Part:
    """The peak of a cap, a bent half disc over the forehead."""
    radius = scalp.radius_cm(vertices)
    across = np.linspace(-1.0, 1.0, 24, dtype=np.float32)
    out = np.linspace(0.0, 1.0, 8, dtype=np.float32)[:, None]
    azimuth = across * 0.95
    polar = np.full((1, _COLUMNS), style.ends[0], np.float32)
    ring = scalp.at(radius, polar)[0] + style.thickness * 0.4
    r = np.interp(azimuth, _AZIMUTH, ring)
    base = _CENTER + _directions(np.full_like(azimuth, style.ends[0]), azimuth) * r[:, None]
    reach = 6.5 * np.sqrt(np.clip(1 - across**2, 0, 1))
    points = np.repeat(base[None], 8, axis=0)
    points[..., 2] += out * reach
    points[..., 1] -= out * reach * 0.22 + 0.9 * across**2 * out
    uv = np.stack(np.broadcast_arrays(across[None, :], out), axis=-1)
    return Part(
        points.reshape(-1, 3).astype(np.float32),
        grid_triangles(8, 24),
        float(Material.HAT),
        uv.reshape(-1, 2).astype(np.float32),
    )


def _hang(
    rng: np.random.Generator,
    style: HairStyle,
    points: Float32Array,
    cover: Float32Array,
    degrees: Float32Array,
) -> tuple[Float32Array, Float32Array]:
    """Let the columns beside and behind the face fall down from where they end."""
    hangs = np.clip((degrees - style.open_deg) / 12.0, 0.0, 1.0)
    length = style.hang * hangs * (1 + 0.1 * _noise(rng, 1, _COLUMNS, 1.0)[0])
    s = np.linspace(0, 1, _HANG, dtype=np.float32)[1:, None]
    last = points[-1]
    fall = np.repeat(last[None], _HANG - 1, axis=0)
    fall[..., 1] -= s * length
    outward = last[:, [0, 2]] - _CENTER[[0, 2]]
    outward = outward / np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    flare = rng.uniform(-1.8, 1.2) * s**2 + _noise(rng, _HANG - 1, _COLUMNS, 1.5) * style.wave
    push = (flare * np.minimum(length / 8, 1))[..., None] * outward
    fall[..., 0] += push[..., 0]
    fall[..., 2] += push[..., 1]
    tail = np.clip((1 - s) / 0.25, 0, 1) * np.ones((1, _COLUMNS))
    head = np.where(hangs[None, :] > 0.1, 1.0, cover)
    tail = np.where(hangs[None, :] > 0.1, tail, 0.0)
    return np.concatenate([points, fall]), np.concatenate([head, tail])


def _directions(polar: Float32Array, azimuth: Float32Array) -> Float32Array:
    """Unit vectors; azimuth 0 is the front (+z), growing toward +x; polar 0 is up (+y)."""
    polar, azimuth = np.broadcast_arrays(polar, azimuth)
    s = np.sin(polar)
    return np.stack([s * np.sin(azimuth), np.cos(polar), s * np.cos(azimuth)], axis=-1).astype(
        np.float32
    )


def _noise(rng: np.random.Generator, rows: int, columns: int, sigma: float) -> Float32Array:
    """Unit-variance noise, smooth over ``sigma`` cells."""
    raw = rng.standard_normal((rows + 8, columns + 8)).astype(np.float32)
    smooth = cv2.GaussianBlur(raw, (0, 0), sigma)[4:-4, 4:-4]
    return np.asarray(smooth / max(float(smooth.std()), 1e-6), dtype=np.float32)
