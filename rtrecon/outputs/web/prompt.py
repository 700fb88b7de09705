"""aiortc without two waits of its own, which cost a page more than reconstruction does.

There is no option for either, so this reaches into it. Where another version is made otherwise,
nothing is changed, and results only come later; the tests say that.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from aiortc.jitterbuffer import JitterBuffer, JitterFrame

__all__ = ["PromptBuffer", "hasten_pictures", "send_at_once"]

_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_MOST_BEHIND = 45_000  # half a second of video's 90 kHz
_PARTS = ("_outbound_queue", "_flight_size", "_cwnd", "_transmit")


class PromptBuffer(JitterBuffer):
    """Gives a picture with the packet that is marked as its last (RFC 3550, 5.1; RFC 7741, 4.1).

    aiortc's own waits for the first packet of the next picture, 50 ms later at 20 Hz. It also waits
    for a lost packet until 128 others have come, and then goes on as late as it is: this one gives
    up what is half a second behind, and asks for a whole picture.
    """

    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        """As aiortc's: whether a whole picture must be asked for, and one that is complete."""
        wants_whole, frame = super().add(packet)
        if frame is None:
            frame = self._take_marked()
        if self._behind(packet) > _MOST_BEHIND:
            self.remove(self.capacity)
            self._origin = (packet.sequence_number + 1) % (1 << 16)
            return True, None
        return wants_whole, frame

    def _behind(self, newest: Any) -> int:
        """By how much the oldest packet that waits is older, in units of RTP's clock."""
        first: Any = self._origin
        for count in range(self.capacity):
            packet: Any = self._packets[(first + count) % self.capacity]
            if packet is not None:
                behind = int(newest.timestamp - packet.timestamp) % (1 << 32)
                return behind if behind < 1 << 31 else 0
        return 0

    def _take_marked(self) -> JitterFrame | None:
        data: list[bytes] = []
        first: Any = self._origin
        for count in range(self.capacity):
            packet: Any = self._packets[(first + count) % self.capacity]
            if packet is None:
                return None
            data.append(packet._data)
            if packet.marker:
                self.remove(count + 1)
                return JitterFrame(b"".join(data), packet.timestamp)
        return None


def hasten_pictures(receiver: Any) -> bool:
    """Have an ``RTCRtpReceiver`` of video decode a picture when it is complete; before it starts.

    Returns:
        Whether that could be done.
    """
    usual = getattr(receiver, _BUFFER, None)
    if type(usual) is not JitterBuffer:
        return False
    setattr(receiver, _BUFFER, PromptBuffer(usual.capacity, is_video=True))
    return True


def send_at_once(channel: Any) -> asyncio.Task[None] | None:
    """Send all of what an ``RTCDataChannel`` was given that the congestion window has room for.

    aiortc sends four packets and waits for word of them, eight times for a result.

    Returns:
        What does it; None where it cannot be done.
    """
    transport = getattr(channel, "transport", None)
    if not all(hasattr(transport, name) for name in _PARTS):
        return None
    return asyncio.ensure_future(_fill(transport))


async def _fill(transport: Any) -> None:
    with contextlib.suppress(ConnectionError):  # it is hung up meanwhile
        while transport._outbound_queue and transport._flight_size < transport._cwnd:
            before = transport._flight_size
            await transport._transmit()
            if transport._flight_size <= before:
                return
