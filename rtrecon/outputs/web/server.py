"""The server: one loop on one thread, HTTP for the files, a WebSocket for each page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import mimetypes
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from rtrecon._version import __version__
from rtrecon.capture.pushed import PushedSource
from rtrecon.errors import RtreconError
from rtrecon.outputs.web.guard import Guard, Rate, headers_for
from rtrecon.outputs.web.head_layer import head_json
from rtrecon.outputs.web.layers import Layers, read_want
from rtrecon.outputs.web.library_log import http_logger, note_of_loop
from rtrecon.outputs.web.listening import Address, listen
from rtrecon.outputs.web.models import FILE_NAMES, ModelFile, ModelFiles, NothingSeenError
from rtrecon.outputs.web.peer import Peer
from rtrecon.outputs.web.sender import Origins, SenderDesk
from rtrecon.outputs.web.wire import Message
from rtrecon.threads import start_thread

__all__ = ["CLOSES", "PROTOCOL", "Address", "Host", "ModelFiles", "Origins", "WebServer"]

logger = logging.getLogger(__name__)

PROTOCOL = 1
CLOSES = {
    "token": (4001, "the address needs its token: use the link that the terminal shows"),
    "origin": (4002, "this page was not loaded from this server"),
    "peers": (4003, "there are as many pages as this server takes: close one"),
    "flood": (4004, "too many or too large messages"),
    "ended": (4005, "the run has ended"),
    "protocol": (4006, "the page is of another version: reload it"),
}
_STATIC = Path(__file__).resolve().parent / "static"
_LARGEST_PICTURE, _LARGEST_TEXT = 2_000_000, 64_000
_PICTURES_HZ, _TEXTS_HZ, _SHOWN_HZ = 60, 50, 240
_HELLO_TIMEOUT_S = 10.0
_STATE_S = 0.5
_CLOSE_S = 1.0
_WORKERS = 4
_STILL_S = 0.1  # without a result in which the newest is packed once more for a page
_NO_PAGE = """<!doctype html><meta charset="utf-8"><title>rtrecon</title>
<p>The page of rtrecon is not in this installation: install it again.</p>"""


class Host(Protocol):
    """What the server shows of the run it belongs to; called on the server's loop."""

    def welcome(self) -> dict[str, Any]:
        """The run's part of ``welcome``."""

    def state(self) -> dict[str, Any]:
        """The run's part of ``state``."""

    def ask(self, what: str) -> str:
        """Ask the run for something; why not, or ""."""

    def settle(self) -> None:
        """Wait until what is being packed was published."""

    def refresh(self) -> None:
        """Pack the newest result once more; on any thread, may take some time."""

    async def model(self, name: str) -> ModelFile:
        """One of `FILE_NAMES`."""


