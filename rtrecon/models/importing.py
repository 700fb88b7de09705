"""``rtrecon models import``: what somebody else exported becomes a folder that `--model` takes.

A folder that ``optimum-cli export onnx`` wrote, a hub repository laid out like it, or one graph.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.capture import open_source
from rtrecon.depth.exported import Exported, Given
from rtrecon.depth.model import DepthModel
from rtrecon.depth.onnx_file import find_reference, read_onnx
from rtrecon.errors import MissingExtraError, ModelError, OutputError
from rtrecon.faces.align import HEAD_CROP, Crop, crop_face
from rtrecon.faces.detect import detect_faces
from rtrecon.files import make_draft_folder, make_folder
from rtrecon.models.folder import check_files, out_folder, put_folder
from rtrecon.types import BgrImage, Float32Array

__all__ = ["ImportResult", "import_model"]

logger = logging.getLogger(__name__)

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_PATTERNS = {
    "fp32": ("model.onnx", "model.onnx_data*"),
    "fp16": ("model_fp16.onnx", "model_fp16.onnx_data*"),
    "int8": ("model_int8.onnx*", "model_quantized.onnx*"),
}
_CLEARLY = 0.2  # of the values' spread: how much nearer or farther a face must look than around it


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What was written: the model's folder, and what its manifest says."""

    folder: Path
    name: str
    manifest: dict[str, Any]


def import_model(
    source: str | Path,
    out: str | Path | None = None,
    *,
    name: str | None = None,
    given: Given | None = None,
    precisions: Sequence[str] = (),
    offline: bool = False,
    force: bool = False,
) -> ImportResult:
    """Make a model folder of an exported one; it appears whole or not at all.

    Every graph is run once on a face of the bundled clip, as `--model` will.

    Args:
        source: folder, ONNX file, or hub id.
        out: folder to write; None takes the user's models folder and the model's name.
        name: of the model; None takes that of the folder, file or repository.
        given: what is known of it that its files do not say.
        precisions: of ``fp32``, ``fp16``, ``int8``, which to take of those that are there; none:
            fp32, else the only one.
        offline: use the hub's local cache alone.
        force: replace the folder if it holds a model.

    Raises:
        ModelError: it is not there, does not fit, or something must be said; says by which option.
        OutputError: ``out`` is there already, or cannot be written.
        MissingExtraError: the hub, or weights in a second file, need the ``export`` extra.
    """
    if name is not None and not re.fullmatch(r"\w[\w.-]*", name):
        raise ModelError(f"a model's name has letters, digits, '-', '_' and '.', unlike {name!r}")
    path, hub_id = _find(source, precisions, offline)
    exported = Exported(
        path, name or (hub_id.rsplit("/", 1)[-1].lower() if hub_id else None), given
    )
    contents: dict[str, bytes] = {}
    for precision in _chosen(exported, precisions, source):
        content = _whole(exported.graphs[precision])
        contents.setdefault(exported.precision_of(precision, content), content)
    manifest = exported.manifest(contents)
    if hub_id:
        manifest["source"] = f"https://huggingface.co/{hub_id}"
    folder = out_folder(out, exported.name, force)
    make_folder(folder.parent)
    work = make_draft_folder(folder)
    try:
        manifest["files"] = {
            precision: {
                "file": f"{precision}.onnx",
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            for precision, content in contents.items()
        }
        for precision, content in contents.items():
            (work / f"{precision}.onnx").write_bytes(content)
        (work / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        _check(work, source)
        put_folder(work, folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return ImportResult(folder, exported.name, manifest)


def _find(source: str | Path, precisions: Sequence[str], offline: bool) -> tuple[Path, str | None]:
    """What lies on the disk, and the hub id that it was fetched by."""
    path = Path(source)
    if path.exists():
        return path, None
    if not _HUB_ID.fullmatch(str(source)):
        raise ModelError(
            f"there is no {source}: give a folder that `optimum-cli export onnx` wrote, an ONNX "
            "file, or a hub id such as onnx-community/depth-anything-v2-small"
        )
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "export") from error
    wanted = [pattern for p in precisions or ("fp32",) for pattern in _PATTERNS[p]]
    try:
        fetched = huggingface_hub.snapshot_download(
            str(source),
            allow_patterns=["*.json", "README.md", *wanted, *(f"onnx/{name}" for name in wanted)],
            local_files_only=offline,
        )
    except Exception as error:  # its own, those of its transport, and OSError
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"there is no folder {source}, and as a hub id it cannot be fetched: {reason}; check "
            "its spelling and the connection, or give the folder"
        ) from error
    return Path(fetched), str(source)


def _chosen(exported: Exported, wanted: Sequence[str], source: str | Path) -> Sequence[str]:
    there = exported.graphs
    missing = [precision for precision in wanted if precision not in there]
    if missing:
        raise ModelError(
            f"{source} does not come in {', '.join(missing)}, only in {', '.join(there)}: choose "
            "among these with --precision"
        )
    if wanted:
        return tuple(dict.fromkeys(wanted))
    if "fp32" not in there and len(there) > 1:
        raise ModelError(f"{source} comes in {', '.join(there)}: say which, with --precision")
    return ("fp32",) if "fp32" in there else tuple(there)


def _whole(path: Path) -> bytes:
    """A graph with all its weights, which may lie in a second file."""
    try:
        reference = find_reference(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError):
        reference = None
    if reference is None or not reference.startswith("the weights"):
        return read_onnx(path)  # which says what is wrong
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("onnx", "export") from error
    try:
        return bytes(onnx.load(path).SerializeToString())
    except Exception as error:  # onnx has a class for each thing that can be wrong
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"{path} keeps {reference} in a second file, and both cannot be made one: {reason}; "
            "fetch the second file too, or take a variant below 2 GiB"
        ) from error


