"""Where aiortc is made to wait less: with the very aiortc that is installed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="the extra `web` is not installed")

import aiortc
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from rtrecon.outputs.web.prompt import PromptBuffer, hasten_pictures, send_at_once


def packet(number: int, picture: int, *, is_last: bool = False) -> RtpPacket:
    made = RtpPacket(
        payload_type=96, marker=int(is_last), sequence_number=number % 65536, timestamp=picture
    )
    made._data = b"%d;" % number
    return made


def given(buffer: JitterBuffer, *packets: RtpPacket) -> list[tuple[int, bytes]]:
    frames = (buffer.add(one)[1] for one in packets)
    return [(frame.timestamp, frame.data) for frame in frames if frame is not None]


def test_a_picture_is_given_with_its_last_packet() -> None:
    buffer = PromptBuffer(capacity=16, is_video=True)
    assert given(buffer, packet(65535, 1)) == []
    assert given(buffer, packet(0, 1, is_last=True)) == [(1, b"65535;0;")]
    assert given(buffer, packet(1, 2, is_last=True)) == [(2, b"1;")]


def test_packets_that_overtake_each_other_are_put_in_order() -> None:
    buffer = PromptBuffer(capacity=16, is_video=True)
    assert given(buffer, packet(7, 1, is_last=True)) == [(1, b"7;")]
    late = [packet(9, 2), packet(10, 2, is_last=True), packet(8, 2)]
    assert given(buffer, *late) == [(2, b"8;9;10;")]


def test_a_picture_without_a_mark_is_given_with_the_next_as_ever() -> None:
    buffer = PromptBuffer(capacity=16, is_video=True)
    assert given(buffer, packet(1, 1), packet(2, 1)) == []
    assert given(buffer, packet(3, 2)) == [(1, b"1;2;")]
    assert given(buffer, packet(4, 2, is_last=True)) == [(2, b"3;4;")]


def test_a_lost_packet_asks_for_a_whole_picture_as_ever() -> None:
    plain, prompt = JitterBuffer(16, is_video=True), PromptBuffer(16, is_video=True)
    for buffer in (plain, prompt):
        buffer.add(packet(1, 1))
    numbers = range(3, 40)  # 2 is lost
    asked = [[buffer.add(packet(n, n))[0] for n in numbers] for buffer in (plain, prompt)]
    assert any(asked[1])
    assert asked[0].index(True) == asked[1].index(True)


def test_what_is_half_a_second_behind_is_given_up() -> None:
    buffer = PromptBuffer(capacity=512, is_video=True)
    assert given(buffer, packet(1, 0, is_last=True)) == [(0, b"1;")]
    late = [(n, 4500 * (n - 1)) for n in range(3, 40)]  # 2 is lost; 20 pictures a second
    answers = [buffer.add(packet(n, t, is_last=True)) for n, t in late]
    asked = [k for k, (wants_whole, _) in enumerate(answers) if wants_whole]
    assert len(asked) == 1
    assert 10 <= asked[0] <= 12
    assert all(frame is None for _, frame in answers[: asked[0]])
    given_then = [frame.timestamp for _, frame in answers[asked[0] + 1 :] if frame is not None]
    assert given_then == [t for _, t in late[asked[0] + 1 :]]


def test_a_retransmission_in_time_is_waited_for() -> None:
    buffer = PromptBuffer(capacity=512, is_video=True)
    given(buffer, packet(1, 0, is_last=True))
    late = [packet(n, 4500 * (n - 1), is_last=True) for n in (3, 4, 5, 2)]
    assert given(buffer, *late) == [(4500, b"2;")]
    assert not any(buffer.add(packet(n, 4500 * (n - 1), is_last=True))[0] for n in (6, 7))


def test_a_picture_that_takes_long_and_a_pause_are_no_reason() -> None:
    buffer = PromptBuffer(capacity=512, is_video=True)
    slow = [packet(n, 90_000, is_last=n == 99) for n in range(100)]
    assert [buffer.add(one)[0] for one in slow] == 100 * [False]
    assert buffer.add(packet(100, 900_000, is_last=True))[0] is False


async def connected() -> tuple[Any, Any, list[Any], list[bytes]]:
    """Two ends, a data channel that may lose messages, and what came at the far end."""
    near, far = aiortc.RTCPeerConnection(), aiortc.RTCPeerConnection()
    near.addTransceiver("video", direction="sendonly")
    channel = near.createDataChannel("results", ordered=False, maxRetransmits=0)
    tracks: list[Any] = []
    came: list[bytes] = []
    far.on("track", tracks.append)
    far.on("datachannel", lambda found: found.on("message", came.append))
    await near.setLocalDescription(await near.createOffer())
    await far.setRemoteDescription(near.localDescription)
    await far.setLocalDescription(await far.createAnswer())
    await near.setRemoteDescription(far.localDescription)
    async with asyncio.timeout(30):
        while channel.readyState != "open":
            await asyncio.sleep(0.01)
    return near, far, [channel, *tracks], came


def test_this_aiortc_can_be_hastened() -> None:
    async def work() -> None:
        near, far, (channel, track), came = await connected()
        try:
            (receiver,) = [one for one in far.getReceivers() if one.track is track]
            assert hasten_pictures(receiver)
            assert not hasten_pictures(receiver)  # once is enough
            transport = channel.transport
            for _ in range(20):  # until the window is open
                channel.send(bytes(30_000))
                sending = send_at_once(channel)
                assert sending is not None
                await sending
                under_way = transport._flight_size
                async with asyncio.timeout(30):
                    while transport._flight_size or transport._outbound_queue:
                        await asyncio.sleep(0.005)
            assert under_way > 8 * 1200  # and not four packets
            assert [len(data) for data in came] == 20 * [30_000]
        finally:
            await near.close()
            await far.close()

    asyncio.run(work())


def test_another_aiortc_is_left_as_it_is() -> None:
    assert not hasten_pictures(object())
    assert send_at_once(object()) is None
