"""Where depth models lie: the user's folder first, then those that are shipped."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import platformdirs

from rtrecon.depth.exported import is_exported
from rtrecon.errors import ModelError
from rtrecon.json_text import read_json

__all__ = ["find_model", "list_models", "model_folders", "user_models_folder"]

logger = logging.getLogger(__name__)

_said: set[str] = set()  # models whose place was told in this process


def user_models_folder() -> Path:
    """The folder for models that a user has added; it may not exist."""
    try:
        return Path(platformdirs.user_data_dir("rtrecon", appauthor=False)) / "models"
    except RuntimeError:  # a user without a home folder, as in a container
        return Path(os.devnull) / "models"  # where nothing can be, and nothing is made


def model_folders() -> list[Path]:
    """Folders that are searched for models, first to last."""
    package = Path(__file__).resolve().parents[1]
    return [user_models_folder(), package / "_models", package.parent / "models"]


def list_models() -> dict[str, Path]:
    """Name to folder of every depth model that is installed; the first of a name wins."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        if not os.path.isdir(folder):  # noqa: PTH112 - False where it may not be looked at
            continue
        for path in sorted(folder.glob("*/model.json")):
            if path.parent.name not in found and _is_depth_model(path):
                found[path.parent.name] = path.parent
    return found


def find_model(model: str | Path) -> Path:
    """The folder of a model given by its name or by the folder itself: one with ``model.json``, or
    as ``optimum-cli export onnx`` writes it.

    A bare name is the name of an installed model, whatever lies in the current folder: a path
    is a `Path`, or has a separator (``./mine``).

    Raises:
        ModelError: there is none; lists those that exist.
    """
    path = Path(model)
    if isinstance(model, Path) or _is_path(model):
        if not _is_file(path / "model.json") and not is_exported(path):
            raise ModelError(
                f"{path} is not the folder of a model: there is no model.json in it, and not what "
                "`optimum-cli export onnx` writes (config.json, model.onnx)"
            )
        return path
    names = list_models()
    if model in names:
        _say_if_replaced(model, names[model])
        return names[model]
    known = ", ".join(names) or "none"
    if _is_file(path / "model.json") or is_exported(path):
        raise ModelError(
            f"there is no depth model {model!r} (installed: {known}); for the folder of that name "
            f"here give .{os.sep}{model}"
        )
    raise ModelError(
        f"there is no depth model {model!r} (installed: {known}); give one of these, the path of a "
        f"folder with model.json, or put such a folder into {user_models_folder()}"
    )


def _is_path(model: str) -> bool:
    separators = [os.sep, *([os.altsep] if os.altsep else [])]
    return model in (".", "..") or any(separator in model for separator in separators)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _say_if_replaced(name: str, folder: Path) -> None:
    """The user's own model goes before a shipped one of that name; never without a word."""
    if name in _said or folder.parent != user_models_folder():
        return
    if any((other / name / "model.json").is_file() for other in model_folders()[1:]):
        _said.add(name)
        logger.info("model %s is your own, from %s, not the shipped one", name, folder)


def _is_depth_model(path: Path) -> bool:
    # Other networks have manifests too; a damaged one is listed, so that its use explains itself.
    try:
        data = read_json(path)
    except (OSError, ValueError):
        return True
    return isinstance(data, dict) and "outputs" in data and "kind" in data
