"""Short videos with faces, and with numbers that can be read off."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from rtrecon.capture import open_source
from rtrecon.types import BgrImage

BITS = 10


def demo_pictures(first: int, count: int, step: int = 1) -> list[BgrImage]:
    """Pictures of the bundled clip."""
    found = []
    with open_source("demo") as source:
        for frame in source:
            if frame.index >= first and (frame.index - first) % step == 0:
                found.append(frame.image)
            if len(found) == count:
                break
    return found


def numbered(count: int) -> list[BgrImage]:
    """Pictures that show their number as black and white bars."""
    pictures = []
    for number in range(count):
        bars = [255 * (number >> bit & 1) for bit in range(BITS)]
        row = np.repeat(np.array(bars, np.uint8), 16)
        pictures.append(np.ascontiguousarray(np.broadcast_to(row[None, :, None], (64, 160, 3))))
    return pictures


def number_on(picture: BgrImage) -> int:
    """What `numbered` has written."""
    bars = picture[16:48, 4::16, 1].mean(axis=0)[:BITS] > 128
    return sum(1 << bit for bit, is_set in enumerate(bars) if is_set)


def write_film(
    path: Path,
    pictures: Iterable[BgrImage],
    *,
    rate: int = 30,
    codec: str = "libx264",
    group: int = 12,
    stamps: Iterable[int] | None = None,
    **options: str,
) -> Path:
    """A video with a whole picture every ``group``; ``stamps`` in frames, from 0 unless given."""
    pictures = list(pictures)
    height, width = pictures[0].shape[:2]
    times = range(len(pictures)) if stamps is None else stamps
    with av.open(str(path), "w", options=options) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.gop_size = group
        if codec == "libx264":
            stream.options = {"preset": "veryfast", "crf": "20", "bf": "2", "sc_threshold": "0"}
        for picture, stamp in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = stamp, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
