"""Weights on disk: safetensors with the architecture in the header, written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from rtrecon.errors import ModelError, OutputError
from rtrecon.files import Draft, make_folder

__all__ = ["load_tensors", "save_tensors"]


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], header: dict[str, Any]) -> None:
    """Write ``tensors`` and a JSON ``header``; an older file stays if that fails.

    Raises:
        OutputError: the disk is full, or the folder cannot be written.
    """
    make_folder(path.parent)
    with Draft(path) as draft:
        try:
            save_file(
                {k: t.detach().contiguous().cpu() for k, t in tensors.items()},
                draft.reserve(),
                metadata={"rtrecon": json.dumps(header)},
            )
        except SafetensorError as error:
            raise OutputError(f"cannot write {path}: {error}") from error


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors and the header of a file by `save_tensors`.

    Raises:
        ModelError: it is missing, damaged, or not rtrecon's.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {})["rtrecon"])
            return {key: file.get_tensor(key) for key in file.keys()}, header  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read weights {path}: {error}") from error
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} is not a checkpoint of the face DPT") from error
