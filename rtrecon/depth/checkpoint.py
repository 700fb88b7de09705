"""DPT and Depth Anything checkpoints, read with transformers from safetensors alone."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import platformdirs

from rtrecon.errors import MissingExtraError, ModelError
from rtrecon.json_text import parse_json

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "licence_in", "load_checkpoint"]

logger = logging.getLogger(__name__)

_HALF = (0.5, 0.5, 0.5)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_FAMILIES = {"dpt": (_HALF, _HALF), "depth_anything": _IMAGENET}
"""Model type to the mean and std that its image processor has by default."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A depth network in PyTorch and what is known about it.

    ``module`` maps (n, 3, size, size) normalised RGB to (n, size, size) of ``kind``;
    ``metric`` is in metres. ``step_px`` is what sizes must be a multiple of.
    ``origin`` says which weights these are, so that they can be loaded again.
    """

    module: torch.nn.Module
    name: str
    family: str
    kind: Literal["inverse", "metric"]
    size_px: int
    step_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    licence: str
    source: str
    origin: dict[str, str] = field(default_factory=dict)


def load_checkpoint(
    checkpoint: str | Path,
    *,
    size_px: int | None = None,
    offline: bool = False,
    attention: str | None = "eager",
) -> Checkpoint:
    """Load a checkpoint by hub id or from a local folder. Nothing is unpickled.

    Args:
        checkpoint: hub id, or folder with ``config.json`` and ``*.safetensors``.
        size_px: input size; None takes the checkpoint's own.
        offline: use the local cache alone.
        attention: transformers' name of the attention; ``eager`` exports as plain products, None
            takes the fastest that the network has.

    Raises:
        ModelError: it is not there, not of a known family, has no safetensors, or cannot
            work at that size.
        MissingExtraError: torch or transformers is not installed.
    """
    # torch makes a folder of a known name in the temporary folder, unless it is told another.
    cache = Path(platformdirs.user_cache_dir("rtrecon", appauthor=False)) / "torch"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache))
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "export") from error
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("torch", "export") from error
    folder = Path(checkpoint)
    local = folder.is_dir()
    if local:
        _check_folder(folder)
    elif not _HUB_ID.fullmatch(str(checkpoint)):
        raise ModelError(
            f"there is no folder {checkpoint}, and a hub id looks like Intel/dpt-large"
        )
    get = _file_getter(folder if local else str(checkpoint), offline)
    name = str(folder if local else checkpoint)
    # A bar for weights that load in a moment; downloads keep theirs.
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = transformers.AutoConfig.from_pretrained(name, local_files_only=offline or local)
        if config.model_type not in _FAMILIES:
            raise ModelError(
                f"{checkpoint} is a {config.model_type!r} checkpoint: only "
                f"{', '.join(_FAMILIES)} depth models can be exported"
            )
        module = transformers.AutoModelForDepthEstimation.from_pretrained(
            name,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            **({} if attention is None else {"attn_implementation": attention}),
            local_files_only=offline or local,
        )
    except (OSError, ValueError) as error:
        raise ModelError(_cannot_load(checkpoint, local, offline, error)) from error
    processor = _json(get("preprocessor_config.json"))
    if not processor:
        processor = _json(get("processor_config.json")).get("image_processor", {})
    if not processor:
        logger.warning(
            "%s has no preprocessor_config.json: taking the normalisation of the %s family",
            checkpoint,
            config.model_type,
        )
    mean, std = _normalisation(processor, config.model_type, checkpoint)
    step_px = _step_px(config)
    size_px = size_px or _native_size_px(config, processor)
    if size_px % step_px:
        nearest = max(step_px, round(size_px / step_px) * step_px)
        raise ModelError(
            f"{checkpoint} takes sizes that are a multiple of {step_px}, not {size_px}: "
            f"give --size {nearest} {nearest}"
        )
    card = get("README.md")
    origin = {"checkpoint": str(folder.resolve()) if local else str(checkpoint)}
    revision = getattr(config, "_commit_hash", None)
    if revision:
        origin["revision"] = str(revision)
    if local:
        origin["sha256"] = _weights_digest(folder)
    metric = getattr(config, "depth_estimation_type", "relative") == "metric"
    short = folder.resolve().name if local else str(checkpoint).rsplit("/", maxsplit=1)[-1]
    return Checkpoint(
        module=_DepthOnly.wrap(module, size_px),
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", short).strip("-.").lower() or "model",
        family=config.model_type,
        kind="metric" if metric else "inverse",
        size_px=size_px,
        step_px=step_px,
        mean=mean,
        std=std,
        licence=licence_in(card),
        source=f"local checkpoint {short}" if local else f"https://huggingface.co/{checkpoint}",
        origin=origin,
    )


class _DepthOnly:
    """Makes the module that is exported: one tensor in, one tensor out."""

    @staticmethod
    def wrap(model: Any, size_px: int) -> torch.nn.Module:
        import torch

        native = getattr(model.config, "image_size", None)
        hybrid = bool(getattr(model.config, "is_hybrid", False))
        extra = {"interpolate_pos_encoding": True} if hybrid and native != size_px else {}

        class DepthOnly(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.model = model

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                if extra:
                    # The hybrid's own forward does not pass the flag on to its embeddings.
                    embeddings = self.model.dpt.embeddings
                    plain = embeddings.forward
                    embeddings.forward = lambda pixels, **_: plain(pixels, **extra)
                    try:
                        return _depth(self.model(pixel_values=image))
                    finally:
                        embeddings.forward = plain
                return _depth(self.model(pixel_values=image))

        return DepthOnly().eval().requires_grad_(False)


def _depth(output: Any) -> torch.Tensor:
    depth: torch.Tensor = output.predicted_depth
    return depth


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} is not a checkpoint: there is no config.json in it")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} has no *.safetensors: pickled weights (.bin, .pt) are never opened; "
            "convert them with transformers' save_pretrained, or fetch the safetensors"
        )


def _weights_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _cannot_load(checkpoint: str | Path, local: bool, offline: bool, error: Exception) -> str:
    reason = str(error).strip().split("\n")[0]
    if local:
        return f"checkpoint {checkpoint} cannot be loaded: {reason}"
    if offline:
        return (
            f"{checkpoint} is neither a folder nor a hub id in the local cache: fetch it once "
            "without --offline, or give the folder of a checkpoint (config.json, "
            "model.safetensors)"
        )
    return (
        f"there is no folder {checkpoint}, and as a hub id it cannot be loaded: {reason}; check "
        "its spelling and the connection, or give the folder of a checkpoint (config.json, "
        "model.safetensors)"
    )


def _file_getter(source: str | Path, offline: bool) -> Callable[[str], str]:
    """A function from the name of a small text file of the checkpoint to its text, or ''."""

    def from_folder(name: str) -> str:
        path = Path(source) / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def from_hub(name: str) -> str:
        from transformers.utils.hub import cached_file

        try:
            path = cached_file(
                source,
                name,
                local_files_only=offline,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
        except (OSError, ValueError) as error:
            logger.debug("no %s for %s: %s", name, source, error)
            return ""
        return Path(path).read_text(encoding="utf-8") if path else ""

    return from_folder if isinstance(source, Path) else from_hub


def _json(text: str) -> dict[str, Any]:
    try:
        data = parse_json(text) if text else {}
    except ValueError as error:
        raise ModelError(f"the checkpoint's preprocessor_config.json is not JSON: {error}") from (
            error
        )
    return data if isinstance(data, dict) else {}


def _normalisation(
    processor: dict[str, Any], family: str, checkpoint: str | Path
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    mean, std = _FAMILIES[family]
    if processor.get("do_rescale", True) is False or processor.get("rescale_factor") not in (
        None,
        1 / 255,
    ):
        raise ModelError(
            f"{checkpoint} scales pictures by {processor.get('rescale_factor')!r}, which is not "
            "supported: only 1/255 is"
        )
    if processor.get("do_normalize", True) is False:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    values = []
    for key, default in (("image_mean", mean), ("image_std", std)):
        given = processor.get(key) or default
        if isinstance(given, int | float):
            given = [given] * 3
        if len(given) != 3:
            raise ModelError(f"{checkpoint}: {key} must be three numbers, not {given!r}")
        values.append((float(given[0]), float(given[1]), float(given[2])))
    return values[0], values[1]


def _step_px(config: Any) -> int:
    """What the input size must be a multiple of."""
    backbone = getattr(config, "backbone_config", None)
    if config.model_type == "depth_anything":
        own = getattr(config, "patch_size", None)
        return int(own if own is not None else getattr(backbone, "patch_size", 14))
    if backbone is not None and backbone.model_type == "swinv2":
        # Four stages, each half the one before.
        halvings = len(backbone.depths) - 1
        return int(backbone.patch_size) << halvings
    if backbone is not None and not getattr(config, "is_hybrid", False):
        return int(getattr(backbone, "patch_size", 32))
    return int(config.patch_size)


def _native_size_px(config: Any, processor: dict[str, Any]) -> int:
    size = processor.get("size")
    if isinstance(size, dict) and size.get("height") and size.get("height") == size.get("width"):
        return int(size["height"])
    backbone = getattr(config, "backbone_config", None)
    own = getattr(backbone, "image_size", None) if backbone is not None else None
    if own is None or getattr(config, "is_hybrid", False):
        own = getattr(config, "image_size", None)
    if isinstance(own, list | tuple):
        own = own[0]
    return int(own or 384)


def licence_in(card: str) -> str:
    """The licence in the front matter of a model card."""
    front = re.match(r"\A---\s*\n(.*?)\n---", card, re.DOTALL)
    found = re.search(r"^license:\s*(\S+)", front[1], re.MULTILINE) if front else None
    return found[1].strip("\"'") if found else "not stated by the checkpoint"
