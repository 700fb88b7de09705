"""A video read from any place of it, with the pictures, numbers and times of reading it whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtrecon.capture.films import open_film
from rtrecon.capture.video import VideoReader, reason_of
from rtrecon.errors import RtreconError, SourceLostError
from rtrecon.types import BgrImage

__all__ = ["FilmIndex", "FilmPicture", "film_pictures", "scan_film"]

logger = logging.getLogger(__name__)

_LONGEST_GAP_NS = 10_000_000_000  # between pictures; beyond it something is wrong with the times
_TOLERANCE = 50  # one in so many pictures may be missing at the end
_DECODERS = 1  # threads of a decoder: a worker has one core


class FilmPicture(NamedTuple):
    """``image`` (H, W, 3) uint8 BGR, upright, from ``t_ns`` after the first; None: damaged."""

    number: int
    t_ns: int
    image: BgrImage | None


@dataclass(frozen=True, slots=True, eq=False)
class FilmIndex:
    """When the pictures of a video are shown.

    ``times_ns`` (n,) int64 from the first picture on, rising; ``zero_ns`` the first's own stamp;
    ``should_count`` how many its container says there are (0: it does not say).
    """

    times_ns: npt.NDArray[np.int64]
    zero_ns: int
    should_count: int

    @property
    def duration_ns(self) -> int:
        """Until the last picture is gone."""
        times = self.times_ns
        gap = int(np.median(np.diff(times))) if len(times) > 1 else 0
        return int(times[-1]) + gap

    @property
    def is_incomplete(self) -> bool:
        """Whether it has clearly fewer pictures than its container says."""
        count = self.should_count
        return len(self.times_ns) < count - max(2, count // _TOLERANCE)

    def number_at(self, t_ns: int) -> int:
        """The picture that is shown at ``t_ns``, or the nearest to it."""
        times = self.times_ns
        after = int(np.searchsorted(times, t_ns))
        if after == 0:
            return 0
        if after == len(times) or t_ns - times[after - 1] < times[after] - t_ns:
            return after - 1
        return after


def scan_film(path: Path) -> FilmIndex | None:
    """Read the times of all pictures, without decoding them.

    Returns:
        None where pictures have no times of their own, or such as cannot be: then a video can be
        read from its start alone.

    Raises:
        SourceError: it cannot be read.
    """
    reader = open_film(path, threads=_DECODERS)
    try:
        stamps = reader.stamps_ns()
    finally:
        reader.close()
    if not stamps:
        return None
    times = np.asarray(stamps, dtype=np.int64) - stamps[0]
    steps = np.diff(times)
    if len(steps) and (steps.min() <= 0 or steps.max() > _LONGEST_GAP_NS):
        return None
    return FilmIndex(times, stamps[0], reader.count)


def film_pictures(
    path: Path, index: FilmIndex | None, start_ns: int, end_ns: int | None
) -> Iterator[FilmPicture]:
    """The pictures of a video from ``start_ns`` until before ``end_ns``.

    Args:
        path: of the video.
        index: of `scan_film`. None: reads from the start, and counts.
        start_ns: from the first picture on.
        end_ns: None: to the end.

    Raises:
        SourceError: it cannot be read. SourceLostError: the disk fails.
    """
    reader = open_film(path, threads=_DECODERS)
    try:
        if index is not None and start_ns > 0:
            reader.seek(start_ns, index.zero_ns)
            if not _took_before(reader, start_ns):
                logger.debug("%s cannot be read from %.3f s: from its start", path, start_ns * 1e-9)
                reader.close()
                reader = open_film(path, threads=_DECODERS)
        counted = 0
        while True:
            if reader.t_ns < 0 or counted:
                took = _take(reader, path)
                if took is False:
                    return
            else:
                took = True  # by `_took_before`
            counted += 1
            if took is None:
                yield FilmPicture(-1, reader.t_ns, None)
                continue
            t_ns = reader.t_ns
            if end_ns is not None and t_ns >= end_ns:
                return
            if t_ns >= start_ns:
                number = counted - 1 if index is None else index.number_at(t_ns)
                yield FilmPicture(number, t_ns, reader.picture())
    finally:
        reader.close()


def _took_before(reader: VideoReader, start_ns: int) -> bool:
    """Whether the first picture after a seek is not behind what is wanted."""
    try:
        return reader.take() is True and reader.t_ns <= start_ns
    except Exception:  # PyAV has errors of no class of Python's
        return False


def _take(reader: VideoReader, path: Path) -> bool | None:
    try:
        return reader.take()
    except RtreconError:
        raise
    except Exception as error:
        raise SourceLostError(f"{path} was lost: {reason_of(error)}") from error
