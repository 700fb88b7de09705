"""A model's folder: where it goes, that it runs, and that it appears whole or not at all."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

from rtrecon.depth.manifest import Manifest
from rtrecon.depth.model import DepthModel
from rtrecon.depth.store import user_models_folder
from rtrecon.errors import OutputError

__all__ = ["check_files", "is_installed", "out_folder", "put_folder"]


def is_installed(package: str) -> bool:
    """Whether a distribution of that name is there; it is not imported."""
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def check_files(folder: Path) -> list[DepthModel]:
    """Each file, opened and run once exactly as `--model` will."""
    manifest = Manifest.load(folder)
    return [DepthModel(manifest, "cpu", precision) for precision in manifest.files]


def out_folder(out: str | Path | None, name: str, force: bool) -> Path:
    """Where a model goes: ``out``, else the user's models folder and ``name``.

    Raises:
        OutputError: something else is there, or a model and not ``force``.
    """
    folder = user_models_folder() / name if out is None else Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not folder.is_dir() or not (folder / "model.json").is_file():
            raise OutputError(f"{folder} is there already and is not a model: give another --out")
        if not force:
            raise OutputError(f"{folder} holds a model already: give --force to replace it")
    return folder


def put_folder(work: Path, folder: Path) -> None:
    """Make ``work`` the model at ``folder``; what was there goes only once it is in place."""
    if folder.exists():
        old = work.with_name(f"{work.name}.old")
        folder.rename(old)
        work.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        work.rename(folder)
