"""What models there are, whether they are whole, and removing one."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtrecon.depth.manifest import Manifest
from rtrecon.depth.store import find_model, list_models, user_models_folder
from rtrecon.errors import ModelError, OutputError, RtreconError

__all__ = ["ModelSummary", "remove_model", "summarise_models", "verify_model", "verify_shipped"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One row of the list of models; ``problem`` is set for a manifest that cannot be read."""

    name: str
    kind: str
    size_px: int
    precisions: tuple[str, ...]
    licence: str
    sha256: str
    folder: Path
    place: str
    engines: tuple[str, ...]
    problem: str = ""


def summarise_models() -> list[ModelSummary]:
    """Every installed depth model, also those that are damaged."""
    return [_summary(name, folder) for name, folder in list_models().items()]


def _summary(name: str, folder: Path) -> ModelSummary:
    from rtrecon.depth.providers.engines import built_precisions

    place = "user" if folder.parent == user_models_folder() else "shipped"
    try:
        manifest = Manifest.load(folder)
    except ModelError as error:
        return ModelSummary(name, "?", 0, (), "", "", folder, place, (), str(error))
    first = next(iter(manifest.files.values()))
    return ModelSummary(
        name=name,
        kind=manifest.kind,
        size_px=manifest.input.size_px,
        precisions=tuple(manifest.files),
        licence=manifest.licence or "not stated",
        sha256=first.sha256 or "",
        folder=folder,
        place=place,
        engines=built_precisions(manifest),
    )


def verify_model(model: str | Path) -> Sequence[str]:
    """Compare every file of a model with its hash and run it once on the CPU.

    Returns:
        The precisions that were verified.

    Raises:
        ModelError: a file is missing, is not the one the manifest speaks of, has no hash to
            compare with, or cannot be run.
    """
    from rtrecon.depth.model import DepthModel

    manifest = Manifest.load(find_model(model))
    for precision, file in manifest.files.items():
        if file.sha256 is None:
            raise ModelError(
                f"{file.path} cannot be verified: model.json has no sha256 for {precision}; "
                "export the model again"
            )
        DepthModel(manifest, "cpu", precision)
    return tuple(manifest.files)


def verify_shipped() -> Sequence[str]:
    """Compare the face detector and the package's data with their hashes. Returns their names.

    Raises:
        RtreconError: one is missing or damaged.
    """
    from rtrecon.assets import ASSETS, read_asset
    from rtrecon.faces.mtcnn import Mtcnn

    Mtcnn()
    for name in ASSETS:
        read_asset(name)
    return ("mtcnn", *ASSETS)


def remove_model(name: str) -> Path:
    """Remove a model from the user's folder, with its engines. Returns the folder it had.

    Raises:
        ModelError: there is no such model in the user's folder; a shipped one stays.
        OutputError: it could not be removed.
    """
    from rtrecon.depth.providers.engines import remove_engines

    if not name or Path(name).name != name or name.startswith("."):
        raise ModelError(f"give the name of a model from `rtrecon models list`, not {name!r}")
    folder = user_models_folder() / name
    if not folder.is_dir():
        if name in list_models():
            raise ModelError(f"model {name} is shipped with rtrecon and cannot be removed")
        users = [n for n, f in list_models().items() if f.parent == user_models_folder()]
        raise ModelError(
            f"there is no model {name!r} in {user_models_folder()} (there: "
            f"{', '.join(users) or 'none'})"
        )
    try:
        remove_engines(Manifest.load(folder))
    except RtreconError as error:
        logger.warning("engines of %s were left: %s", name, error)
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"cannot remove {folder}: {error.strerror}") from error
    return folder
