"""A page's camera: over WebRTC by a peer of aiortc's, and by pictures on the WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import simplejpeg

import rtrecon
from rtrecon.capture.pushed import PushedSource
from rtrecon.outputs.web.output import WebOutput
from rtrecon.pipeline import ReconstructorConfig
from rtrecon.session import LiveSession
from rtrecon.types import BgrImage
from tests.outputs.doubles import PATIENCE_S
from tests.outputs.web.pages import Page, Received, page_of, run

aiortc = pytest.importorskip("aiortc")


@pytest.fixture(scope="module")
def portrait() -> BgrImage:
    with rtrecon.open_source("demo") as clip:
        frame = clip.read()
        assert frame is not None
        return frame.image


@pytest.fixture
def served(dome_model: Path) -> Iterator[WebOutput]:
    """A whole run that is fed by pages."""
    output, source = WebOutput("127.0.0.1:0", open=False), PushedSource("browser")
    output.take_camera_of_pages(source)
    config = ReconstructorConfig(model=str(dome_model), fov_deg=60.0)
    with LiveSession(source, outputs=[output], reconstructor=config, person="") as session:
        loop = threading.Thread(target=session.wait)
        loop.start()
        yield output
        session.stop()
        loop.join(PATIENCE_S)


def picture(image: BgrImage, seq: int, t: float) -> bytes:
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(image), colorspace="BGR")
    return struct.pack("<4sId", b"RTP1", seq, t) + jpeg


async def granted(page: Page, transport: str) -> None:
    await page.send("camera", on=True, transport=transport, width=640, height=480)
    answer = await page.text("camera")
    assert answer["granted"], answer


async def until_state(page: Page, **expected: Any) -> None:
    while True:
        state = await page.text("state")
        if expected.items() <= state.items():
            return


def test_pictures_on_the_websocket_come_back_as_faces(
    served: WebOutput, portrait: BgrImage
) -> None:
    async def work() -> None:
        async with page_of(served) as page:
            assert (await page.text("welcome"))["camera"] == "browser"
            await until_state(page, state="waiting", sender=None)
            await page.send("want", layers=["depth"])
            await granted(page, "ws")
            await until_state(page, sender=1)
            for seq, image in enumerate([portrait, portrait[::2, ::2], portrait]):
                await page.socket.send_bytes(picture(image, seq, 1000.5 + seq))
                assert (await page.text("taken"))["seq"] == seq
                received = await page.result()
                assert received.header["sender_t"] == 1000.5 + seq
                assert received.header["rtp"] is None
                assert received.header["width"] == image.shape[1]
                assert np.isfinite(received.depth_m()).sum() > 1000
            await page.send("camera", on=False)
            await until_state(page, state="waiting", sender=None)

    run(work)


def test_there_is_one_sender_until_it_leaves(served: WebOutput, portrait: BgrImage) -> None:
    async def work() -> None:
        async with page_of(served) as second:
            async with page_of(served) as first:
                await first.text("welcome")
                await granted(first, "ws")
                await second.send("camera", on=True, transport="ws")
                answer = await second.text("camera")
                assert not answer["granted"]
                assert "Switch it off there" in answer["remedy"]
                await second.socket.send_bytes(picture(portrait, 0, 0.0))
                assert (await second.text("error"))["code"] == "picture"
                await second.send("want", layers=[])  # it may watch
                await first.socket.send_bytes(picture(portrait, 1, 7.0))
                assert (await second.result()).header["sender_t"] == 7.0
            await until_state(second, sender=None)
            await granted(second, "ws")

    run(work)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RTP1",
        b"RTP1" + bytes(12),
        b"RTP1" + bytes(12) + b"no JPEG at all",
        b"XXXX" + bytes(2000),
        picture(np.zeros((8, 8, 3), np.uint8), 1, 0.0),
        picture(np.zeros((8, 5000, 3), np.uint8), 1, 0.0),
    ],
)
def test_what_is_no_picture_is_refused_and_the_next_is_taken(
    served: WebOutput, portrait: BgrImage, data: bytes
) -> None:
    async def work() -> None:
        async with page_of(served) as page:
            await page.send("want", layers=[])
            await granted(page, "ws")
            await page.socket.send_bytes(data)
            assert (await page.text("error"))["code"] == "picture"
            await page.socket.send_bytes(picture(portrait, 9, 3.0))
            assert (await page.result()).header["sender_t"] == 3.0

    run(work)


def test_a_picture_that_is_cut_off_costs_itself_alone(
    served: WebOutput, portrait: BgrImage
) -> None:
    async def work() -> None:
        async with page_of(served) as page:
            await page.send("want", layers=[])
            await granted(page, "ws")
            await page.socket.send_bytes(picture(portrait, 1, 1.0)[:-4000])
            await page.text("taken")
            await page.socket.send_bytes(picture(portrait, 2, 2.0))
            while (await page.result()).header["sender_t"] != 2.0:
                pass

    run(work)


class Clip(aiortc.MediaStreamTrack):  # type: ignore[misc]
    """One picture again and again, of a size that may be changed."""

    kind = "video"

    def __init__(self, image: BgrImage) -> None:
        super().__init__()
        self.image, self._count = image, 0

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(0.05)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(self.image), format="bgr24")
        frame.pts, frame.time_base = self._count * 4500, Fraction(1, 90000)
        self._count += 1
        return frame


class Caller:
    """A page's WebRTC."""

    def __init__(self, page: Page, image: BgrImage) -> None:
        self.page = page
        self.connection = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self.clip = Clip(image)
        self.connection.addTrack(self.clip)
        self.channel = self.connection.createDataChannel("results", ordered=False, maxRetransmits=0)
        self.results: asyncio.Queue[Received] = asyncio.Queue()
        self.channel.on("message", lambda data: self.results.put_nowait(Received.of(data)))

    async def call(self, hide: bool = False) -> None:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp = self.connection.localDescription.sdp
        if "candidate" not in sdp:
            pytest.skip("this machine has no network interface but the loopback")
        if hide:  # as browsers do
            name = "0b7a3f0e-5c7e-4b1c-9d5e-3d1f6f0c7a11.local"
            sdp = re.sub(r"(a=candidate:\S+ \d+ udp \d+ )\S+", rf"\g<1>{name}", sdp)
            assert name in sdp
        await self.page.send("offer", sdp=sdp)
        answer = await self.page.text("answer")
        await self.connection.setRemoteDescription(
            aiortc.RTCSessionDescription(sdp=answer["sdp"], type="answer")
        )

    async def result(self) -> Received:
        """The next one; answered with ``shown``."""
        reading = asyncio.ensure_future(self.results.get())
        async with asyncio.timeout(PATIENCE_S):
            while not reading.done():
                texts = asyncio.ensure_future(self.page.socket.receive())
                await asyncio.wait({reading, texts}, return_when=asyncio.FIRST_COMPLETED)
                if not texts.done():
                    texts.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await texts
        received = reading.result()
        await self.page.send("shown", seq=received.seq)
        return received


