"""A video, picture by picture with its own times: files, and films and streams behind a URL.

FFmpeg decodes, through PyAV, which tells the times that OpenCV's reader leaves out
(docs/decisions/video-files.md).
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Generator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from rtrecon.errors import SourceError
from rtrecon.types import BgrImage

if TYPE_CHECKING:
    import av
    from av.container import InputContainer

__all__ = ["VideoReader", "reason_of"]

logger = logging.getLogger(__name__)

_MAX_BAD_IN_A_ROW = 100  # packets that cannot be decoded after which a video counts as broken
_MAX_DAMAGE_S = 1.0  # how long a decoder that fails is asked for a later picture
_RATES_HZ = (0.5, 240.0)  # what is believed of a container; WebM without a rate says 1000
_USUAL_RATE_HZ = 30.0
_MAX_STEP_S = 600.0  # between two pictures, where the container does not say when it ends
_MAX_PIXELS = 1 << 26
_NS = 1_000_000_000
_NEVER_ENDS = frozenset({"mpjpeg", "rtsp", "sdp"})  # unless they say how long they are
_LISTS = frozenset({"hls", "dash"})  # their size is that of a list of files
# What brings a picture upright, by the angle that its display matrix turns it, counterclockwise.
_UPRIGHT = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    -90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    -180: cv2.ROTATE_180,
}


class VideoReader:
    """Decodes the first video of a container. Used by one thread at a time.

    Args:
        url: ``file:PATH`` or an address.
        shown: how messages call it, without a password.
        options: of FFmpeg's demuxer and protocol.
        timeout_s: for opening, and for each read; None: no limit.
        hurried: no picture is held back for the sake of speed: for what is live.
        threads: that decode; None: as many as the machine has cores.

    Attributes: ``width``, ``height`` of the pictures in pixels, upright and of square pixels;
    ``rate_hz`` (None: not said); ``count`` of pictures that it says it has (0: not said);
    ``duration_s`` (None: not said), to which sound may add unless it ``is_alone``; ``is_film``: it
    has an end; ``t_ns``: the time of the
    picture taken last, from the first one on; ``gap_ns``: what the next is away, usually.

    Raises:
        SourceError: it holds no video that can be decoded; says why.
    """

    def __init__(
        self,
        url: str,
        shown: str,
        *,
        options: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        hurried: bool = False,
        threads: int | None = None,
    ) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self._av = av
        self._shown = shown
        self._container: InputContainer = av.open(
            url, options=dict(options or {}), timeout=timeout_s, metadata_errors="replace"
        )
        try:
            self._stream = self._first_video()
            self._stream.thread_type = "SLICE" if hurried else "AUTO"
            if threads is not None:
                self._stream.codec_context.thread_count = threads
        except BaseException:
            self._container.close()
            raise
        self._hurried = hurried
        self._reformatter = VideoReformatter()
        self._frames = self._decode()
        self._frame: av.VideoFrame | None = None
        self._peeked: list[Any] = []
        self.rate_hz: float | None = None
        self.width = self.height = 0
        self._describe()
        self.gap_ns = int(_NS / (self.rate_hz or _USUAL_RATE_HZ))
        self.t_ns = -1
        self._zero_ns: int | None = None  # stamp of what counts as time 0
        self._said_stamps = False

    @property
    def container_format(self) -> str:
        """FFmpeg's name for it, such as ``mov,mp4,m4a,3gp,3g2,mj2``."""
        return self._container.format.name

    def take(self) -> bool | None:
        """Decode the next picture; False at the end, None if it is damaged."""
        found = self._peeked.pop() if self._peeked else next(self._frames, False)
        if isinstance(found, bool):
            self._frame = None
            return None if found else False
        self._frame = found
        self._tell_time(found)
        return True

    def picture(self, out: BgrImage | None = None) -> BgrImage | None:
        """The picture taken last, (H, W, 3) uint8 BGR, upright; in ``out`` where it fits."""
        frame = self._frame
        if frame is None:
            return None
        turned = _UPRIGHT.get(frame.rotation)
        width, height = _square_size(frame.width, frame.height, self._stream)
        try:
            plain = self._reformatter.reformat(frame, width, height, format="bgr24")
            image: BgrImage = np.asarray(plain.to_ndarray(), dtype=np.uint8)
        except (self._av.error.FFmpegError, ValueError):
            return None
        if turned is not None:
            image = np.asarray(cv2.rotate(image, turned), dtype=np.uint8)
        if out is None or out.shape != image.shape:
            return np.ascontiguousarray(image)
        np.copyto(out, image)
        return out

    def peek(self) -> None:
        """Decode the first picture ahead: it alone says whether it is to be turned."""
        found = next(self._frames, False)
        self._peeked = [found]
        if not isinstance(found, bool) and found.rotation in (90, -90):
            self.width, self.height = self.height, self.width

    def stamps_ns(self) -> list[int] | None:
        """When the pictures are shown, by the file's own clock, in order; decodes nothing.

        Reads the file to its end, or to where it is damaged: `seek` before `take`.

        Returns:
            A stamp for each picture; None where pictures have none.
        """
        stamps = []
        try:
            for packet in self._container.demux(self._stream):
                if packet.size == 0 or packet.is_discard:
                    continue  # the end; what the file's edit list leaves out
                base = packet.time_base or self._stream.time_base
                if packet.pts is None or not base:
                    return None
                stamps.append(round(packet.pts * base * _NS))
        except self._av.error.FFmpegError as error:
            logger.debug("%s: %s", self._shown, error.strerror)
        return sorted(stamps)

    def seek(self, t_ns: int, zero_ns: int) -> None:
        """Go on from the last whole picture before ``t_ns``; times count from stamp ``zero_ns``.

        Containers may know no better place than a later one: look at `t_ns` after `take`.
        """
        stream = self._stream
        stamp = Fraction(t_ns + zero_ns, _NS) / (stream.time_base or Fraction(1, _NS))
        self._container.seek(math.floor(stamp), stream=stream, backward=True)
        self._frames.close()
        self._frames = self._decode()
        self._frame = None
        self._peeked.clear()
        self._zero_ns, self.t_ns = zero_ns, -1

    def close(self) -> None:
        """Let go of the file or connection."""
        self._frame = None
        self._frames.close()
        self._container.close()

    def _first_video(self) -> Any:
        for stream in self._container.streams.video:
            # The cover of a piece of music is a video of one picture.
            if not stream.disposition & type(stream.disposition).attached_pic:
                break
        else:
            raise SourceError(f"{self._shown} holds no video")
        if stream.codec_context is None:
            raise SourceError(self._undecodable(_codec_of(self._container)))
        if stream.width * stream.height > _MAX_PIXELS:
            raise SourceError(
                f"{self._shown} has pictures of {stream.width}x{stream.height}, too large for a "
                "video: make it smaller"
            )
        return stream

    def _undecodable(self, codec: str) -> str:
        return (
            f"the video in {self._shown} cannot be decoded here: its codec is {codec}; convert it: "
            f"ffmpeg -i {self._shown} -c:v libx264 -pix_fmt yuv420p out.mp4"
        )

    def _describe(self) -> None:
        stream, container = self._stream, self._container
        context = stream.codec_context
        if not (stream.width and stream.height):
            raise SourceError(self._undecodable(context.codec.name))
        self.codec = str(context.name)
        self.width, self.height = _square_size(stream.width, stream.height, stream)
        self.rate_hz = _believed(stream.average_rate) or _believed(stream.guessed_rate)
        self.count = int(stream.frames)
        seconds = [
            float(stream.duration * stream.time_base) if stream.duration else None,
            container.duration / self._av.time_base if container.duration else None,
        ]
        self.is_alone = len(container.streams) == 1
        self.duration_s = next((s for s in seconds if s is not None and s > 0), None)
        formats = set(container.format.name.split(","))
        sized = container.size > 0 and not formats & (_NEVER_ENDS | _LISTS)
        self.is_film = self.duration_s is not None or sized

    def _decode(self) -> Generator[Any, None, None]:
        """Pictures; True for one that is damaged. Goes on behind a packet that cannot be read."""
        errors = self._av.error.FFmpegError
        bad, bad_since_s, is_begun = 0, 0.0, False
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                pictures = packet.decode()
            except self._av.error.EOFError:
                return
            except errors as error:
                if isinstance(error, OSError) or type(error) is self._av.error.ExitError:
                    raise  # the connection or the disk, not what it brought
                logger.debug("%s: %s", self._shown, error.strerror)
                packets = self._container.demux(self._stream)
                if self._hurried and not is_begun:
                    continue  # a stream that is joined between two whole pictures
                bad, bad_since_s = bad + 1, bad_since_s or time.monotonic()
                if bad >= _MAX_BAD_IN_A_ROW or time.monotonic() - bad_since_s > _MAX_DAMAGE_S:
                    return
                yield True
                continue
            for picture in pictures:
                bad, bad_since_s, is_begun = 0, 0.0, True
                yield True if picture.is_corrupt else picture

    def _tell_time(self, frame: Any) -> None:
        """`t_ns` of ``frame``: always later than the one before, whatever the stamps are."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        base: Fraction | None = frame.time_base or self._stream.time_base
        stamp_ns = None if stamp is None or not base else round(stamp * base * _NS)
        if stamp_ns is not None and self._zero_ns is None:
            self._zero_ns = stamp_ns - (self.t_ns + self.gap_ns if self.t_ns >= 0 else 0)
        expected_ns = self.t_ns + self.gap_ns if self.t_ns >= 0 else 0
        t_ns = expected_ns if stamp_ns is None else stamp_ns - (self._zero_ns or 0)
        step_ns = t_ns - self.t_ns
        if self.t_ns >= 0 and (step_ns <= 0 or self._is_too_late(t_ns, step_ns)):
            if not self._said_stamps:
                self._said_stamps = True
                logger.warning(
                    "%s: the times of its pictures are not in order at %.2f s: counted on from "
                    "there",
                    self._shown,
                    self.t_ns / _NS,
                )
            self._zero_ns = (self._zero_ns or 0) + t_ns - expected_ns
            t_ns = expected_ns
        self.t_ns = t_ns

    def _is_too_late(self, t_ns: int, step_ns: int) -> bool:
        if self.duration_s is not None:
            return t_ns > (self.duration_s + 1.0) * _NS and step_ns > _NS
        return step_ns > _MAX_STEP_S * _NS


def reason_of(error: Exception) -> str:
    """What FFmpeg says, without the address, which may hold a password."""
    text = getattr(error, "strerror", None) or type(error).__name__
    return "it does not answer in time" if text == "Immediate exit requested" else str(text)


def _codec_of(container: Any) -> str:
    """Of a video that has no decoder: PyAV knows it from FFmpeg's description alone."""
    from av import logging as av_logging

    level = av_logging.get_level()
    av_logging.set_level(av_logging.INFO)  # the description is a log line
    try:
        found = re.search(r"Video: ([^,\n]+)", container.dumps_format())
    finally:
        av_logging.set_level(level)
    return found[1].strip() if found else "not known"


def _believed(rate: Fraction | None) -> float | None:
    rate_hz = float(rate) if rate else 0.0
    return rate_hz if _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1] else None


def _square_size(width: int, height: int, stream: Any) -> tuple[int, int]:
    """The size at which pixels are square: the picture is widened, or made higher."""
    ratio = stream.sample_aspect_ratio
    if not ratio or ratio == 1 or not 0.1 < ratio < 10:
        return width, height
    return (round(width * ratio), height) if ratio > 1 else (width, round(height / ratio))
