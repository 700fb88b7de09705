"""``rtrecon models export``: a checkpoint becomes a folder that `--model` takes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrecon.console import Progress
from rtrecon.depth.checkpoint import Checkpoint, load_checkpoint
from rtrecon.errors import MissingExtraError, ModelError, OutputError
from rtrecon.faces.align import HEAD_CROP
from rtrecon.files import make_draft_folder, make_folder
from rtrecon.models.folder import check_files, is_installed, out_folder, put_folder
from rtrecon.models.graph import (
    export_graph,
    open_graph,
    overflowing_layers,
    run_graph,
    worst_layers,
)
from rtrecon.models.optimum import say_why_not_optimum
from rtrecon.models.parity import Parity, compare
from rtrecon.models.pictures import face_crops, normalise
from rtrecon.models.precision import variants
from rtrecon.types import BgrImage, Float32Array

if TYPE_CHECKING:
    import onnx

__all__ = ["ExportResult", "export_model"]

logger = logging.getLogger(__name__)

_NAMED = 3  # layers that a refusal names
_HELD_OUT = 8  # crops that parity is measured on and calibration does not see


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written: the model's folder and the parity report of each precision."""

    folder: Path
    name: str
    parity: dict[str, Parity]


def export_model(
    checkpoint: str | Path,
    out: str | Path | None = None,
    *,
    size_px: int | None = None,
    precisions: Sequence[str] = ("fp32",),
    opset: int = 17,
    batch: int = 1,
    pictures: str | Path | None = None,
    offline: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> ExportResult:
    """Export a DPT or Depth Anything checkpoint to a model folder.

    Every precision is compared with PyTorch on real face crops and is written only if it is
    within tolerance. The folder appears whole or not at all.

    Args:
        checkpoint: hub id, or folder with ``config.json`` and safetensors.
        out: folder to write; None takes the user's models folder and the checkpoint's name.
        size_px: input size; None takes the checkpoint's own.
        precisions: of ``fp32``, ``fp16``, ``int8``.
        opset, batch: of the graph.
        pictures: what to calibrate and compare on; None takes the bundled clip.
        offline: do not use the network.
        force: replace the folder if it holds a model.
        progress: is told how far it is.

    Raises:
        ModelError: the checkpoint cannot be used, or a precision breaks; names the layers.
        OutputError: ``out`` is there already, or cannot be written.
        MissingExtraError: the ``export`` extra is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "export") from error
    chosen = tuple(dict.fromkeys(precisions))
    steps = iter(range(len(chosen) + 3))

    def tell(what: str) -> None:
        if progress is not None:
            progress.show(next(steps), what, total=len(chosen) + 3)

    tell("loading")
    say_why_not_optimum()
    loaded = load_checkpoint(checkpoint, size_px=size_px, offline=offline)
    folder = out_folder(out, loaded.name, force)
    tell("running PyTorch")
    images = [
        normalise(crop, loaded.mean, loaded.std)
        for crop in _spread(
            face_crops("demo" if pictures is None else pictures, HEAD_CROP, loaded.size_px)
        )
    ]
    held_out, calibration = images[:_HELD_OUT], images[_HELD_OUT:] or images
    reference = _run_torch(loaded, held_out)
    unit = "m" if loaded.kind == "metric" else "units of 1/z"
    make_folder(folder.parent)
    work = make_draft_folder(folder)
    try:
        base = work / "fp32.onnx"
        tell("exporting")
        logger.info("exporting %s at %d x %d", loaded.name, loaded.size_px, loaded.size_px)
        export_graph(
            loaded.module,
            base,
            size_px=loaded.size_px,
            batch=batch,
            output=loaded.kind,
            opset=opset,
        )
        model = onnx.load(base)
        reports: dict[str, Parity] = {}
        notes: dict[str, str] = {}
        feeds = [image.repeat(batch, axis=0) for image in calibration]
        for precision in chosen:
            tell(f"{precision}, and its parity")
            graph, reports[precision], notes[precision] = _make(
                precision, model, feeds, held_out, reference, unit, batch
            )
            onnx.save(graph, work / _file(precision))
        if base.name not in {_file(p) for p in reports}:
            base.unlink(missing_ok=True)
        manifest = _manifest(loaded, work, reports, notes, opset, batch)
        (work / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        check_files(work)
        put_folder(work, folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return ExportResult(folder, loaded.name, reports)


def _file(precision: str) -> str:
    return "fp32.onnx" if precision == "fp32" else f"{precision}.onnx"


def _spread(crops: list[BgrImage]) -> list[BgrImage]:
    # Held-out crops come from all over the clip, not from its beginning.
    step = max(1, len(crops) // _HELD_OUT)
    chosen = set(list(range(0, len(crops), step))[:_HELD_OUT])
    return [crops[k] for k in sorted(chosen)] + [
        crop for k, crop in enumerate(crops) if k not in chosen
    ]


def _run_torch(loaded: Checkpoint, images: Sequence[Float32Array]) -> list[Float32Array]:
    import torch

    results = []
    with torch.inference_mode():
        for image in images:
            try:
                results.append(loaded.module(torch.from_numpy(image)).numpy())
            except (RuntimeError, ValueError) as error:
                reason = str(error).strip().split("\n")[0]
                raise ModelError(
                    f"{loaded.name} cannot run at {loaded.size_px}x{loaded.size_px}: {reason}; "
                    "leave --size out to take its own size"
                ) from error
    shape, due = results[0].shape, (1, loaded.size_px, loaded.size_px)
    if shape != due:
        raise ModelError(
            f"{loaded.name} answers a picture of {due[1:]} with {shape[1:]} values: give a --size "
            f"that is a multiple of {loaded.step_px * 2}"
        )
    return results


def _make(
    precision: str,
    model: onnx.ModelProto,
    feeds: Sequence[Float32Array],
    held_out: Sequence[Float32Array],
    reference: Sequence[Float32Array],
    unit: str,
    batch: int,
) -> tuple[onnx.ModelProto, Parity, str]:
    """The first variant of ``precision`` that is within tolerance.

    Raises:
        ModelError: none is; names the layers that did it.
    """
    tried = []
    worst: list[str] = []
    for note, graph in variants(precision, model, feeds):
        try:
            found = run_graph(open_graph(graph.SerializeToString()), held_out, batch)
        except ModelError as error:
            tried.append(f"with {note}: {error}")
            continue
        parity = compare(precision, unit, reference, found)
        logger.debug("%s (%s)", parity, note)
        overflowing = overflowing_layers(model, graph, held_out[0]) if precision == "fp16" else []
        if parity.passed and not overflowing:
            if tried:
                logger.warning("%s needed care: %s", precision, note)
            return graph, parity, note
        said = f"{len(overflowing)} layers overflow" if overflowing else str(parity)
        tried.append(f"with {note}: {said}")
        worst = overflowing[:_NAMED] or worst_layers(model, graph, held_out[0], _NAMED)
    layers = f"; the layers that did it: {', '.join(worst)}" if worst else ""
    raise ModelError(
        f"{precision} breaks this model and is refused. {'; '.join(tried)}{layers}. Leave "
        f"{precision} out of --precision"
    )


def _manifest(
    loaded: Checkpoint,
    work: Path,
    reports: dict[str, Parity],
    notes: dict[str, str],
    opset: int,
    batch: int,
) -> dict[str, Any]:
    files = {}
    for precision in reports:
        with (work / _file(precision)).open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        files[precision] = {"file": _file(precision), "sha256": sha256, "note": notes[precision]}
    best = {"default": next((p for p in ("fp32", "fp16", "int8") if p in files), "fp32")}
    for provider in ("cuda", "tensorrt"):
        if "fp16" in files:
            best[provider] = "fp16"
    return {
        "name": loaded.name,
        "kind": loaded.kind,
        "input": {
            "name": "image",
            "size": [loaded.size_px, loaded.size_px],
            "layout": "NCHW",
            "color": "RGB",
            "range": [0, 1],
            "mean": list(loaded.mean),
            "std": list(loaded.std),
        },
        "outputs": {loaded.kind: loaded.kind},
        "crop": {"kind": HEAD_CROP.kind, "side": HEAD_CROP.side},
        "files": files,
        "best": best,
        "licence": loaded.licence,
        "source": loaded.source,
        "origin": loaded.origin,
        "batch": batch,
        "opset": opset,
        "parity": {precision: parity.as_json() for precision, parity in reports.items()},
        "exported_with": {
            package: importlib.metadata.version(package)
            for package in ("torch", "transformers", "onnx", "onnxruntime")
            if is_installed(package)
        },
    }
