"""What is shipped in ``rtrecon/data``, compared with its hash before it is used."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rtrecon.errors import DataError

__all__ = ["ASSETS", "asset_path", "read_asset"]

ASSETS = {
    "demo.mp4": "6e4cc90c45f5a25ed69393a13ce1291aab1f1bfc16e7cacb12031d66b5bb737d",
    "head_shell.npz": "7aaa4f40b542b091eeb54a519a23eec25605d680df13bcf098b4cd286c4a7e6c",
    "mean_face.npz": "b7f2c1bd210ab406b8b5311a6a259cf4a63485e88f98b2c9e754fd8da68cd227",
    "mean_head.npz": "38bcdb196cdeb12a6135d37aac7b6e8eae2b580f3206d6ea5d52e4c9407690bf",
}
"""Name to SHA-256; one that is made anew (``tools/``) gets its new hash here."""

_FOLDER = Path(__file__).resolve().parent / "data"


def read_asset(name: str) -> bytes:
    """The contents of an asset.

    Raises:
        DataError: the package is incomplete or damaged.
    """
    path = _FOLDER / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; install rtrecon again") from error
    if hashlib.sha256(content).hexdigest() != ASSETS[name]:
        raise DataError(f"{path} is damaged or was replaced: install rtrecon again")
    return content


def asset_path(name: str) -> Path:
    """The file of an asset, for what opens files alone; compared with its hash now.

    Raises:
        DataError: see `read_asset`.
    """
    read_asset(name)
    return _FOLDER / name
