"""Where depth models lie: the user's folder first, then those that are shipped."""

from __future__ import annotations

import json
from pathlib import Path

import platformdirs

from rtrecon.errors import ModelError

__all__ = ["find_model", "list_models", "model_folders", "user_models_folder"]


def user_models_folder() -> Path:
    """The folder for models that a user has added; it may not exist."""
    return Path(platformdirs.user_data_dir("rtrecon", appauthor=False)) / "models"


def model_folders() -> list[Path]:
    """Folders that are searched for models, first to last."""
    package = Path(__file__).resolve().parents[1]
    return [user_models_folder(), package / "_models", package.parent / "models"]


def list_models() -> dict[str, Path]:
    """Name to folder of every depth model that is installed; the first of a name wins."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        if not folder.is_dir():
            continue
        for path in sorted(folder.glob("*/model.json")):
            if path.parent.name not in found and _is_depth_model(path):
                found[path.parent.name] = path.parent
    return found


def find_model(model: str | Path) -> Path:
    """The folder of a model given by its name or by the folder itself.

    Raises:
        ModelError: there is none; lists those that exist.
    """
    path = Path(model)
    if (path / "model.json").is_file():
        return path
    names = list_models()
    if str(model) in names:
        return names[str(model)]
    if isinstance(model, Path) or path.is_dir() or len(path.parts) > 1:
        raise ModelError(f"{path} is not the folder of a model: there is no model.json in it")
    known = ", ".join(names) or "none"
    raise ModelError(
        f"there is no depth model {model!r} (installed: {known}); give one of these, the path of a "
        f"folder with model.json, or put such a folder into {user_models_folder()}"
    )


def _is_depth_model(path: Path) -> bool:
    # Other networks have manifests too; a damaged one is listed, so that its use explains itself.
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return isinstance(data, dict) and "outputs" in data and "kind" in data
