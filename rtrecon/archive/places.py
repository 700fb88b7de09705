"""Where an archive's files are: results, and pieces that wait for the rest of their video."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtrecon.errors import OutputError
from rtrecon.files import make_draft_folder, make_folder
from rtrecon.json_text import read_json

__all__ = [
    "DEPTH",
    "FACES",
    "FRAMES",
    "MESHES",
    "PAGE",
    "RECORD",
    "Places",
    "filled_folder",
    "read_record",
]

FRAMES, FACES, DEPTH = "frames.parquet", "faces.parquet", "depth.parquet"
MESHES, PAGE, RECORD = "meshes", "index.html", "video.json"
_WORK = ".work"


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of one archive.

    Attributes:
        out: where results go, one folder an input.
        key: of the options: pieces made with others do not mix.
    """

    out: Path
    key: str

    @property
    def work(self) -> Path:
        """All that is not finished."""
        return self.out / _WORK

    def result(self, name: str) -> Path:
        """The whole results of the input ``name``."""
        return self.out / name

    def begun(self, name: str, stamp: str) -> Path:
        """What there is of the input ``name`` so far, as long as it does not change."""
        mark = "".join(c for c in stamp if c.isalnum())[-24:]
        return self.work / f"{name}.{self.key}.{mark}"

    def index(self, name: str, stamp: str) -> Path:
        """When its pictures are shown."""
        return self.begun(name, stamp) / "index.npz"

    def piece(self, name: str, stamp: str, piece: str) -> Path:
        """One piece of it, whole or not there."""
        return self.begun(name, stamp) / "pieces" / piece

    def forget(self, name: str) -> None:
        """Remove what there is of the input ``name``, whatever it was made with."""
        for folder in self.work.glob(f"{_escaped(name)}.*"):
            shutil.rmtree(folder, ignore_errors=True)

    def remove_drafts(self) -> None:
        """Remove what runs that were killed have left half-written."""
        for pattern in (".*.part*", "*/.*.part*", "*/pieces/.*.part*"):
            for draft in self.work.glob(pattern):
                if draft.is_dir():
                    shutil.rmtree(draft, ignore_errors=True)
                else:
                    with suppress(OSError):
                        draft.unlink()

    def remove_if_done(self) -> None:
        """Remove the folder of what is not finished, if there is nothing in it."""
        with suppress(OSError):
            (self.work / "lock").unlink(missing_ok=True)
            self.work.rmdir()


@contextmanager
def filled_folder(folder: Path, drafts: Path | None = None) -> Iterator[Path]:
    """An empty folder to fill that becomes ``folder`` at the end, or nothing where that fails.

    Args:
        folder: where another worker has made it meanwhile, it stays.
        drafts: an existing folder of the same disk for what is not finished; None: beside it.

    Raises:
        OutputError: it cannot be written.
    """
    make_folder(folder.parent)
    part = make_draft_folder(folder if drafts is None else drafts / folder.name)
    try:
        yield part
        try:
            part.rename(folder)
        except OSError as error:
            if not folder.is_dir() or not any(folder.iterdir()):
                raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        if os.path.lexists(part):
            shutil.rmtree(part, ignore_errors=True)


def read_record(file: Path, schema: str) -> Mapping[str, Any] | None:
    """What an archive has written into ``file`` under that schema; None: it is not an archive's."""
    try:
        record: Mapping[str, Any] = read_json(file)
        return record if record["schema"]["name"] == schema else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
