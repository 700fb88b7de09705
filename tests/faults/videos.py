"""Videos of known times, and what plays them to a run."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MS = Fraction(1, 1000)


def pictures(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    """(H, W, 3) uint8 BGR; number k is grey of brightness 4 k, with a bar that moves."""
    made = []
    for k in range(count):
        image = np.full((size[1], size[0], 3), 4 * k % 256, np.uint8)
        image[:, (k * 3) % size[0] :][:, :4] = 255
        made.append(image)
    return made


def write_video(
    path: Path,
    times_ms: Sequence[int],
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    container: str | None = None,
    aspect: Fraction | None = None,
    **options: str,
) -> Path:
    """A video whose pictures have these stamps."""
    with av.open(str(path), "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = MS
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for image, stamp in zip(pictures(len(times_ms), size), times_ms, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = stamp, MS
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def browser_webm(path: Path, times_ms: Sequence[int]) -> Path:
    """As a browser's MediaRecorder writes it: no rate, no duration."""
    write_video(path, times_ms, codec="libvpx", container="webm", live="1")
    data = bytearray(path.read_bytes())
    at = data.find(b"\x23\xe3\x83")  # DefaultDuration becomes a void element
    if at >= 0:
        size = 4 + (data[at + 3] & 0x7F)
        data[at : at + size] = bytes([0xEC, 0x80 | (size - 2)]) + bytes(size - 2)
        path.write_bytes(data)
    return path