def _check(folder: Path, source: str | Path) -> None:
    """Run every graph on a face, and look at what it says.

    Raises:
        ModelError: it cannot be run, gives no map of the picture's size, or nothing that depends
            on the picture.
    """
    try:
        models = check_files(folder)
        crop = _face(models[0].size_px)
        values = [_predict(model, crop) for model in models]
        blank = _predict(models[0], np.full_like(crop, 127))
    except ModelError as error:
        said = str(error).replace(f"{folder}/", "").replace("its manifest does not fit", "nor does")
        raise ModelError(f"{source} cannot be used as a depth model: {said}") from error
    for model, value in zip(models, values, strict=True):
        if not np.isfinite(value).all():
            raise ModelError(
                f"{source} gives values that are not finite for a face in {model.precision}: leave "
                "it out of --precision"
            )
    if np.ptp(values[0]) < 1e-9 or np.array_equal(values[0], blank):
        raise ModelError(
            f"{source} says the same of a face and of a grey picture: its output is no depth; if "
            "another one is, name it with --output"
        )
    _say_if_turned(models[0].kind, values[0])


def _face(size_px: int) -> BgrImage:
    """(size_px, size_px, 3) the bundled clip's first face."""
    with open_source("demo") as source:
        image = next(iter(source)).image
        return crop_face(detect_faces(image)[0], HEAD_CROP, size_px).warp(image)


def _predict(model: DepthModel, crop_bgr: BgrImage) -> Float32Array:
    size = model.size_px
    whole = Crop(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), size, float(size))
    return model.predict(crop_bgr, [whole])[0].value


def _say_if_turned(kind: str, value: Float32Array) -> None:
    """Warn where a face looks farther away than what is behind it: the kind may be the other."""
    size = len(value)
    third, edge = size // 3, max(size // 12, 1)
    face = float(np.median(value[third:-third, third:-third]))
    behind = float(np.median(np.hstack([value[: 4 * edge, :edge], value[: 4 * edge, -edge:]])))
    nearer = (face - behind) / max(float(np.ptp(value)), 1e-9)
    nearer = -nearer if kind == "metric" else nearer
    if nearer < -_CLEARLY:
        other = "inverse" if kind == "metric" else "metric"
        logger.warning(
            "of the bundled clip's face it says %.3g and of what is behind %.3g, which as %s depth "
            "is the wrong way round: if it is %s give --kind %s",
            face,
            behind,
            kind,
            other,
            other,
        )
