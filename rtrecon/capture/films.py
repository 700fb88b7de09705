"""Video files, and what is behind a URL: a film, which ends, or a live stream, which does not."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from rtrecon.capture.source import Source
from rtrecon.capture.video import VideoReader, reason_of
from rtrecon.errors import SourceError, SourceLostError
from rtrecon.shown import hide_in, shown_address
from rtrecon.types import BgrImage

__all__ = ["FileSource", "StreamSource", "open_film", "open_url"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 8.0
_PORT = re.compile(r"[\w+.-]+://(?:\[[^\]/]*\]|[^\[\]:/]*)(?::(\d{0,6}))?(?:/|$)")
_TOLERANCE = 50  # one in so many pictures may be missing at the end
_LEAST_MISSING_S = 1.0


class _VideoSource(Source):
    """What is read through a `VideoReader`, by one thread, and closed by any."""

    def __init__(self, name: str, reader: VideoReader) -> None:
        super().__init__()
        self.name = name
        # Held while the decoder works: it must not be let go of under its hands.
        self._busy = threading.Lock()
        self._reader: VideoReader | None = reader
        self._is_damaged = False
        try:
            self._describe(reader)
        except Exception as error:
            reader.close()
            # A film whose index is at its end, from a server that cannot begin in the middle.
            remedy = f"; download it first: curl -LO {name}" if "://" in name else ""
            raise SourceError(f"{name} gives no picture: {reason_of(error)}{remedy}") from hide_in(
                error
            )

    def _describe(self, reader: VideoReader) -> None:
        self.width, self.height, self.rate_hz = reader.width, reader.height, reader.rate_hz

    def grab(self) -> bool:
        """Take the next picture; False when there are no more.

        Raises:
            SourceLostError: the disk or the connection fails.
        """
        with self._busy:
            if self._reader is None:
                return False
            try:
                took = self._reader.take()
            except Exception as error:  # PyAV has errors of no class of Python's
                if self.is_live:
                    logger.debug("%s: %s", self.name, reason_of(error))
                    return False
                raise SourceLostError(f"{self.name} was lost: {reason_of(error)}") from hide_in(
                    error
                )
            self._is_damaged = took is None
            if took:
                self._note_time(self._reader)
            return took is not False

    def retrieve(self, out: BgrImage | None = None) -> BgrImage | None:
        """The picture that was grabbed, upright; None if it is damaged."""
        with self._busy:
            if self._reader is None or self._is_damaged:
                return None
            return self._reader.picture(out)

    def close(self) -> None:
        """Let go of it; safe at any time, from any thread."""
        # A read that hangs keeps the connection; whoever waits for it closes it then.
        if self._busy.acquire(timeout=0.2):
            try:
                if self._reader is not None:
                    self._reader.close()
                self._reader = None
            finally:
                self._busy.release()

    def _note_time(self, reader: VideoReader) -> None:
        """The time of the picture grabbed is known now."""


class FileSource(_VideoSource):
    """A film: a video with an end, played once by its own times, or over and over with ``loop``.

    Args:
        opener: opens it from its start.
        name: of it, for messages.
        is_remote: a film that ends early was not damaged, its connection was lost.
    """

    has_times = True

    def __init__(
        self,
        opener: Callable[[], VideoReader],
        name: str,
        *,
        loop: bool = False,
        is_remote: bool = False,
    ) -> None:
        self._open, self._loop, self._is_remote = opener, loop, is_remote
        self._grabbed = 0
        self._is_begun = self._said_incomplete = False
        self._round_ns = 0  # when the round that is played now began
        super().__init__(name, opener())

    @classmethod
    def of_path(cls, path: Path, *, loop: bool = False, name: str | None = None) -> FileSource:
        """The video in the file ``path``.

        Raises:
            SourceError: it cannot be read; says why.
        """
        return cls(lambda: open_film(path), name or str(path), loop=loop)

    def _describe(self, reader: VideoReader) -> None:
        reader.peek()
        super()._describe(reader)
        self.frame_count = reader.count if reader.count > 0 and not self._loop else None

    def grab(self) -> bool:
        """Take the next picture; False when there are no more.

        Raises:
            SourceLostError: not even one can be read, or the disk or connection fails.
        """
        try:
            took = super().grab()
        except SourceLostError:
            # Servers hang up after the last picture; that is its end.
            if self._reader is None or not self._is_known_whole(self._reader):
                raise
            took = False
        if took:
            self._grabbed += 1
            self._is_begun |= not self._is_damaged
            return True
        reader = self._reader
        if reader is None:
            return False
        if not self._is_begun:
            raise SourceLostError(
                f"{self.name}: not one picture of it can be read: the file is damaged"
            )
        self._note_if_incomplete(reader)
        if not self._loop:
            return False
        self._grabbed = 0
        self._round_ns += reader.t_ns + reader.gap_ns
        with self._busy:
            if self._reader is None:
                return False
            self._reader.close()
            self._reader = self._open()
        return self.grab()

    def _note_time(self, reader: VideoReader) -> None:
        self.t_media_ns = self._round_ns + reader.t_ns

    def _is_known_whole(self, reader: VideoReader) -> bool:
        is_told = reader.count or (reader.duration_s and reader.is_alone)
        return self._is_remote and bool(is_told) and not self._missing(reader)

    def _note_if_incomplete(self, reader: VideoReader) -> None:
        missing = self._missing(reader)
        if not missing or self._said_incomplete:
            return
        self._said_incomplete = True
        if self._is_remote:
            raise SourceLostError(f"{self.name} ends {missing}: the connection was lost")
        logger.warning("%s ends %s: it is incomplete or damaged", self.name, missing)

    def _missing(self, reader: VideoReader) -> str:
        """Where it ends, if it ends too early; else empty."""
        # Containers count a picture or two more than decoders give.
        count, grabbed = reader.count, self._grabbed
        if count:
            is_whole = grabbed >= count - max(2, count // _TOLERANCE)
            end = f"after {grabbed} of the {count} pictures that it should have"
        else:
            ends_s = (reader.t_ns + reader.gap_ns) * 1e-9
            should_s = (reader.duration_s or 0.0) if reader.is_alone else 0.0
            is_whole = ends_s >= should_s - max(_LEAST_MISSING_S, should_s / _TOLERANCE)
            end = f"after {ends_s:.1f} of the {should_s:.1f} s that it should have"
        return "" if is_whole else end


class StreamSource(_VideoSource):
    """A live stream: ``rtsp://``, ``http://`` and whatever else FFmpeg receives."""

    is_live = True

    def __init__(self, url: str, reader: VideoReader | None = None) -> None:
        self._url = url
        super().__init__(_shown(url), reader or _open_address(url))
        self.key = self.name

    def again(self) -> Source:
        """A new source of the same.

        Raises:
            SourceError: it cannot be opened now.
        """
        opened = StreamSource(self._url)
        opened.intrinsics = self.intrinsics
        return opened


