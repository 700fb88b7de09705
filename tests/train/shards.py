"""Shards of ellipsoids in the form that the generator writes: quick, and known by formula."""

from pathlib import Path

import numpy as np

SIZE = 64
W_M = 0.27


def ellipsoid(rng):
    """One sample: a shaded ellipsoid with a dark spot on the left and depth by formula."""
    y, x = (np.mgrid[0:SIZE, 0:SIZE] + 0.5) / SIZE - 0.5
    rx, ry, depth = rng.uniform(0.25, 0.35), rng.uniform(0.32, 0.42), rng.uniform(0.2, 0.45)
    radius2 = (x / rx) ** 2 + (y / ry) ** 2
    inside = radius2 < 1
    height = depth * np.sqrt(np.maximum(1 - radius2, 0))
    relief = np.where(inside, height - 0.6 * depth, np.nan)
    shade = 60 + 180 * height / depth
    image = np.where(inside, shade, 20)[..., None] * np.array([0.8, 0.9, 1.0])
    marks = np.zeros((68, 2))
    jaw, brows = np.linspace(np.pi, 0, 17), np.linspace(-np.pi * 0.8, -np.pi * 0.2, 10)
    around = np.concatenate([jaw, brows, np.linspace(-np.pi, np.pi, 41)])
    away = np.concatenate([np.full(17, 0.95), np.full(10, 0.7), np.full(41, 0.3)])
    marks[:, 0] = (0.5 + away * rx * np.cos(around)) * SIZE - 0.5
    marks[:, 1] = (0.5 + away * ry * np.sin(around)) * SIZE - 0.5
    expression = np.zeros(51)
    expression[0] = 1.0  # eyeBlinkLeft
    turn = rng.uniform(0.1, 0.5)
    R = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    return {
        "image": image.clip(0, 255).astype(np.uint8),
        "relief": relief.astype(np.float16),
        "mask": inside.astype(np.uint8),
        "face_mask": (radius2 < 0.6).astype(np.uint8),
        "landmarks68_px": marks.astype(np.float32),
        "landmarks5_camera": np.zeros((5, 3), np.float32),
        "expression": expression.astype(np.float32),
        "R_camera_face": R.astype(np.float32),
        "intrinsics": np.array([100, 100, SIZE / 2, SIZE / 2], np.float32),
        "scale": np.array([0.6, W_M], np.float32),
    }


def write_shards(folder: Path, count: int = 12) -> Path:
    """A held-out shard (the first) and one to train on."""
    for first in (0, 128):
        rng = np.random.default_rng(first)
        samples = [ellipsoid(rng) for _ in range(count)]
        path = folder / f"shard-{first:08d}"
        path.mkdir(parents=True)
        for field in samples[0]:
            np.save(path / f"{field}.npy", np.stack([s[field] for s in samples]))
        np.save(path / "seed.npy", np.arange(first, first + count))
    return folder
