"""A folder of samples in shards, written by several processes and read while it grows.

A shard is a folder of plain ``.npy`` arrays, so that reading is a memory map: ``image``
(n, S, S, 3) uint8, ``relief`` (n, S, S) float16 with NaN off the head, ``mask`` and
``face_mask`` (n, S, S) uint8, ``landmarks68_px``, ``landmarks5_camera``, ``expression``,
``R_camera_face``, ``intrinsics``, ``scale`` (n, 2: z_ref_m, W_m) float32, ``seed`` (n,) int64.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.console import Progress
from rtrecon.errors import DataError, OutputError
from rtrecon.files import make_draft_folder, make_folder, write_json
from rtrecon.json_text import read_json
from rtrecon.train.face_model import FaceModel
from rtrecon.train.heads.sample import HeadGenerator, Sample

__all__ = ["ShardDataset", "generate_dataset"]

logger = logging.getLogger(__name__)

_VERSION = 1
_FIELDS = (
    "image",
    "relief",
    "mask",
    "face_mask",
    "landmarks68_px",
    "landmarks5_camera",
    "expression",
    "R_camera_face",
    "intrinsics",
    "scale",
    "seed",
)


def generate_dataset(
    out: Path,
    face_model_path: Path,
    first_seed: int,
    heads: int,
    *,
    workers: int | None = None,
    size_px: int = 192,
    variants: int = 3,
    heads_per_shard: int = 128,
) -> None:
    """Write the heads ``first_seed`` .. ``first_seed + heads`` into ``out``, shard by shard.

    A shard that is there already is left alone, so an interrupted run goes on.

    Raises:
        DataError: the face model is missing, or ``out`` holds another kind of data.
        OutputError: a shard cannot be written.
    """
    FaceModel.load(face_model_path)  # fail here rather than in every worker
    _check_manifest(out, {"version": _VERSION, "size_px": size_px, "variants": variants})
    starts = range(first_seed, first_seed + heads, heads_per_shard)
    todo = [s for s in starts if not (out / f"shard-{s:08d}").is_dir()]
    count = min(workers or os.cpu_count() or 1, max(len(todo), 1))
    jobs = [
        (out, face_model_path, s, min(heads_per_shard, first_seed + heads - s), size_px, variants)
        for s in todo
    ]
    start_s, done = time.monotonic(), 0
    context = multiprocessing.get_context("spawn")
    total = sum(job[3] for job in jobs) * variants
    with (
        context.Pool(count, initializer=_start_worker) as pool,
        Progress("samples", total) as progress,
    ):
        for written in pool.imap_unordered(_write_shard, jobs):
            done += written
            progress.show(done, f"{done / (time.monotonic() - start_s):.1f}/s", total=total)


class ShardDataset:
    """Samples of one or more folders by index; `rescan` finds shards that were added since."""

    def __init__(self, folders: list[Path], *, held_out: bool = False, every: int = 40) -> None:
        self._folders = folders
        self._held_out = held_out
        self._every = every
        self._shards: list[dict[str, npt.NDArray[Any]]] = []
        self._seen: set[Path] = set()
        self._offsets = np.zeros(1, dtype=np.int64)
        self.rescan()

    def rescan(self) -> None:
        """Take in new shards; one shard in ``every`` is held out for validation.

        Raises:
            DataError: a folder does not exist or a shard is damaged.
        """
        for folder in self._folders:
            if not folder.is_dir():
                raise DataError(f"training data {folder} does not exist: run `generate` first")
            found = sorted(p for p in folder.glob("shard-*") if p.is_dir())
            for path in found:
                if path in self._seen:
                    continue
                self._seen.add(path)
                shard_number = int(path.name.removeprefix("shard-")) // 128
                if (shard_number % self._every == 0) != self._held_out:
                    continue
                try:
                    self._shards.append(
                        {f: np.load(path / f"{f}.npy", mmap_mode="r") for f in _FIELDS}
                    )
                except (OSError, ValueError) as error:
                    raise DataError(f"{path} is damaged ({error}): delete it") from error
        counts = [len(shard["seed"]) for shard in self._shards]
        self._offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def __getitem__(self, index: int) -> dict[str, npt.NDArray[Any]]:
        """The arrays of one sample; views of the mapped files."""
        shard = int(np.searchsorted(self._offsets, index, side="right")) - 1
        row = index - int(self._offsets[shard])
        return {field: self._shards[shard][field][row] for field in _FIELDS}


def _start_worker() -> None:
    cv2.setNumThreads(1)


_generator: tuple[tuple[str, int, int], HeadGenerator] | None = None


def _write_shard(job: tuple[Path, Path, int, int, int, int]) -> int:
    global _generator
    out, face_model_path, first, heads, size_px, variants = job
    key = (str(face_model_path), size_px, variants)
    if _generator is None or _generator[0] != key:
        _generator = (key, HeadGenerator(FaceModel.load(face_model_path), size_px, variants))
    samples: list[Sample] = []
    seeds: list[int] = []
    for seed in range(first, first + heads):
        made = _generator[1](seed)
        samples += made
        seeds += [seed] * len(made)
    arrays: dict[str, npt.NDArray[Any]] = {
        "image": np.stack([s.image for s in samples]),
        "relief": np.stack([s.relief for s in samples]).astype(np.float16),
        "mask": np.stack([s.mask for s in samples]),
        "face_mask": np.stack([s.face_mask for s in samples]),
        "landmarks68_px": np.stack([s.landmarks68_px for s in samples]),
        "landmarks5_camera": np.stack([s.landmarks5_camera for s in samples]),
        "expression": np.stack([s.expression for s in samples]),
        "R_camera_face": np.stack([s.R_camera_face for s in samples]),
        "intrinsics": np.array([s.intrinsics for s in samples], dtype=np.float32),
        "scale": np.array([(s.z_ref_m, s.W_m) for s in samples], dtype=np.float32),
        "seed": np.array(seeds, dtype=np.int64),
    }
    name = f"shard-{first:08d}"
    make_folder(out)
    part = make_draft_folder(out / name)
    try:
        for field, array in arrays.items():
            np.save(part / f"{field}.npy", array)
        part.rename(out / name)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise OutputError(f"cannot write {out / name}: {error.strerror}") from error
    return len(samples)


def _check_manifest(out: Path, wanted: dict[str, int]) -> None:
    path = out / "dataset.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_json(path, wanted)
            return
        found = read_json(path)
    except OSError as error:
        raise OutputError(f"cannot write into {out}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: delete the folder {out}") from error
    if found != wanted:
        raise DataError(f"{out} holds other data ({found}, now {wanted}): choose another folder")
