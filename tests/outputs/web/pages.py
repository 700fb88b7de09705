"""A page in Python: what it is told, and what it does with a result."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import simplejpeg

from rtrecon.outputs.web.output import WebOutput
from tests.outputs.doubles import PATIENCE_S


@dataclass
class Received:
    """A result, taken apart."""

    header: dict[str, Any]
    blobs: bytes
    size: int

    @classmethod
    def of(cls, data: bytes) -> Received:
        assert data[:4] == b"RTR1"
        (length,) = struct.unpack("<I", data[4:8])
        assert length % 4 == 0
        return cls(json.loads(data[8 : 8 + length]), data[8 + length :], len(data))

    @property
    def seq(self) -> int:
        return int(self.header["seq"])

    @property
    def face(self) -> dict[str, Any]:
        face: dict[str, Any] = self.header["faces"][0]
        return face

    def blob(self, place: list[int]) -> bytes:
        offset, length = place
        assert offset % 4 == 0
        assert offset + length <= len(self.blobs)
        return self.blobs[offset : offset + length]

    def jpeg(self, place: list[int]) -> np.ndarray:
        return np.asarray(simplejpeg.decode_jpeg(self.blob(place), colorspace="BGR"))

    def depth_m(self) -> np.ndarray:
        """(h, w), NaN off the face."""
        depth = self.face["depth"]
        flat = np.frombuffer(zlib.decompress(self.blob(depth["blob"])), "<u2")
        rows = flat.reshape(depth["height"], depth["width"])
        values = np.cumsum(rows, axis=0, dtype=np.uint16).astype(np.float64)
        metres = depth["base_m"] + (values - 1) * depth["step_m"]
        return np.where(values > 0, metres, np.nan)

    def head_camera(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3) vertices in the camera frame, and (n,) shares."""
        head = self.face["head"]
        raw, n = zlib.decompress(self.blob(head["blob"])), head["count"]
        steps = np.frombuffer(raw[: 6 * n], "<i2").reshape(3, n)
        offsets = np.cumsum(steps, axis=1, dtype=np.int16).T * head["step_m"]
        R = np.array(head["R"]).reshape(3, 3)
        return (rest + offsets) @ R.T + head["t"], np.frombuffer(raw[6 * n :], np.uint8)


class Page:
    """An open WebSocket; says ``hello`` by itself unless told not to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.texts: list[dict[str, Any]] = []
        self.results: list[Received] = []
        self.closed: int | None = None

    async def send(self, kind: str, **words: Any) -> None:
        await self.socket.send_json({"type": kind, **words})

    async def until(self, seen: Callable[[Page], bool]) -> None:
        """Read until something is there, or the server hangs up; fails after a long time."""
        async with asyncio.timeout(PATIENCE_S):
            while not seen(self):
                message = await self.socket.receive()
                if message.type == aiohttp.WSMsgType.TEXT:
                    self.texts.append(json.loads(message.data))
                elif message.type == aiohttp.WSMsgType.BINARY:
                    self.results.append(Received.of(message.data))
                else:
                    self.closed = self.socket.close_code
                    assert seen(self), f"closed: {self.closed}"
                    return

    async def text(self, kind: str) -> dict[str, Any]:
        """The next text of a kind that was not read yet."""
        while True:
            for k, words in enumerate(self.texts):
                if words["type"] == kind:
                    return self.texts.pop(k)
            count = len(self.texts)
            await self.until(lambda page, n=count: len(page.texts) > n)  # type: ignore[misc]

    async def result(self) -> Received:
        """The next one; answered with ``shown``."""
        await self.until(lambda page: bool(page.results))
        received = self.results.pop(0)
        await self.send("shown", seq=received.seq)
        return received

    async def end(self) -> int | None:
        """The code that the server closes with."""
        await self.until(lambda page: page.closed is not None)
        return self.closed


@contextlib.asynccontextmanager
async def page_of(
    output: WebOutput, query: str = "", *, greet: bool = True, **options: Any
) -> AsyncIterator[Page]:
    base = output.url.partition("?")[0]
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{base}ws{query}", max_msg_size=0, **options) as socket,
    ):
        page = Page(socket)
        if greet:
            await page.send("hello", protocol=1, agent="test")
        yield page


async def fetch(
    output: WebOutput, path: str, **options: Any
) -> tuple[int, Mapping[str, str], bytes]:
    base = output.url.partition("?")[0]
    async with aiohttp.ClientSession() as client, client.get(base + path, **options) as answer:
        return answer.status, answer.headers, await answer.read()


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's own loop, which is not the server's."""

    async def limited() -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            await work()

    asyncio.run(limited())
