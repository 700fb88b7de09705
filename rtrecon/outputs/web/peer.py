"""One page that is connected: what it wants, what is under way to it, and who sends to it.

All of it belongs to the server's loop, but for what `demand` reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from rtrecon.outputs.web.layers import Layers, Want
from rtrecon.outputs.web.wire import Message

__all__ = ["Channel", "Peer"]

_MOST_UNDER_WAY = 2
_ASLEEP_S = 2.0  # without a word that a result was shown
_SOON_S = 0.03  # a result is made in that time
_LOST_S = 0.5  # a result over a channel that loses some has come by then, or never does
_MOST_TEXTS = 64  # that wait for one page; older ones are worth nothing then


class Channel(Protocol):
    """A data channel for results: takes a message at once, or drops it."""

    def is_open(self) -> bool:
        """Whether messages go over it now."""

    def fits(self, data: bytes) -> bool:
        """Whether a message is not too long for it."""

    def send(self, data: bytes) -> bool:
        """Send, unless too much waits already."""


class Peer:
    """A page.

    Args:
        number: of it in this run, from 1.
        socket: its WebSocket, prepared.
        when_awake: called when it is ready again after it was asleep.
        when_ready: called when it may be sent a result again and there is a newer one.
    """

    def __init__(
        self,
        number: int,
        socket: web.WebSocketResponse,
        when_awake: Callable[[Peer], None],
        when_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.number, self.socket = number, socket
        self._when_ready = when_ready
        self.channel: Channel | None = None
        self.sent = self.skipped = 0
        self.want: Want | None = None
        self._when_awake = when_awake
        self._tints: frozenset[int] = frozenset()
        self._texts: deque[str] = deque(maxlen=_MOST_TEXTS)
        self._waiting: Message | None = None
        self._under_way: dict[int, tuple[float, frozenset[int]]] = {}
        self._newest_seq = -1
        self._next_s = 0.0
        self._was_asleep = False
        self._has_missed = False
        self._changed = asyncio.Event()

    @property
    def is_asleep(self) -> bool:
        """It has not said for some time that it has shown what was sent: nothing is made for it."""
        sent = next(iter(self._under_way.values()), None)
        return (
            len(self._under_way) >= _MOST_UNDER_WAY
            and sent is not None
            and time.monotonic() - sent[0] > _ASLEEP_S
        )

    def demand(self) -> tuple[Layers, frozenset[int]] | None:
        """What to pack for it, and the tints that it has; None: nothing. From any thread.

        For a page that is busy with two results nothing is packed: it gets the newest as soon as
        it has shown one of them.
        """
        want = self.want
        if want is None:
            return None
        if self.is_asleep:
            self._was_asleep = True
            return None
        if self._is_busy():
            self._has_missed = True
            return None
        self._has_missed = False
        return want.layers, self._tints

    @property
    def is_ready(self) -> bool:
        """Whether it would be sent a result now, or soon enough. From any thread."""
        is_early = time.monotonic() < self._next_s - _SOON_S
        return self.want is not None and not (is_early or self._is_busy() or self.is_asleep)

    @property
    def has_missed(self) -> bool:
        """Whether a result came while it was busy, and none was packed for it since."""
        return self._has_missed

    def _is_busy(self) -> bool:
        """Whether as much is under way as may be; over a channel, what is not lost by now."""
        channel = self.channel
        sent = list(self._under_way.values())
        if channel is not None and channel.is_open():
            oldest_s = time.monotonic() - _LOST_S
            sent = [entry for entry in sent if entry[0] > oldest_s]
        return len(sent) >= _MOST_UNDER_WAY

    @property
    def is_waiting_for_news(self) -> bool:
        """Whether nothing was offered to it since it has begun anew."""
        return self._newest_seq < 0

    def say(self, kind: str, **words: Any) -> None:
        """Send a text message."""
        self._texts.append(json.dumps({"type": kind, **words}, separators=(",", ":")))
        self._changed.set()

    def offer(self, messages: Mapping[tuple[Layers, bool], Message]) -> None:
        """Send one of these as soon as the page is ready, unless a newer one comes first."""
        if self.want is None:
            return
        plain = messages.get((self.want.layers, False))
        message = plain if plain is not None and plain.tints <= self._tints else None
        message = message or messages.get((self.want.layers, True)) or plain
        if message is None or message.seq <= self._newest_seq:
            return
        if self._waiting is not None:
            self.skipped += 1
        self._waiting = message
        self._newest_seq = message.seq
        self._changed.set()

    def begin_anew(self) -> None:
        """What was sent, and what waits, is not what is wanted now."""
        self._waiting, self._newest_seq = None, -1

    def note_shown(self, seq: int) -> None:
        """The page has shown the result of this number, or left it out."""
        entry = self._under_way.get(seq)
        if entry is None:
            return
        if entry[1]:
            self._tints = entry[1]
        # What was sent before and is not said is lost, or was overtaken.
        self._under_way = {n: e for n, e in self._under_way.items() if n > seq}
        self._changed.set()
        if self._was_asleep:
            self._was_asleep = False
            self.begin_anew()  # what waits is hours old, maybe
            self._when_awake(self)
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        if self._has_missed and self._waiting is None and not self._is_busy():
            self._when_ready()

    async def send_all(self) -> None:
        """Send what there is to send, until it is cancelled or the page is gone."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not self.socket.closed:
                self._changed.clear()
                while self._texts:
                    await self.socket.send_str(self._texts.popleft())
                self._catch_up()  # what was under way may have been lost
                wait_s = self._time_to_next()
                if wait_s == 0.0:
                    await self._send_result()
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), wait_s)

    def _time_to_next(self) -> float | None:
        """Seconds until the result that waits may go; None: something must happen first."""
        if self._waiting is None:
            return None
        now_s = time.monotonic()
        lossy = self.channel is not None and self.channel.is_open()
        if lossy:
            self._under_way = {n: e for n, e in self._under_way.items() if now_s - e[0] < _LOST_S}
        if len(self._under_way) >= _MOST_UNDER_WAY:
            return _LOST_S if lossy else None
        return max(0.0, self._next_s - now_s)

    async def _send_result(self) -> None:
        message, self._waiting = self._waiting, None
        if message is None or self.want is None:
            return
        now_s = time.monotonic()
        # A little early, so that a rate that is the results' own leaves none of them out.
        self._next_s = max(now_s - 0.005, self._next_s) + 0.9 / self.want.max_hz
        tints = message.tints if message.has_tints else frozenset()
        self._under_way[message.seq] = (now_s, tints)
        channel = self.channel
        if channel is not None and channel.is_open() and channel.fits(message.data):
            if not channel.send(message.data):
                self._under_way.pop(message.seq, None)
                self.skipped += 1
                return
        else:
            await self.socket.send_bytes(message.data)
        self.sent += 1