@pytest.mark.parametrize("hide", [False, True])
def test_a_camera_over_webrtc(served: WebOutput, portrait: BgrImage, hide: bool) -> None:
    async def work() -> None:
        async with page_of(served) as page:
            await page.send("want", layers=["depth"])
            await granted(page, "webrtc")
            caller = Caller(page, portrait)
            try:
                await caller.call(hide)
                first = await caller.result()
                while not first.header["faces"]:
                    first = await caller.result()
                assert np.isfinite(first.depth_m()).sum() > 1000
                later = await caller.result()
                assert later.header["sender_t"] is None
                assert (later.header["rtp"] - first.header["rtp"]) % 4500 == 0
                assert later.header["rtp"] > first.header["rtp"]
                caller.clip.image = portrait[::2, ::2]
                while later.header["width"] != portrait.shape[1] // 2:
                    later = await caller.result()
            finally:
                await caller.connection.close()

    run(work)


@pytest.mark.parametrize("sdp", ["", "garbage", "v=0\r\nm=video", 7, None, "v=0\r\n" * 5000])
def test_an_offer_that_is_none(served: WebOutput, portrait: BgrImage, sdp: Any) -> None:
    async def work() -> None:
        async with page_of(served) as page:
            await page.send("offer", sdp="v=0")
            assert (await page.text("error"))["code"] == "message"  # no camera was granted
            await granted(page, "webrtc")
            await page.send("offer", sdp=sdp)
            assert (await page.text("error"))["code"] in ("webrtc", "message")
            await granted(page, "ws")
            await page.send("want", layers=[])
            await page.socket.send_bytes(picture(portrait, 1, 1.0))
            assert (await page.result()).header["sender_t"] == 1.0

    run(work)