def open_url(url: str, *, loop: bool = False) -> Source:
    """What is at ``url``: a `FileSource` if it has an end, else a `StreamSource`.

    Raises:
        SourceError: it cannot be opened, or is no video; says why.
    """
    reader = _open_address(url)
    if not reader.is_film:
        return StreamSource(url, reader)
    readers = [reader]

    def opener() -> VideoReader:
        return readers.pop() if readers else _open_address(url)

    return FileSource(opener, _shown(url), loop=loop, is_remote=True)


def open_film(path: Path, *, threads: int | None = None) -> VideoReader:
    """The video in the file ``path``, decoded by so many ``threads``.

    Raises:
        SourceError: it cannot be read; says why.
    """
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path} may not be read: chmod u+r, or run as its owner")
    try:
        # Without the scheme, a name such as 10:20:30.mp4 would be taken for an address.
        return VideoReader(f"file:{path}", str(path), threads=threads)
    except SourceError:
        raise
    except Exception as error:  # FFmpeg has errors of no class of Python's
        raise SourceError(
            f"{path} is not a video that can be read ({reason_of(error)}): is it complete, and "
            f"does it play elsewhere? Try another format: ffmpeg -i {path} -c:v libx264 out.mp4"
        ) from error


def _open_address(url: str) -> VideoReader:
    shown = _shown(url)
    options = {"rtsp_transport": "tcp", "reconnect": "1", "reconnect_delay_max": "4"}
    scheme, _, rest = url.partition("://")
    url = f"{scheme.lower()}://{rest}"  # FFmpeg knows its protocols in small letters alone
    try:
        return VideoReader(url, shown, options=options, timeout_s=_TIMEOUT_S, hurried=True)
    except SourceError:
        raise
    except Exception as error:  # FFmpeg has errors of no class of Python's, as for HTTP
        raise SourceError(
            f"{shown} cannot be opened ({reason_of(error)}): is the address right, the server "
            "up, and does it play in VLC?"
        ) from hide_in(error)


def _shown(url: str) -> str:
    """The address without user, password and what follows the path."""
    shown = shown_address(url)
    port = _PORT.match(shown)
    if port is None or (port[1] and not 0 < int(port[1]) <= 65535):
        raise SourceError(f"the address {shown} is not of the form ADDRESS://HOST:PORT/PATH")
    return shown
