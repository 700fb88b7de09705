"""Pictures one after the other, the next one read ahead; what fails is that one's failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rtrecon.capture.pictures import Picture, find_pictures, picture_size, read_picture
from rtrecon.errors import DataError

__all__ = ["find_all", "read_ahead"]

_AHEAD_PX = 25_000_000  # larger pictures are read when it is their turn: one at a time in memory


def find_all(patterns: Sequence[str]) -> tuple[list[Path], list[tuple[str, DataError]]]:
    """The pictures that ``patterns`` name, each once; the other patterns, and what is wrong there.

    Raises:
        DataError: there is not one picture; of the first pattern.
    """
    found: dict[Path, None] = {}
    wrong: list[tuple[str, DataError]] = []
    for pattern in patterns:
        try:
            found.update(dict.fromkeys(find_pictures([pattern])))
        except DataError as error:
            wrong.append((pattern, error))
    if not found and wrong:
        raise wrong[0][1]
    return list(found), wrong


def read_ahead(paths: Sequence[Path]) -> Iterator[tuple[Path, Callable[[], Picture]]]:
    """Pictures in order, the next one being decoded while this one is worked on.

    What is given with a path returns the picture or raises what went wrong with it; it is asked
    once.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="rtrecon-read") as pool:

        def begin(path: Path) -> Callable[[], Picture]:
            try:
                coming = pool.submit(_read_if_small, path)
            except RuntimeError:  # no more threads are to be had
                return lambda: read_picture(path)
            return lambda: coming.result() or read_picture(path)

        following = begin(paths[0]) if paths else None
        for number, path in enumerate(paths):
            read = following
            assert read is not None
            following = begin(paths[number + 1]) if number + 1 < len(paths) else None
            yield path, read
            del read


def _read_if_small(path: Path) -> Picture | None:
    width, height = picture_size(path)
    return None if width * height > _AHEAD_PX else read_picture(path)
