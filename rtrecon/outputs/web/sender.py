"""The page whose camera is used: one at a time, over WebRTC or by pictures on its WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import simplejpeg

from rtrecon.capture.pushed import Decode, PushedSource
from rtrecon.outputs.web.peer import Peer
from rtrecon.outputs.web.wire import Origin
from rtrecon.types import BgrImage

__all__ = ["Origins", "SenderDesk"]

logger = logging.getLogger(__name__)

_HEADER = struct.Struct("<4sId")
_PICTURE = b"RTP1"
_LEAST_PX, _MOST_PX = 16, 4096
_MOST_REMEMBERED = 64
_MOST_WAITING = 150_000  # bytes in the data channel, about four results
_LARGEST_OVER_CHANNEL = 200_000  # browsers take 256 KiB
_CLOSE_S = 2.0
_SELF_MADE_NAME = re.compile(r"(?<= )[0-9a-f-]{30,40}\.local(?= )", re.IGNORECASE)


class Origins:
    """What senders know their pictures by, until the results of those are packed."""

    def __init__(self) -> None:
        self._by_time: dict[int, Origin] = {}

    def note(self, t_capture_ns: int, origin: Origin) -> None:
        """Of a picture that came at that time."""
        self._by_time[t_capture_ns] = origin
        if len(self._by_time) > _MOST_REMEMBERED:
            self._by_time.pop(next(iter(self._by_time)), None)

    def of(self, t_capture_ns: int) -> Origin:
        """Of the picture that came at that time."""
        return self._by_time.get(t_capture_ns, Origin())


class SenderDesk:
    """Who may send; takes its pictures. All of it on the server's loop.

    Args:
        source: where pictures go; None: the server has a camera of its own.
        origins: where it is noted what they are known by.
        when_changed: called when there is another sender, or none.
    """

    def __init__(
        self, source: PushedSource | None, origins: Origins, when_changed: Callable[[], None]
    ) -> None:
        self._source, self._origins, self._when_changed = source, origins, when_changed
        self._sender: Peer | None = None
        self._call: _Call | None = None
        self._is_pictures = False
        self.refused = 0

    @property
    def number(self) -> int | None:
        """Of the page that sends."""
        return self._sender.number if self._sender is not None else None

    async def obey(self, peer: Peer, words: Mapping[str, Any]) -> bool:
        """Do what a message asks; False if it is none of ours.

        Raises:
            ValueError: it cannot be done.
        """
        kind = words.get("type")
        if kind == "camera":
            if words.get("on"):
                await self._grant(peer, words)
            elif peer is self._sender:
                await self.leave(peer)
            return True
        if kind == "offer":
            await self._answer(peer, words.get("sdp"))
            return True
        return False

    async def leave(self, peer: Peer) -> None:
        """The page is gone, or has no camera any more."""
        if peer is not self._sender:
            return
        await self._hang_up()
        self._sender = None
        if self._source is not None:
            self._source.rest()
        self._when_changed()

    async def close(self) -> None:
        """Hang up."""
        await self._hang_up()

    def take(self, peer: Peer, data: bytes) -> None:
        """A picture on the WebSocket."""
        if self._source is None or peer is not self._sender or not self._is_pictures:
            self._refuse(peer, "this page does not send pictures", "press Use this camera")
            return
        t_ns = time.monotonic_ns()
        if len(data) <= _HEADER.size or data[:4] != _PICTURE:
            self._refuse(peer, "a picture that is none", "reload the page")
            return
        _, seq, sender_t = _HEADER.unpack_from(data)
        peer.say("taken", seq=seq)
        jpeg = data[_HEADER.size :]
        reason = _why_no_picture(jpeg)
        if reason:
            self._refuse(peer, reason, "reload the page")
            return
        self._origins.note(t_ns, Origin(sender_t=sender_t if np.isfinite(sender_t) else None))
        self._source.push(_decoder_of(jpeg), t_ns)

    async def _grant(self, peer: Peer, words: Mapping[str, Any]) -> None:
        if self._source is None:
            peer.say(
                "camera",
                granted=False,
                why="This server shows a camera of its own.",
                remedy="To use this one, start it as: rtrecon serve",
            )
            return
        if self._sender is not None and self._sender is not peer:
            peer.say(
                "camera",
                granted=False,
                why=f"Page {self._sender.number} sends its camera already.",
                remedy="Switch it off there first; this page can watch.",
            )
            return
        if words.get("transport") == "webrtc" and not _has_webrtc():
            peer.say(
                "camera",
                granted=False,
                why="The server has no WebRTC.",
                remedy="Install it there with: pip install 'rtrecon[web]'",
            )
            return
        await self._hang_up()
        self._is_pictures = words.get("transport") == "ws"
        self._sender = peer
        peer.say("camera", granted=True, why="", remedy="")
        self._when_changed()

    async def _answer(self, peer: Peer, sdp: Any) -> None:
        if peer is not self._sender or self._source is None:
            raise ValueError("an offer comes after the camera was granted")
        if not isinstance(sdp, str):
            raise ValueError('"sdp" must be text')
        if "m=video" not in sdp:
            raise ValueError('"sdp" offers no picture')
        await self._hang_up()
        call = self._call = _Call(peer, self._note_frame)
        try:
            answer = await call.answer(sdp)
        except Exception as error:  # of a description that is none, in any way
            logger.debug("web: an offer that cannot be answered", exc_info=True)
            await self._hang_up()
            peer.say("error", code="webrtc", message=f"WebRTC does not come up: {error}"[:300],
                     remedy="add ?transport=ws to the page's address")  # fmt: skip
            return
        if call is self._call:
            peer.say("answer", sdp=answer)

    def _note_frame(self, frame: Any) -> None:
        if self._source is None:
            return
        t_ns = time.monotonic_ns()
        self._origins.note(t_ns, Origin(rtp=frame.pts))
        self._source.push(_converter_of(frame), t_ns)

    async def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(call.close(), _CLOSE_S)

    def _refuse(self, peer: Peer, message: str, remedy: str) -> None:
        self.refused += 1
        peer.say("error", code="picture", message=message, remedy=remedy)


class _Call:
    """One WebRTC connection: a video track in, a data channel out."""

    def __init__(self, peer: Peer, take_frame: Callable[[Any], None]) -> None:
        import aiortc

        self._peer, self._take_frame = peer, take_frame
        # Addresses of this machine alone: no server elsewhere is asked.
        self._connection: Any = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._description: Any = aiortc.RTCSessionDescription
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection.on("track", self._begin)
        self._connection.on("datachannel", self._open_channel)

    async def answer(self, sdp: str) -> str:
        """What the page is to be told."""
        connection = self._connection
        offer = self._description(sdp=_with_addresses(sdp), type="offer")
        await connection.setRemoteDescription(offer)
        await connection.setLocalDescription(await connection.createAnswer())
        text: str = connection.localDescription.sdp
        return text

    async def close(self) -> None:
        self._peer.channel = None
        for task in self._tasks:
            task.cancel()
        await self._connection.close()

    def _begin(self, track: Any) -> None:
        from rtrecon.outputs.web.prompt import hasten_pictures

        if track.kind == "video":
            for one in self._connection.getReceivers():
                if one.track is track and not hasten_pictures(one):
                    logger.debug("web: another aiortc, whose pictures come a little later")
            task = asyncio.ensure_future(self._drain(track))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self, track: Any) -> None:
        """Take all that comes, so that nothing piles up; the source keeps the newest."""
        from aiortc.mediastreams import MediaStreamError

        with contextlib.suppress(MediaStreamError):
            while True:
                self._take_frame(await track.recv())

    def _open_channel(self, channel: Any) -> None:
        if channel.label == "results":
            self._peer.channel = _ResultChannel(channel)


class _ResultChannel:
    """See `rtrecon.outputs.web.peer.Channel`."""

    def __init__(self, channel: Any) -> None:
        from rtrecon.outputs.web.prompt import send_at_once

        self._channel, self._send_at_once = channel, send_at_once
        self._sending: asyncio.Task[None] | None = None

    def is_open(self) -> bool:
        return bool(self._channel.readyState == "open")

    def send(self, data: bytes) -> bool:
        if self._channel.bufferedAmount > _MOST_WAITING:
            return False
        self._channel.send(data)
        self._sending = self._send_at_once(self._channel)  # kept, since the loop does not
        return True

    def fits(self, data: bytes) -> bool:
        return len(data) <= _LARGEST_OVER_CHANNEL


def _has_webrtc() -> bool:
    try:
        import aiortc  # noqa: F401
    except ImportError:
        return False
    return True


def _with_addresses(sdp: str) -> str:
    """``sdp`` without the names that browsers make up for their addresses.

    They would be looked up by asking the whole network. The browser finds us by our addresses.
    """
    return _SELF_MADE_NAME.sub("127.0.0.1", sdp)


def _why_no_picture(jpeg: bytes) -> str:
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    except ValueError:
        return "a picture that is no JPEG"
    if not (min(height, width) >= _LEAST_PX and max(height, width) <= _MOST_PX):
        return f"a picture of {width}x{height}: sides must be {_LEAST_PX} to {_MOST_PX} pixels"
    return ""


def _decoder_of(jpeg: bytes) -> Decode:
    def decode(out: BgrImage | None) -> BgrImage | None:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
        fits = out is not None and out.shape == (height, width, 3)
        made = simplejpeg.decode_jpeg(
            jpeg, colorspace="BGR", fastdct=True, buffer=out if fits else None
        )
        return np.asarray(made)

    return decode


def _converter_of(frame: Any) -> Decode:
    """Of a picture of aiortc's, which is decoded and not BGR yet."""

    def convert(out: BgrImage | None) -> BgrImage | None:
        height, width = frame.height, frame.width
        if not (min(height, width) >= _LEAST_PX and max(height, width) <= _MOST_PX):
            return None
        if frame.format.name != "yuv420p" or height % 2 or width % 2:
            return np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
        fits = out is not None and out.shape == (height, width, 3)
        planes = frame.to_ndarray()
        made = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420, dst=out if fits else None)
        return np.asarray(made, dtype=np.uint8)

    return convert
