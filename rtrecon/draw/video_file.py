"""A video written picture by picture: it survives a sudden end, and browsers play it."""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np

from rtrecon.errors import OutputError
from rtrecon.files import open_new, take_name
from rtrecon.types import BgrImage

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

__all__ = ["VideoFile"]

logger = logging.getLogger(__name__)

_TICKS_HZ = 90_000
_FRAGMENT_S = 1.0  # what a sudden end may cost
_SYNC_S = 10.0  # what the loss of power may cost
_KEYFRAME_EVERY = 60
_USUAL_RATE_HZ = 30.0
# Fragments while it is written; its index, like that of any MP4, once it is whole.
_MUXER = {
    "movflags": "hybrid_fragmented+empty_moov+default_base_moof",
    "frag_duration": str(int(_FRAGMENT_S * 1e6)),
    "flush_packets": "1",
}
# As cheap as MPEG-4 part 2 in OpenCV was; no picture waits in the encoder.
_X264 = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23"}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0", "lag-in-frames": "0"}
_BT601, _BT709 = 6, 1
_EMPTY = 4096  # bytes: a header without a picture


class VideoFile:
    """Writes H.264 (VP9 where FFmpeg lacks x264) in MP4, each picture at its own time.

    Until it is whole it is ``part``, which can be played up to the last second that was written;
    then it is read back, and takes the name ``path``, never from another file.

    Args:
        path: of the video.
        part: its name until it is whole, in the same folder; nothing may be there.
        size_px: width and height of the pictures, both even.
        rate_hz: how many pictures come in a second, about.

    Raises:
        OutputError: no video can be written there.
    """

    def __init__(
        self, path: Path, part: Path, size_px: tuple[int, int], *, rate_hz: float | None = None
    ) -> None:
        import av

        self._av = av
        self.path, self.part = path, part
        self._size_px = size_px
        self.count = 0
        self._broken = ""  # what failed first: from then on nothing is added
        self._last_tick = -1
        self._gap_ticks = round(_TICKS_HZ / (rate_hz or _USUAL_RATE_HZ))
        self._yuv = np.empty((size_px[1] * 3 // 2, size_px[0]), dtype=np.uint8)
        self._disk = _Disk(part, path)
        try:
            self._container: OutputContainer | None = av.open(
                self._disk, "w", format="mp4", options=_MUXER
            )
            self._stream = self._add_stream(self._container, rate_hz or _USUAL_RATE_HZ)
        except Exception as error:
            self._disk.close()
            part.unlink(missing_ok=True)
            raise OutputError(f"no video can be written to {path}: {error}") from error

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of its pictures."""
        return self._size_px

    @property
    def length_s(self) -> float:
        """From the first picture to the last."""
        return max(self._last_tick, 0) / _TICKS_HZ

    def write(self, image: BgrImage, t_s: float) -> None:
        """Append (H, W, 3) uint8 BGR, shown from ``t_s`` on until the next.

        Raises:
            OutputError: the disk takes no more of it.
        """
        cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420, dst=self._yuv)
        frame = self._av.VideoFrame.from_ndarray(self._yuv, format="yuv420p")
        tick = max(round(t_s * _TICKS_HZ), self._last_tick + 1)
        frame.pts, frame.time_base = tick, Fraction(1, _TICKS_HZ)
        frame.duration = self._gap_ticks
        self._do(lambda container: container.mux(self._stream.encode(frame)))
        self._last_tick = tick
        self.count += 1
        self._disk.sync_sometimes()

    def close(self) -> Path:
        """Complete it, read it back, give it its name; returns that.

        Raises:
            OutputError: it cannot be completed; ``part`` stays, and can be played.
        """
        try:
            self._do(lambda container: container.mux(self._stream.encode(None)))
            self._do(lambda container: container.close())
            self._container = None
            self._disk.sync()
        finally:
            self.give_up()
        self._read_back()
        try:
            take_name(self.part, self.path)
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        return self.path

    def give_up(self) -> None:
        """Let go of the file as it is; of one that was completed too."""
        container, self._container = self._container, None
        if container is not None:
            self._disk.refuse()
            try:
                container.close()
            except Exception as error:  # said already, by whoever gives up
                logger.debug("%s: %r", self.part, error)
        self._disk.close()

    def rescued_s(self) -> float | None:
        """To what time ``part`` can be played after `give_up`; None: not at all.

        One that has no picture yet is removed.
        """
        last_s = None
        try:
            with self._av.open(f"file:{self.part}") as found:
                for packet in found.demux(found.streams.video[0]):
                    if packet.pts is not None and packet.time_base is not None:
                        last_s = float(packet.pts * packet.time_base)
        except Exception as error:
            logger.debug("%s: %r", self.part, error)
        with suppress(OSError):
            if last_s is None and self.part.stat().st_size < _EMPTY:
                self.part.unlink()
        return last_s

    def _add_stream(self, container: OutputContainer, rate_hz: float) -> VideoStream:
        has_x264 = "libx264" in self._av.codecs_available
        rate = Fraction(rate_hz).limit_denominator(1001)
        stream: VideoStream = container.add_stream(
            "libx264" if has_x264 else "libvpx-vp9",
            rate=rate,
            options={"g": str(_KEYFRAME_EVERY), **(_X264 if has_x264 else _VP9)},
        )
        stream.width, stream.height = self._size_px
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1  # the processor is the worker's
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS_HZ)
        context.colorspace, context.color_primaries, context.color_trc = _BT601, _BT709, _BT709
        context.color_range = 1
        return stream

    def _do(self, step: Callable[[Any], None]) -> None:
        if self._container is None or self._broken:
            raise OutputError(self._broken or f"{self.path} was given up")
        cause: BaseException | None = None
        try:
            step(self._container)
        except Exception as error:
            cause = error
        # FFmpeg may keep what the disk said to itself until the end.
        cause = self._disk.failure or cause
        if cause is not None:
            reason = getattr(cause, "strerror", None) or repr(cause)
            self._broken = f"cannot write {self.path}: {reason}"
            raise OutputError(self._broken) from cause
        self._disk.mark_whole()

    def _read_back(self) -> None:
        """Its index has every picture, and the first and the last ones can be decoded.

        Raises:
            OutputError: it is not what was written.
        """
        try:
            with self._av.open(f"file:{self.part}") as found:
                stream = found.streams.video[0]
                count = stream.frames
                next(found.decode(stream))
                found.seek(self._last_tick, stream=stream)
                last_s = [float(frame.time) for frame in found.decode(stream)][-1]
        except Exception as error:
            raise OutputError(f"{self.part} cannot be read back: {error!r}") from error
        if count != self.count or abs(last_s - self.length_s) > 1e-3:
            raise OutputError(
                f"{self.part} holds {count} pictures to {last_s:.2f} s, not {self.count} to "
                f"{self.length_s:.2f} s"
            )


class _Disk:
    """The file under FFmpeg's hands: new, unbuffered, and it remembers what failed first."""

    def __init__(self, part: Path, path: Path) -> None:
        self.name = str(path)
        self.failure: OSError | None = None
        self._file: BinaryIO = open_new(part)
        self._synced_s = time.monotonic()
        self._whole = 0

    def write(self, data: bytes) -> int:
        if self.failure is not None:
            raise self.failure
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except OSError as error:
            self.failure = error
            raise
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self._file.fileno(), offset, whence)

    def tell(self) -> int:
        return os.lseek(self._file.fileno(), 0, os.SEEK_CUR)

    def mark_whole(self) -> None:
        """What was written so far is made of whole fragments."""
        self._whole = self.tell()

    def refuse(self) -> None:
        """Keep what is whole, which can be played: from now on nothing is written."""
        self.failure = self.failure or OSError(errno.ECANCELED, "given up")
        with suppress(OSError):
            os.ftruncate(self._file.fileno(), self._whole)

    def sync_sometimes(self) -> None:
        if time.monotonic() - self._synced_s > _SYNC_S:
            self.sync()

    def sync(self) -> None:
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self.failure = self.failure or error
            raise OutputError(f"cannot write {self.name}: {error.strerror}") from error
        self._synced_s = time.monotonic()

    def close(self) -> None:
        # PyAV closes what it was given, too.
        if not self._file.closed:
            self._file.close()
