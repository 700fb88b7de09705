"""A page of samples to look at: picture, relief as shaded normals, mask."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rtrecon.train.face_model import FaceModel
from rtrecon.train.heads.sample import HeadGenerator, Sample
from rtrecon.types import BgrImage, Float32Array

__all__ = ["contact_sheet", "draw_sample", "relief_normals"]


def contact_sheet(
    out_png: Path, face_model_path: Path, first_seed: int = 0, count: int = 24, size_px: int = 192
) -> None:
    """Write a page of ``count`` heads, one variant each, beside their relief."""
    generator = HeadGenerator(FaceModel.load(face_model_path), size_px, variants=1)
    tiles = [draw_sample(generator(first_seed + k)[0]) for k in range(count)]
    generator.close()
    columns = max(1, min(4, count))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)]
    cv2.imwrite(str(out_png), np.vstack(rows))


def draw_sample(sample: Sample) -> BgrImage:
    """The picture, and the relief's normals lit from the upper left, side by side."""
    shaded = shade_relief(sample.relief)
    picture = sample.image.copy()
    for x, y in sample.landmarks68_px:
        cv2.circle(picture, (round(float(x)), round(float(y))), 0, (0, 255, 0), -1)
    return np.hstack([picture, shaded])


def relief_normals(relief: Float32Array) -> Float32Array:
    """Unit normals (h, w, 3) of a relief under weak perspective; NaN where it is NaN."""
    n = relief.shape[1]
    dy, dx = np.gradient(relief * n)
    normal = np.stack([-dx, -dy, -np.ones_like(dx)], axis=-1)
    return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True), dtype=np.float32)


def shade_relief(relief: Float32Array) -> BgrImage:
    """Grey shading of a relief, for looking at; light from the upper left."""
    normal = relief_normals(relief)
    light = np.array([-0.4, -0.5, -0.77], dtype=np.float32)
    grey = np.nan_to_num(np.clip(normal @ light, 0, 1), nan=0.0)
    return np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2)