class WebServer:
    """Owns its loop and its thread from `start` to `close`.

    Args:
        host: of the run.
        address: where to listen.
        guard: who may come in.
        source: where pictures of a page's camera go; None: they are not wanted.
        origins: what those are known by.
        tls: None: not encrypted.
        most_peers: pages at once.
    """

    def __init__(
        self,
        host: Host,
        address: Address,
        guard: Guard,
        *,
        most_peers: int,
        source: PushedSource | None = None,
        origins: Origins | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._desk = SenderDesk(source, origins or Origins(), self._say_state)
        self._host, self._address, self._guard = host, address, guard
        self._most_peers = most_peers
        self._thread: threading.Thread | None = None
        self._sockets: list[socket.socket] = []
        self._runner: web.AppRunner | None = None
        self._peers: tuple[Peer, ...] = ()
        self._numbers = 0
        self._said_state: dict[str, Any] = {}
        self._tasks: set[asyncio.Future[Any]] = set()
        self._is_closing = False
        self._refused = 0
        self._sent = self._skipped = 0  # of pages that are gone

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self._sockets[0].getsockname()[1]) if self._sockets else self._address.port

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The pages at this moment."""
        return self._peers

    def counts(self) -> dict[str, int]:
        """Of all pages there were: ``pages``, ``refused`` (not let in), ``sent`` and ``skipped``
        (results), ``pictures_refused`` (of senders)."""
        peers = self._peers
        return {
            "pages": self._numbers,
            "refused": self._refused,
            "sent": self._sent + sum(peer.sent for peer in peers),
            "skipped": self._skipped + sum(peer.skipped for peer in peers),
            "pictures_refused": self._desk.refused,
        }

    def start(self) -> None:
        """Listen.

        Raises:
            OutputError: the port is taken or may not be had, or the address is not ours.
        """
        self._sockets = [listen(self._address)]
        self._loop = asyncio.new_event_loop()
        self._executor = ThreadPoolExecutor(_WORKERS, "rtrecon-web-work")
        self._loop.set_default_executor(self._executor)
        try:
            self._thread = start_thread(self._serve, name="rtrecon-web")
            asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10.0)
        except BaseException:
            self.close()
            raise

    def publish(self, messages: Mapping[tuple[Layers, bool], Message]) -> None:
        """Hand a packed result to all pages; from any thread, does not wait."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._offer, messages)

    def close(self) -> None:
        """Say good-bye to all pages, end the loop and its thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with contextlib.suppress(Exception):
                asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(2 * _CLOSE_S)
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_CLOSE_S)
        for listening in self._sockets:
            listening.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(note_of_loop)
        try:
            self._loop.run_forever()
        finally:
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            # A file that is being made is not waited for: nobody is there to take it.
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._loop.close()

    async def _open(self) -> None:
        app = web.Application(middlewares=[self._check], client_max_size=_LARGEST_TEXT)
        app.router.add_get("/", self._page)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/head.json", self._head)
        for name in FILE_NAMES:
            app.router.add_get(f"/{name}", self._model)
        if _STATIC.is_dir():
            app.router.add_static("/static", _STATIC)
        mimetypes.add_type("text/javascript", ".js")  # Windows' registry may say otherwise
        mimetypes.add_type("text/javascript", ".mjs")
        mimetypes.add_type("application/wasm", ".wasm")
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=http_logger(),
            handle_signals=False,
            shutdown_timeout=_CLOSE_S,
        )
        await self._runner.setup()
        for listening in self._sockets:
            await web.SockSite(self._runner, listening, ssl_context=self._tls).start()
        self._do(self._tell_state())
        self._do(self._get_ready())

    async def _get_ready(self) -> None:
        """Make what the first page asks for first, which takes a second."""
        with contextlib.suppress(RtreconError):  # it is told when it is asked for
            await self._loop.run_in_executor(None, head_json)

    async def _close(self) -> None:
        self._is_closing = True
        code, why = CLOSES["ended"]
        for peer in self._peers:
            peer.say("state", **{**self._state_of(peer), "state": "ended"})
        await asyncio.sleep(0)  # the last words are sent
        closing = [peer.socket.close(code=code, message=why.encode()) for peer in self._peers]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), _CLOSE_S)
        await self._desk.close()
        for task in self._tasks:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    def _do(self, work: Awaitable[Any]) -> asyncio.Future[Any]:
        """Have ``work`` done; an error of it is said."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("web: %r", error)
            logger.debug("web", exc_info=error)

    @web.middleware
    async def _check(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Nobody comes past without a token and from elsewhere; says what browsers may do."""
        if not self._guard.allows_host(request.headers):
            self._refused += 1
            return web.Response(status=421, text="this server is reached as localhost alone\n")
        if request.path == "/ws":  # refuses by close codes, which a page can read
            return await handler(request)
        query = request.query.get("token")
        if not self._guard.knows(query, request.cookies.get(self._guard.cookie)):
            self._refused += 1
            return web.Response(status=403, text=CLOSES["token"][1] + "\n")
        try:
            response = await handler(request)
        except web.HTTPException as error:
            response = web.Response(status=error.status, text=f"{error.reason}\n")
        except RtreconError as error:
            response = web.Response(status=500, text=f"{error}\n")
        except Exception as error:
            logger.error("web: %s failed: %r", request.path, error)
            logger.debug("web", exc_info=True)
            response = web.Response(status=500, text="this failed: see the terminal\n")
        for name, value in headers_for(_page_text()).items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-cache")
        if query and self._guard.has_token:
            response.set_cookie(
                self._guard.cookie, query, httponly=True, samesite="Strict", path="/",
                secure=request.secure,
            )  # fmt: skip
        return response

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text=_page_text() or _NO_PAGE, content_type="text/html")

    async def _head(self, _: web.Request) -> web.StreamResponse:
        text = await self._loop.run_in_executor(None, head_json)
        response = web.Response(body=text, content_type="application/json")
        response.enable_compression()
        return response

    async def _model(self, request: web.Request) -> web.StreamResponse:
        name = request.path[1:]
        try:
            made = await self._host.model(name)
        except NothingSeenError:
            words = "no face was seen yet: look into the camera and try again\n"
            return web.Response(status=404, text=words)
        headers = {"ETag": f'"{made.tag}"'}
        if made.tag in (request.headers.get("If-None-Match") or ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=made.data, content_type="model/gltf-binary", headers=headers)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        stream = web.WebSocketResponse(
            max_msg_size=_LARGEST_PICTURE + 1024, heartbeat=30.0, compress=False, timeout=_CLOSE_S
        )
        await stream.prepare(request)
        refusal = self._refusal(request)
        if refusal:
            self._refused += 1
            code, why = CLOSES[refusal]
            await stream.close(code=code, message=why.encode())
            return stream
        self._numbers += 1
        peer = Peer(self._numbers, stream, self._refresh_soon, self._refresh_now)
        self._peers = (*self._peers, peer)
        sending = self._do(peer.send_all())
        try:
            await self._converse(peer)
        finally:
            self._peers = tuple(p for p in self._peers if p is not peer)
            self._sent += peer.sent
            self._skipped += peer.skipped
            sending.cancel()
            await self._desk.leave(peer)
            self._say_state()
        return stream

    def _refusal(self, request: web.Request) -> str:
        if not self._guard.allows_origin(request.headers):
            return "origin"
        cookie = request.cookies.get(self._guard.cookie)
        if not self._guard.knows(request.query.get("token"), cookie):
            return "token"
        if self._is_closing:
            return "ended"
        return "peers" if len(self._peers) >= self._most_peers else ""

    async def _converse(self, peer: Peer) -> None:
        stream = peer.socket
        pictures, texts, shown = Rate(_PICTURES_HZ), Rate(_TEXTS_HZ), Rate(_SHOWN_HZ)
        greeted = False
        async with contextlib.AsyncExitStack() as limits:
            deadline = await limits.enter_async_context(asyncio.timeout(_HELLO_TIMEOUT_S))
            async for message in stream:
                if message.type == WSMsgType.BINARY:
                    if not pictures.allows():
                        await self._end(peer, "flood")
                        return
                    if greeted:
                        self._desk.take(peer, message.data)
                    continue
                if message.type != WSMsgType.TEXT:
                    continue
                words = _read(message.data)
                rate = shown if words.get("type") == "shown" else texts
                if len(message.data) > _LARGEST_TEXT or not rate.allows():
                    await self._end(peer, "flood")
                    return
                if not greeted:
                    if words.get("type") != "hello":
                        peer.say("error", code="hello", message="the first message must be hello",
                                 remedy="reload the page")  # fmt: skip
                        continue
                    if words.get("protocol") != PROTOCOL:
                        await self._end(peer, "protocol")
                        return
                    greeted = True
                    deadline.reschedule(None)
                    self._greet(peer)
                    continue
                await self._obey(peer, words)

    def _greet(self, peer: Peer) -> None:
        peer.say(
            "welcome",
            protocol=PROTOCOL,
            version=__version__,
            **self._host.welcome(),
            peer=peer.number,
            limits={
                "peers": self._most_peers,
                "picture_bytes": _LARGEST_PICTURE,
                "rate_hz": _PICTURES_HZ,
            },
            has_token=self._guard.has_token,
            ice_servers=[],
        )
        self._say_state()

    async def _obey(self, peer: Peer, words: Mapping[str, Any]) -> None:
        kind = words.get("type")
        try:
            if kind == "want":
                peer.want = read_want(words)
                peer.begin_anew()
                self._refresh_soon(peer)
            elif kind == "shown":
                seq = words.get("seq")
                if isinstance(seq, int):
                    peer.note_shown(seq)
            elif kind == "ping":
                peer.say("pong", t=words.get("t"), server_t_ms=round(self._loop.time() * 1e3, 3))
            elif kind == "ask":
                self._ask(peer, words.get("what"))
            elif not await self._desk.obey(peer, words):
                peer.say("error", code="unknown", message=f"there is no message {str(kind)[:40]!r}",
                         remedy="reload the page")  # fmt: skip
        except (ValueError, TypeError) as error:
            peer.say("error", code="message", message=f"{kind}: {error}", remedy="reload the page")

    def _ask(self, peer: Peer, what: Any) -> None:
        reason = self._host.ask(what) if isinstance(what, str) else "it must be a name"
        if reason:
            peer.say("error", code="ask", message=reason, remedy="")

    async def _end(self, peer: Peer, reason: str) -> None:
        code, why = CLOSES[reason]
        self._refused += 1
        text = json.dumps({"type": "error", "code": reason, "message": why, "remedy": ""})
        with contextlib.suppress(ConnectionError, RuntimeError):
            await peer.socket.send_str(text)
        await peer.socket.close(code=code, message=why.encode())

    def _offer(self, messages: Mapping[tuple[Layers, bool], Message]) -> None:
        for peer in self._peers:
            peer.offer(messages)

    def _refresh_soon(self, peer: Peer) -> None:
        """Show the page something even if no new result comes."""
        self._do(self._refresh(peer))

    def _refresh_now(self) -> None:
        """Pack the newest result for pages that missed it while they were busy."""
        self._do(self._in_executor(self._host.refresh))

    async def _in_executor(self, work: Callable[[], None]) -> None:
        await self._loop.run_in_executor(None, work)

    async def _refresh(self, peer: Peer) -> None:
        await asyncio.sleep(_STILL_S)
        await self._loop.run_in_executor(None, self._host.settle)
        if peer in self._peers and peer.is_waiting_for_news:
            await self._loop.run_in_executor(None, self._host.refresh)

    async def _tell_state(self) -> None:
        while True:
            await asyncio.sleep(_STATE_S)
            self._say_state()

    def _say_state(self) -> None:
        if self._is_closing:
            return
        for peer in self._peers:
            peer.say("state", **self._state_of(peer))

    def _state_of(self, peer: Peer) -> dict[str, Any]:
        return {
            **self._host.state(),
            "viewers": len(self._peers),
            "sender": self._desk.number,
            "sent": peer.sent,
            "skipped": peer.skipped,
        }


def _page_text() -> str:
    try:
        return (_STATIC / "index.html").read_text(encoding="utf-8")
    except OSError:
        return ""


def _read(text: str) -> Mapping[str, Any]:
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return words if isinstance(words, dict) else {}
