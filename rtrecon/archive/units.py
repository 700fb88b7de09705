"""What an archive consists of, and the pieces that it is worked on in: value types."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rtrecon.errors import ArgumentError
from rtrecon.types import Intrinsics

__all__ = ["PICTURES_AT_ONCE", "Input", "Options", "Piece", "pieces_of_film", "pieces_of_pictures"]

PICTURES_AT_ONCE = 64  # of a folder, in one piece
_LEAST_LAST = 0.5  # of a segment: a shorter one at the end belongs to the one before
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How all of an archive is made; what a worker needs besides its piece.

    Attributes:
        model, provider, precision, faces, fov_deg, intrinsics, ipd_mm, threads: as of a
            `Reconstructor`. The provider is one that was found, not ``auto``, which might choose
            another one on each worker.
        segment_s: length of the pieces of a video.
        warm_up_s: how long before its start a piece begins to follow faces.
        depth: keep the depth of every face.
        mesh_every_s: keep a mesh of every face once in so many seconds; None: none.

    Raises:
        ArgumentError: a value is out of range.
    """

    model: str = "face-dpt"
    provider: str = "auto"
    precision: str | None = None
    faces: int = 1
    fov_deg: float | None = None
    intrinsics: Intrinsics | None = None
    ipd_mm: float = 63.0
    threads: int = 1
    segment_s: float = 120.0
    warm_up_s: float = 5.0
    depth: bool = False
    mesh_every_s: float | None = None

    def __post_init__(self) -> None:
        if not 0.5 <= self.segment_s <= 86_400:
            raise ArgumentError(f"segment_s must be 0.5 to 86400 seconds, not {self.segment_s:g}")
        if not 0.0 <= self.warm_up_s <= 600:
            raise ArgumentError(f"warm_up_s must be 0 to 600 seconds, not {self.warm_up_s:g}")
        if self.mesh_every_s is not None and not 0.01 <= self.mesh_every_s <= 86_400:
            raise ArgumentError(
                f"mesh_every_s must be 0.01 to 86400 seconds, not {self.mesh_every_s:g}"
            )

    def reconstructor_options(self) -> dict[str, Any]:
        """The keywords of a `Reconstructor` that these are."""
        names = ("model", "provider", "precision", "faces", "fov_deg", "intrinsics", "ipd_mm")
        return {name: getattr(self, name) for name in (*names, "threads")}

    def facts(self) -> dict[str, Any]:
        """What results depend on, as JSON has it; not how many threads made them."""
        facts = asdict(self)
        del facts["threads"]
        if self.intrinsics is not None:
            facts["intrinsics"] = {**asdict(self.intrinsics), "dist": list(self.intrinsics.dist)}
        return facts

    def key(self, *more: str) -> str:
        """Short name of these options, and ``more``: what differs does not mix."""
        text = json.dumps([self.facts(), *more], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A video, or the pictures of one folder.

    Attributes:
        kind: which.
        path: absolute; of the folder for pictures.
        name: of its folder among the results.
        stamp: size and time of change of its files: tells whether they are still the same.
        pictures: absolute paths, in order.
    """

    kind: Literal["video", "pictures"]
    path: str
    stamp: str
    name: str = ""
    pictures: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one worker does at once, and what is lost if it dies.

    Of a video the pictures from ``start`` (nanoseconds) until before ``end`` (None: to its end),
    faces being followed from ``warm`` on; of pictures those numbered so.
    """

    number: int
    start: int
    end: int | None
    warm: int

    @property
    def folder(self) -> str:
        """Its name among the other pieces of its video."""
        return f"{self.number:05d}"


def pieces_of_film(duration_ns: int | None, options: Options) -> Iterator[Piece]:
    """The segments of a video; one if nobody knows how long it is, or its times are unreliable.

    They depend on the video and the options alone, not on who works on them.
    """
    segment_ns = round(options.segment_s * _NS)
    count = 1
    if duration_ns is not None:
        whole, rest = divmod(max(duration_ns, 0), segment_ns)
        count = max(1, whole + (rest >= _LEAST_LAST * segment_ns))
    warm_ns = round(options.warm_up_s * _NS)
    for number in range(count):
        start = number * segment_ns
        end = None if number == count - 1 else start + segment_ns
        yield Piece(number=number, start=start, end=end, warm=max(0, start - warm_ns))


def pieces_of_pictures(pictures: Sequence[str]) -> Iterator[Piece]:
    """So many pictures at once: they are unrelated, and need no warming up."""
    for number, start in enumerate(range(0, len(pictures), PICTURES_AT_ONCE)):
        end = min(start + PICTURES_AT_ONCE, len(pictures))
        yield Piece(number=number, start=start, end=end, warm=start)


def differences(made: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Names of the options in which two of `Options.facts` differ."""
    return [name for name in sorted({*made, *asked}) if made.get(name) != asked.get(name)]
