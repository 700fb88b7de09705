"""A page of samples to look at: picture, relief as shaded normals, mask."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rtrecon.draw.png import write_png
from rtrecon.train.face_model import ARKIT_NAMES, LANDMARKS_68, FaceModel
from rtrecon.train.heads.look import sample_look
from rtrecon.train.heads.mesh import Part
from rtrecon.train.heads.pose import HEAD_CAMERA
from rtrecon.train.heads.sample import HeadGenerator, Sample
from rtrecon.types import BgrImage, Float32Array, Float64Array, Intrinsics

__all__ = ["coefficient_sheet", "contact_sheet", "draw_sample", "relief_normals"]


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
    write_png(out_png, np.vstack(rows))


def coefficient_sheet(out_png: Path, face_model_path: Path, seed: int = 0) -> None:
    """Write a page of one head that does each of `ARKIT_NAMES` at 0, 0.5 and 1, frontal.

    What moves nothing here, or the wrong thing, cannot be learnt.
    """
    model = FaceModel.load(face_model_path)
    actor = _Actor(model, 192)
    tiles = []
    for name in ARKIT_NAMES:
        row = [actor.act(seed, {name: value}) for value in (0.0, 0.5, 1.0)]
        if name == "mouthClose":  # says how far the lips meet over an open jaw
            row = [actor.act(seed, {name: 0.5 * v, "jawOpen": 0.5}) for v in (0.0, 0.5, 1.0)]
        tile = np.hstack([picture[20:180, 24:168] for picture in row])
        cv2.putText(tile, name, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 255, 255), 1)
        tiles.append(tile)
    actor.close()
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 4)
    rows = [np.hstack(tiles[k : k + 4]) for k in range(0, len(tiles), 4)]
    write_png(out_png, np.vstack(rows))


class _Actor(HeadGenerator):
    """The same frontal head in the same light, whatever it does; it wears nothing."""

    def _dress(
        self,
        rng: np.random.Generator,  # noqa: ARG002
        vertices: Float32Array,  # noqa: ARG002
        head: Part,
    ) -> tuple[list[Part], list[Part]]:
        return [head], []

    def act(self, seed: int, coefficients: dict[str, float]) -> BgrImage:
        values = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
        for name, value in coefficients.items():
            values[ARKIT_NAMES.index(name)] = value
        scene = self._scene(
            np.random.default_rng(seed),
            weights=self._model.from_arkit(values),
            place=_before_camera,
        )
        rng = np.random.default_rng(seed + 1)
        return self._shooting(scene)(rng, sample_look(rng, 0.0)).image


def _before_camera(vertices: Float32Array) -> tuple[Float64Array, Float64Array, Intrinsics]:
    camera = Intrinsics.from_fov(640, 480, 60.0)
    nose = vertices[LANDMARKS_68][27].astype(np.float64) * 0.01
    return np.eye(3), np.array([0.0, 0.0, 0.6]) - HEAD_CAMERA @ nose, camera


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
