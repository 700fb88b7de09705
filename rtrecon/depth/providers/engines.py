"""Where TensorRT's engines are kept, and which one belongs to which machine."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from rtrecon.depth.providers import nvidia
from rtrecon.depth.providers.base import ModelSource
from rtrecon.files import write_json
from rtrecon.json_text import read_json

if TYPE_CHECKING:
    from rtrecon.depth.manifest import Manifest

__all__ = [
    "EngineKey",
    "built_precisions",
    "current_key",
    "engine_folder",
    "engines_root",
    "is_built",
    "mark_built",
    "remove_engines",
    "remove_stale",
]

logger = logging.getLogger(__name__)

_DONE = "engine.json"


@dataclass(frozen=True, slots=True)
class EngineKey:
    """All that an engine depends on: with any of it changed, it is built anew."""

    model_sha256: str
    precision: str
    shape: tuple[int, ...]
    gpu: str
    compute_capability: str
    driver: str
    onnxruntime: str
    tensorrt: str

    def digest(self) -> str:
        """32 hexadecimal digits that name the engine's folder."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def engines_root() -> Path:
    """Folder of all engines, in the user's cache."""
    return Path(platformdirs.user_cache_dir("rtrecon", appauthor=False)) / "engines"


def current_key(source: ModelSource) -> EngineKey | None:
    """The key of ``source`` on this machine; None without a card or TensorRT."""
    gpu, tensorrt = nvidia.find_gpu(), nvidia.tensorrt_version()
    if gpu is None or tensorrt is None:
        return None
    import onnxruntime

    return EngineKey(
        model_sha256=source.digest(),
        precision=source.precision,
        shape=source.shape,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        driver=gpu.driver,
        onnxruntime=onnxruntime.__version__,
        tensorrt=tensorrt,
    )


def engine_folder(key: EngineKey) -> Path:
    """The folder of one engine and its timing cache: by model first, so that it can be found."""
    return engines_root() / key.model_sha256[:16] / key.digest()


def is_built(key: EngineKey | None) -> bool:
    """Whether a whole engine for exactly ``key`` is there."""
    if key is None:
        return False
    folder = engine_folder(key)
    try:
        said = read_json(folder / _DONE)
    except (OSError, ValueError):
        return False
    # The folder's name is a digest: the key is compared too, and the engine must be there.
    return said == json.loads(json.dumps(asdict(key))) and any(folder.glob("*.engine"))


def mark_built(key: EngineKey) -> None:
    """Say that the engine is whole. Written last, so that a broken build is never loaded."""
    write_json(engine_folder(key) / _DONE, asdict(key))


def remove_stale(key: EngineKey) -> int:
    """Remove this machine's older engines of the same model, precision and shape.

    Returns:
        How many.
    """
    removed = 0
    for folder in engine_folder(key).parent.glob("*"):
        if folder == engine_folder(key) or not folder.is_dir():
            continue
        try:
            said = read_json(folder / _DONE)
        except (OSError, ValueError):
            said = {}
        said = said if isinstance(said, dict) else {}
        same = said.get("precision") == key.precision and said.get("shape") == list(key.shape)
        if not said or (same and said.get("gpu") == key.gpu):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def remove_engines(manifest: Manifest) -> int:
    """Remove every engine built from any file of a model. Returns how many."""
    removed = 0
    for file in manifest.files.values():
        if file.sha256 is None:
            continue
        folder = engines_root() / file.sha256[:16]
        if folder.is_dir():
            removed += sum(1 for entry in folder.iterdir() if entry.is_dir())
            shutil.rmtree(folder, ignore_errors=True)
    return removed


def built_precisions(manifest: Manifest) -> tuple[str, ...]:
    """The precisions of a model whose engine for this machine has been built."""
    return tuple(
        precision
        for precision in manifest.files
        if manifest.files[precision].path.is_file()
        and is_built(current_key(manifest.source_for(precision)))
    )
