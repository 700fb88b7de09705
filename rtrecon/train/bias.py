"""Whom a model serves worse: the same heads in other skins and ages, and at every yaw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from rtrecon.depth.model import DepthModel, load_depth_model
from rtrecon.faces.align import Crop
from rtrecon.train.batches import ray_plane
from rtrecon.train.face_model import FaceModel
from rtrecon.train.heads.look import Look, skin_of_tone
from rtrecon.train.heads.sample import HeadGenerator, Sample
from rtrecon.train.losses import normals_from_relief

__all__ = ["BiasRow", "bias_table", "measure_bias"]

FIRST_SEED = 90_000_000  # far from every seed that is trained on
_TONES = {"pale": 0.0, "fair": 2.0, "olive": 4.0, "brown": 6.0, "dark": 8.0}
_GREY = np.array([0.5, 0.49, 0.48], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class BiasRow:
    """Means over the heads of one ``group``, and the mean difference from the first group's
    depth error with twice its standard error."""

    group: str
    heads: int
    depth_mm: float
    normal_deg: float
    difference_mm: float
    doubt_mm: float


def measure_bias(
    model: str | Path, face_model: Path, heads: int = 150, first_seed: int = FIRST_SEED
) -> list[BiasRow]:
    """Score ``model`` on ``heads`` heads in each skin tone and age, all else the same.

    Raises:
        RtreconError: the face model, the model or the renderer cannot be used.
    """
    depth_model = load_depth_model(model)
    changes = {name: _skin(tone) for name, tone in _TONES.items()}
    changes |= {"young skin": _age(0.0, None), "old skin, grey hair": _age(0.7, _GREY)}
    generator = HeadGenerator(FaceModel.load(face_model), depth_model.size_px)
    found: list[list[tuple[float, float]]] = []
    try:
        for seed in range(first_seed, first_seed + heads):
            samples = generator.changed(seed, list(changes.values()))
            scores = [_score(depth_model, sample) for sample in samples]
            if all(score is not None for score in scores):
                found.append([score for score in scores if score is not None])
    finally:
        generator.close()
    values = np.array(found).reshape(len(found), len(changes), 2)
    first = dict.fromkeys(_TONES, 0) | {"young skin": len(_TONES)}
    first["old skin, grey hair"] = len(_TONES)
    rows = []
    for k, name in enumerate(changes):
        difference = values[:, k, 0] - values[:, first[name], 0]
        doubt = 2.0 * difference.std() / max(len(found), 1) ** 0.5
        depth_mm, normal_deg = values[:, k].mean(axis=0)
        rows.append(
            BiasRow(
                name,
                len(found),
                float(depth_mm),
                float(normal_deg),
                float(difference.mean()),
                float(doubt),
            )
        )
    return rows


def bias_table(rows: list[BiasRow]) -> str:
    """Markdown of what was measured."""
    lines = [
        "| the same heads with | heads | depth error | normals | against the first of its kind |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.group} | {r.heads} | {r.depth_mm:.2f} mm | {r.normal_deg:.1f} degrees | "
        f"{r.difference_mm:+.2f} ± {r.doubt_mm:.2f} mm |"
        for r in rows
    ]
    return "\n".join(lines)


def _skin(tone: float) -> Callable[[Look], Look]:
    def change(look: Look) -> Look:
        skin = skin_of_tone(tone)
        lips = skin * np.array([0.9, 0.55, 0.55], dtype=np.float32)
        return replace(look, skin=skin, lips=lips, lid=skin * np.float32(0.7))

    return change


def _age(wrinkles: float, hair: np.ndarray | None) -> Callable[[Look], Look]:
    def change(look: Look) -> Look:
        look = replace(look, wrinkles=wrinkles, blotch=0.03 + 0.15 * wrinkles)
        return look if hair is None else replace(look, hair=hair, brow=hair * np.float32(0.7))

    return change


def _score(model: DepthModel, sample: Sample) -> tuple[float, float] | None:
    """Depth error in mm (median offset removed) and of normals in degrees, over the face."""
    on = (sample.face_mask > 0) & np.isfinite(sample.relief)
    if int(on.sum()) < 200:
        return None
    size = model.size_px
    whole = Crop(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), size, float(size))
    relief = model.predict(sample.image, [whole])[0].value
    truth = sample.relief.astype(np.float64)
    if model.manifest.along_ray:
        fx, fy, cx, cy = sample.intrinsics
        middle = (size - 1) / 2
        truth -= ray_plane(np.array([(middle - cx) / fx, (middle - cy) / fy]), size)
    error_mm = (relief - truth)[on] * (sample.W_m * 1000.0)
    depth_mm = float(np.abs(error_mm - np.median(error_mm)).mean())
    both = np.stack([relief, np.where(np.isfinite(truth), truth, 0.0)]).astype(np.float32)
    pair = torch.from_numpy(both[:, None])
    n = normals_from_relief(pair).numpy()
    # Slopes reach one pixel to each side, which has to be surface.
    inner = on & np.isfinite(
        sum(np.roll(sample.relief, step, axis) for axis in (0, 1) for step in (-1, 1))
    )
    cosine = np.clip((n[0] * n[1]).sum(axis=0)[inner], -1.0, 1.0)
    return depth_mm, float(np.degrees(np.arccos(cosine)).mean())
