"""Batches for training: drawn by step, augmented, prepared on a thread ahead of the optimiser."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from rtrecon.geometry.rays import ray_slope
from rtrecon.train.augment import Warp, flip_labels, noise_bank, recolour
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.heads.regions import face_region
from rtrecon.train.losses import Targets
from rtrecon.types import Float64Array

__all__ = ["Batch", "batches", "make_batch", "ray_plane"]

Batch = tuple[torch.Tensor, Targets]

_MIRROR = np.diag([-1.0, 1.0, 1.0])


def batches(
    data: ShardDataset, *, seed: int, first_step: int, count: int, size_px: int, pairs: int = 0
) -> Iterator[Batch]:
    """Endless batches of ``count``; batch ``step`` depends on seed, step and the data alone.

    The last ``pairs`` of a batch are its first ones once more, in noise of their own.
    """
    ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=3)
    stop = threading.Event()

    def prepare() -> None:
        step = first_step
        while not stop.is_set():
            try:
                if step % 200 == 0:
                    data.rescan()
                rng = np.random.default_rng([seed, step])
                rows = rng.integers(0, len(data), count - pairs)
                item: Batch | BaseException = make_batch(data, rows, size_px, rng, pairs)
            except Exception as error:  # handed to the consumer, which raises it
                item = error
            while not stop.is_set():
                try:
                    ready.put(item, timeout=0.2)
                    break
                except queue.Full:
                    continue
            step += 1

    thread = threading.Thread(target=prepare, name="rtrecon-batches", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def make_batch(
    data: ShardDataset,
    rows: npt.NDArray[np.integer],
    size_px: int,
    rng: np.random.Generator | None,
    pairs: int = 0,
) -> Batch:
    """Picture tensor (n, 3, size, size) and targets at half that size; no rng: no augmentation.

    The first ``pairs`` of ``rows`` come once more at the end.
    """
    samples = [_sample(data[int(row)], size_px, rng) for row in rows]
    pictures = [sample[0] for sample in samples]
    if rng is not None:
        pictures = [recolour(picture, rng) for picture in pictures]
        pictures += pictures[:pairs]
        samples += samples[:pairs]
    shown = [np.asarray(picture, np.float32) / np.float32(255.0) for picture in pictures]
    if rng is not None:
        shown = [noise_bank(size_px).noisy(picture, rng) for picture in shown]
    images = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).flip(1)  # BGR to RGB

    def stack(k: int) -> torch.Tensor:
        return torch.from_numpy(np.stack([s[k] for s in samples]))

    relief, valid, mask, face = (stack(k)[:, None].float() for k in (1, 2, 3, 4))
    targets = Targets(
        relief,
        valid,
        mask,
        face,
        stack(5).float(),
        stack(6).float(),
        stack(7).float(),
        stack(8).float(),
        pairs if rng is not None else 0,
    )
    return images.contiguous(memory_format=torch.channels_last), targets


def _sample(
    row: dict[str, npt.NDArray[Any]], size_px: int, rng: np.random.Generator | None
) -> tuple[Any, ...]:
    image = np.asarray(row["image"])
    n = image.shape[0]
    relief = np.asarray(row["relief"], dtype=np.float32)
    valid = np.isfinite(relief)
    marks: npt.NDArray[np.floating] = np.asarray(row["landmarks68_px"], dtype=np.float32)
    planes = np.stack(
        [
            np.where(valid, relief, 0.0),
            valid.astype(np.float32),
            (row["mask"] > 0).astype(np.float32),
            ((row["face_mask"] > 0) & (face_region(row["landmarks68_px"], n) > 0)).astype(
                np.float32
            ),
        ],
        axis=-1,
    )
    expression, R = np.asarray(row["expression"]), np.asarray(row["R_camera_face"])
    W_m = float(row["scale"][1])
    warp = Warp.draw(rng, n, size_px)
    full, zoom, angle = warp.matrix, warp.zoom, warp.angle
    image = cv2.warpAffine(image, full, (size_px, size_px), flags=cv2.INTER_LINEAR)
    half = full * 0.5
    half[:, 2] -= 0.25
    out = size_px // 2
    # Averages within the surface alone, so that no depth is mixed with what is not there.
    soft = cv2.GaussianBlur(planes, (0, 0), 0.45 * n / out) if n > out else planes
    soft = cv2.warpAffine(soft, half, (out, out), flags=cv2.INTER_LINEAR)
    inside = soft[..., 1] > 0.6
    value = np.where(inside, soft[..., 0] / np.maximum(soft[..., 1], 1e-6), 0.0) * zoom
    marks = (marks @ full[:, :2].T + full[:, 2] + 0.5) / size_px
    ray = _middle_ray(np.asarray(row["intrinsics"], dtype=np.float64), full, size_px, warp.scale)
    value = np.where(inside, value - ray_plane(ray, out), 0.0)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    R = turn @ R
    if warp.flip:
        marks, expression = flip_labels(marks, expression)
        R = _MIRROR @ R @ _MIRROR
    R = _facing(ray) @ R
    return (
        image,
        value.astype(np.float32),
        inside,
        soft[..., 2] > 0.5,
        (soft[..., 3] > 0.5) & inside,
        expression,
        marks,
        R,
        np.float32(W_m / zoom),
    )


def ray_plane(ray: Float64Array, size_px: int) -> Float64Array:
    """(size, size) by which a crop's relief along the axis exceeds the one along its middle ray."""
    across = (np.arange(size_px) + 0.5) / size_px - 0.5
    slope = ray_slope(ray)
    return np.asarray(slope[0] * across + slope[1] * across[:, None])


def _middle_ray(
    intrinsics: Float64Array, M_out_sample: Float64Array, size_px: int, scale: float
) -> Float64Array:
    """(2,) x, y at depth one of the ray through the middle of what is given out, in its axes.

    ``intrinsics`` fx, fy, cx, cy of the sample; ``M_out_sample`` (2, 3), a similarity that
    enlarges by ``scale`` and may mirror.
    """
    linear = M_out_sample[:, :2]
    middle = np.linalg.solve(linear, (size_px - 1) / 2 - M_out_sample[:, 2])
    return np.asarray(linear / scale @ ((middle - intrinsics[2:]) / intrinsics[:2]))


def _facing(ray: Float64Array) -> Float64Array:
    """The least rotation (3, 3) that turns the ray (x, y, 1) into the optical axis."""
    d = np.array([*ray, 1.0]) / np.sqrt(1.0 + ray @ ray)
    v = np.array([d[1], -d[0], 0.0])
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + d[2]))
