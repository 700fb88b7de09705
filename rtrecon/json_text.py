"""JSON that came from outside: what it is, or a ValueError that says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["parse_json", "read_json", "read_text"]

_DEEPEST = 64  # lists in lists: what is deeper is no file of ours
_LARGEST_BYTES = 1 << 28  # a file that never ends is not read to its end


def parse_json(data: bytes | str) -> Any:
    """The value in ``data``; bytes may be UTF-8, UTF-16 or UTF-32, with or without a mark.

    Raises:
        ValueError: it is not JSON, has NaN or Infinity, which JSON does not have, or is nested
            too deeply.
    """
    if isinstance(data, bytes):
        data = data.decode(json.detect_encoding(data))
    try:
        value = json.loads(data.removeprefix("\ufeff"), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def read_json(path: Path) -> Any:
    """The value in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: see `parse_json`; it is too large, or its name cannot be one.
    """
    return parse_json(read_text(path))


def read_text(path: Path) -> str:
    """The text in a file: UTF-8, UTF-16 or UTF-32, with or without a mark.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text, is too large, or its name cannot be one.
    """
    with path.open("rb") as file:
        data = file.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        raise ValueError(f"it has more than {_LARGEST_BYTES >> 10} KiB")
    return data.decode(json.detect_encoding(data))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
