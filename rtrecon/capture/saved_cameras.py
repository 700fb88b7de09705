"""Calibrations of cameras that are kept: one file a camera and size, in the user's configuration.

Each is an intrinsics file as ``--intrinsics`` takes, with the camera's name in it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from rtrecon.errors import DataError, OutputError
from rtrecon.files import json_bytes, make_folder, write_files
from rtrecon.json_text import read_json
from rtrecon.shown import hide_secrets
from rtrecon.types import Intrinsics

__all__ = ["CameraStore", "SavedCamera"]

logger = logging.getLogger(__name__)

_SAME_SHAPE = 0.01


@dataclass(frozen=True, slots=True)
class SavedCamera:
    """A file of the store.

    Attributes:
        path: where it lies.
        camera: the camera's name; empty where the file cannot be read.
        key: what the camera is known by.
        intrinsics: None where it cannot be read.
        facts: what was noted of the calibration: ``rms_px``, ``views``, ``board``, ``date``.
        trouble: why it cannot be read.
    """

    path: Path
    camera: str = ""
    key: str = ""
    intrinsics: Intrinsics | None = None
    facts: Mapping[str, Any] | None = None
    trouble: str = ""


class CameraStore:
    """The files; each is written whole or not at all.

    Args:
        folder: of the files; None: ``cameras`` in the user's configuration. It need not be there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        config = platformdirs.user_config_dir("rtrecon", appauthor=False)
        self.folder = Path(config, "cameras") if folder is None else folder

    def path(self, camera: str, key: str, width: int, height: int) -> Path:
        """The file of a camera at a size, whether it is there or not."""
        digest = hashlib.sha256(hide_secrets(key).encode(errors="replace")).hexdigest()[:8]
        slug = re.sub(r"[^a-z0-9]+", "-", hide_secrets(camera).lower()).strip("-")[:40] or "camera"
        return self.folder / f"{slug}.{width}x{height}.{digest}.json"

    def save(self, camera: str, key: str, intrinsics: Intrinsics, facts: Mapping[str, Any]) -> Path:
        """Keep it in the place of what there was of that size; returns the file.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        path = self.path(camera, key, intrinsics.width, intrinsics.height)
        make_folder(self.folder)
        content = {**_fields(intrinsics), "camera": camera, "key": hide_secrets(key), **facts}
        write_files({path: json_bytes(content)}, overwrite=True)
        return path

    def find(self, key: str, width: int, height: int) -> SavedCamera | None:
        """What is kept of a camera: of this size, else of the largest of this shape; or None.

        A file that cannot be used is said, and left where it is.
        """
        if not key or width < 1 or height < 1:
            return None
        found: list[tuple[bool, int, SavedCamera]] = []
        other_shapes = []
        digest = self.path("", key, 1, 1).stem.rpartition(".")[2]
        for path in sorted(self.folder.glob(f"*.{digest}.json")):
            saved = _read(path)
            if saved.intrinsics is None:
                logger.warning("the saved camera %s cannot be used: %s", path, saved.trouble)
                continue
            if saved.key != hide_secrets(key):
                continue
            w, h = saved.intrinsics.width, saved.intrinsics.height
            if abs(width * h / (w * height) - 1.0) <= _SAME_SHAPE:
                found.append(((w, h) == (width, height), w, saved))
            else:
                other_shapes.append(f"{w}x{h}")
        if not found:
            if other_shapes:
                logger.info(
                    "the camera is calibrated at %s, which is of another shape than %dx%d: "
                    "rtrecon calibrate-camera --size %dx%d",
                    ", ".join(other_shapes),
                    *(width, height, width, height),
                )
            return None
        return max(found, key=lambda entry: entry[:2])[2]

    def stored(self) -> list[SavedCamera]:
        """All files, those that cannot be read too, by name."""
        return [_read(path) for path in sorted(self.folder.glob("*.json"))]

    def forget(self, saved: SavedCamera) -> None:
        """Delete the file.

        Raises:
            OutputError: it cannot be deleted.
        """
        try:
            saved.path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot delete {saved.path}: {error.strerror}") from error


def _fields(intrinsics: Intrinsics) -> dict[str, Any]:
    names = ("fx", "fy", "cx", "cy", "width", "height")
    return {name: getattr(intrinsics, name) for name in names} | {"dist": list(intrinsics.dist)}


def _read(path: Path) -> SavedCamera:
    try:
        if not path.is_file():  # a pipe would be waited for
            return SavedCamera(path, trouble="it is no file")
        intrinsics = Intrinsics.load(path)
        data = read_json(path)
        camera, key = data.get("camera"), data.get("key")
        if not isinstance(camera, str) or not isinstance(key, str):
            raise DataError('"camera" and "key" must be texts')
    except (DataError, OSError, ValueError, AttributeError) as error:
        return SavedCamera(path, trouble=str(error))
    facts = {name: data[name] for name in ("rms_px", "views", "board", "date") if name in data}
    return SavedCamera(path, camera, key, intrinsics, facts)
