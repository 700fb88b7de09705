"""Calibrations of people in the user's configuration: one file a camera and person."""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from rtrecon.avatar.profile import CalibrationProfile
from rtrecon.errors import ArgumentError, DataError, OutputError
from rtrecon.files import json_bytes, make_folder, write_secret
from rtrecon.json_text import read_json
from rtrecon.shown import hide_secrets, plain

__all__ = ["DEFAULT_PERSON", "ProfileStore", "StoredProfile", "check_person"]

logger = logging.getLogger(__name__)

DEFAULT_PERSON = "default"
_LONGEST_NAME = 64
_MOST_ASIDE = 100


def check_person(name: str) -> str:
    """``name``, if it can be a person's.

    Raises:
        ArgumentError: it is empty, long, or not printable.
    """
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable() and name == name.strip()):
        raise ArgumentError(
            f"a person's name must be 1 to {_LONGEST_NAME} printable characters without spaces "
            f"around them, not {name!r:.80}"
        )
    return name


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A file of the store.

    Attributes:
        path: where it lies.
        camera, person: whose it is; empty where it cannot be read.
        profile: None where it cannot be read.
        trouble: why not.
    """

    path: Path
    camera: str = ""
    person: str = ""
    profile: CalibrationProfile | None = None
    trouble: str = ""


class ProfileStore:
    """The files; each is written whole or not at all, and for the user alone.

    Args:
        folder: of the files; None: ``calibration`` in the user's configuration. It need not be
            there yet.
    """

    def __init__(self, folder: Path | None = None) -> None:
        config = platformdirs.user_config_dir("rtrecon", appauthor=False)
        self.folder = Path(config, "calibration") if folder is None else folder
        self._in_the_way: set[Path] = set()

    def path(self, camera: str, person: str) -> Path:
        """The file of ``person`` before ``camera``, whether it is there or not."""
        camera, person = hide_secrets(camera), hide_secrets(person)  # as the file has them
        # Names differ in more than what all file systems can tell apart.
        digest = hashlib.sha256(f"{camera}\0{person}".encode(errors="replace")).hexdigest()[:8]
        return self.folder / f"{_slug(camera)}.{_slug(person)}.{digest}.json"

    def load(self, camera: str, person: str) -> CalibrationProfile | None:
        """What is kept; None where there is nothing.

        A file that cannot be used is said, and gets another name, under which it stays.
        """
        path = self.path(camera, person)
        stored = _read(path)
        if stored is None:
            return None
        trouble = stored.trouble
        if not trouble and self.path(stored.camera, stored.person) != path:
            trouble = f"it is of {stored.person!r} before {stored.camera!r}"
        if not trouble:
            return stored.profile
        aside = _set_aside(path)
        if aside is None:
            self._in_the_way.add(path)
        kept = (
            f"it is kept as {aside.name}, and a new one is begun"
            if aside is not None
            else "nothing is written over it: move it away to have a new one kept"
        )
        logger.warning("the calibration %s cannot be used: %s; %s", path, trouble, kept)
        return None

    def save(self, camera: str, person: str, profile: CalibrationProfile) -> Path:
        """Keep it; returns the file.

        Raises:
            OutputError: the folder cannot be made or written; what is there could not be used
                and not be set aside either.
        """
        path = self.path(camera, person)
        if path in self._in_the_way:
            raise OutputError(f"the calibration is not kept: {path} is in the way")
        make_folder(self.folder)
        write_secret(path, json_bytes({"camera": camera, "person": person, **profile.to_json()}))
        return path

    def stored(self) -> list[StoredProfile]:
        """All files, those that cannot be read too, by name."""
        found = (_read(path) for path in sorted(self.folder.glob("*.json")))
        return [stored for stored in found if stored is not None]

    def forget(self, person: str) -> list[Path]:
        """Delete all of ``person``, before all cameras, what was set aside too; what was deleted.

        Raises:
            OutputError: a file cannot be deleted.
        """
        gone = []
        for stored in self.stored():
            # Of a file that cannot be read, its name is all that is known.
            unread = stored.profile is None and f".{_slug(person)}." in stored.path.name
            if stored.person == person or unread:
                try:
                    stored.path.unlink(missing_ok=True)
                except OSError as error:
                    raise OutputError(f"cannot delete {stored.path}: {error.strerror}") from error
                gone.append(stored.path)
        return gone


def _read(path: Path) -> StoredProfile | None:
    """A file of the store; None where there is none."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            return StoredProfile(path, trouble="it is no file")
        data = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return StoredProfile(path, trouble=error.strerror or repr(error))
    except ValueError as error:
        return StoredProfile(path, trouble=f"it is damaged ({plain(str(error))[:120]})")
    try:
        if not isinstance(data, dict):
            raise DataError("it is damaged (no JSON object)")
        camera, person = data.pop("camera", None), data.pop("person", None)
        profile = CalibrationProfile.from_json(data)
        if not isinstance(camera, str) or not isinstance(person, str):
            raise DataError('"camera" and "person" must be texts')
    except DataError as error:
        return StoredProfile(path, trouble=str(error))
    return StoredProfile(path, camera, person, profile)


def _set_aside(path: Path) -> Path | None:
    """Give it a name that no other file has; None where that cannot be done."""
    for count in range(1, _MOST_ASIDE):
        aside = path.with_name(f"{path.stem}.aside-{count}{path.suffix}")
        try:
            if not aside.exists():
                return path.rename(aside)
        except OSError as error:
            logger.debug("%s cannot be renamed: %s", path, error)
            return None
    return None


def _slug(text: str) -> str:
    """Of what all file systems take, 40 characters at most, without a full stop."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "x"
