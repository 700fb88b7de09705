"""``--out web``: the page, fed by a run."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
import threading
import time
import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.capture.pushed import PushedSource
from rtrecon.console import say
from rtrecon.errors import ArgumentError, MissingExtraError, RtreconError
from rtrecon.output import Command, Output, Run
from rtrecon.outputs.avatar_output import names_port, parse_address
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.outputs.web import certificate, invite
from rtrecon.outputs.web.guard import Guard, is_loopback
from rtrecon.outputs.web.wire import ResultPacker
from rtrecon.result import LiveResult
from rtrecon.stats import Samples
from rtrecon.threads import start_thread

if TYPE_CHECKING:
    from rtrecon.outputs.web.peer import Peer

__all__ = ["DEFAULT_PORT", "WebOutput"]

logger = logging.getLogger(__name__)

DEFAULT_PORT = 8765
_ALL = ("0.0.0.0", "::")
_LEAST_TOKEN, _TOKEN = 6, re.compile(r"[\w-]+", re.ASCII)
_ASKS: tuple[Command, ...] = ("calibrate", "mirror", "snapshot", "record")


class WebOutput(Output):
    """Shows results on a page in the browser, to any number of viewers (docs/web.md).

    Needs aiohttp: ``pip install 'rtrecon[web]'``. A page that is slow gets fewer results, and none
    of the others waits for it; what nobody wants is not made.

    Args:
        target: host and port to listen on; without a port the first free one from 8765 on.
        open: open the page in the browser.
        token: that the address must have; "": none here, a random one for other machines.
        peers: pages at once.
        tls_cert, tls_key: PEM files; without them other machines get a certificate of our own.
    """

    name = "web"
    summary = "a page in the browser: picture, 3D face, avatar, headset; for any number of viewers"
    is_view = True
    close_timeout_s = 5.0

    def __init__(
        self,
        target: str = "127.0.0.1",
        *,
        open: bool = True,  # noqa: A002  (as it is called on the command line)
        token: str = "",
        peers: int = 8,
        tls_cert: Path | None = None,
        tls_key: Path | None = None,
    ) -> None:
        is_any = target.endswith(":0")  # any that is free
        host, port = parse_address(target.removesuffix(":0"), "127.0.0.1", DEFAULT_PORT)
        if not 1 <= peers <= 1000:
            raise ArgumentError(f"web: peers must be 1 to 1000, not {peers}")
        if token and not (_LEAST_TOKEN <= len(token) <= 200 and _TOKEN.fullmatch(token)):
            raise ArgumentError(
                f"web: a token must be {_LEAST_TOKEN} to 200 letters, digits, - and _"
            )
        if tls_key is not None and tls_cert is None:
            raise ArgumentError("web: a key for TLS needs its certificate")
        self._tls_cert, self._tls_key = tls_cert, tls_key
        self._tls: Any = None
        self._listen = (host, 0, True) if is_any else (host, port, names_port(target))
        self._opens, self._token, self._most_peers = open, token, peers
        self._target = target
        self._run = Run()
        self._avatars = AvatarRun(Run())
        self._stage: AvatarStage | None = None
        self._server: Any = None
        self._packer = ResultPacker()
        self._packing = threading.Lock()
        self._packing_ms = Samples(1 << 10)
        self._latest: LiveResult | None = None
        self._avatar: AvatarFrame | None = None
        self._seq = 0
        self._models: Any = None
        self._source: PushedSource | None = None
        self._origins: Any = None

    def take_camera_of_pages(self, source: PushedSource) -> None:
        """Have a page's camera feed ``source``, which is the run's; before it is opened."""
        self._source = source

    @classmethod
    def missing(cls) -> str:
        """Whether the server's library is there."""
        try:
            _import_server()
        except MissingExtraError as error:
            return str(error)
        return ""

    @property
    def target(self) -> str:
        """Host and port."""
        return self._target

    @property
    def url(self) -> str:
        """Of the page, for this machine; with its token."""
        host = self._listen[0]
        return self._url("localhost" if host in _ALL else host)

    def _url(self, host: str) -> str:
        shown = f"[{host}]" if ":" in host else host
        query = f"?token={self._token}" if self._token else ""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{shown}:{self._server.port}/{query}"

    def open(self, run: Run) -> None:
        """Listen, and open the page.

        Raises:
            MissingExtraError: aiohttp, or what makes certificates, is not installed.
            DataError: the certificate cannot be used.
            OutputError: the address cannot be listened on.
        """
        server = _import_server()
        self._run = run
        self._avatars = AvatarRun.of(run)
        self._stage = self._avatars.stage(AvatarSettings())
        host, port, is_named = self._listen
        only_here = is_loopback(host)
        if self._tls_cert is not None:
            self._tls = certificate.context_of(self._tls_cert, self._tls_key)
        elif not only_here:
            self._tls = certificate.own_context(invite.names_of(host))
        if not only_here and not self._token:
            self._token = secrets.token_urlsafe(16)
        guard = Guard(self._token, only_here=only_here)
        self._origins = server.Origins()
        self._models = server.ModelFiles(run.ipd_mm)
        self._server = server.WebServer(
            self,
            server.Address(host, port, is_named),
            guard,
            most_peers=self._most_peers,
            source=self._source,
            origins=self._origins,
            tls=self._tls,
        )
        self._server.start()
        self._target = f"{host}:{self._server.port}"
        self._invite(only_here)
        if self._opens and _has_browser():
            start_thread(_show, self.url, name="rtrecon-browser")

    def _invite(self, only_here: bool) -> None:
        """Say where the page is. Logs hide tokens, so that goes to standard output."""
        if only_here:
            (say if self._token else logger.info)(f"the page: {self.url}")
            return
        host = self._listen[0]
        found = invite.addresses_here() if host in _ALL else [host]
        urls = [self._url(address) for address in found] or [self.url]
        say(f"the page, for whoever has this address: {urls[0]}")
        for url in urls[1:]:
            say(f"    or {url}")
        code = invite.code_of(urls[0], sys.stdout.encoding) if sys.stdout.isatty() else ""
        if code:
            say(f"\n{code}\n")
        if self._tls_cert is None:
            say(
                "The browser warns of the certificate, which this machine has made for itself: "
                "go on from there once."
            )

    def wants_result(self) -> bool:
        """Whether some page would be sent it."""
        return any(peer.is_ready for peer in self._server.peers)

    def write(self, result: LiveResult) -> None:
        """Pack what pages want of one result, and hand it to the server."""
        if self._stage is not None:
            frame = self._stage.frame(result)
            self._avatar = mirrored(frame) if self._avatars.is_flipped else frame
        self._latest = result
        self._models.note(result)
        self._pack(self._server.peers)

    def counts(self) -> dict[str, Any]:
        """Of pages and results, and how long packing took."""
        if self._server is None:
            return {}
        return {**self._server.counts(), "packing_ms": self._packing_ms.percentiles()}

    def close(self) -> None:
        """Say good-bye to the pages; say how much was sent."""
        if self._server is None:
            return
        self._server.close()
        times, counts = self._packing_ms.percentiles(), self._server.counts()
        if times:
            logger.info(
                "web: %d results sent, %d skipped by slow pages, packed in %.1f ms (p50)",
                counts["sent"], counts["skipped"], times["p50"],
            )  # fmt: skip

    def _pack(self, peers: Iterable[Peer]) -> None:
        """Pack the newest result for some pages, and hand it to the server, in order."""
        with self._packing:
            result = self._latest
            wanted = {demand for peer in peers if (demand := peer.demand()) is not None}
            if not wanted or result is None:
                return
            self._seq += 1
            start_ns = time.perf_counter_ns()
            origin = self._origins.of(result.frame.t_capture_ns)
            messages = self._packer.pack(
                self._seq, result, wanted, avatar=self._avatar, origin=origin
            )
            self._packing_ms.add((time.perf_counter_ns() - start_ns) * 1e-6)
            self._server.publish(messages)

    # What the server asks, on its loop.

    def welcome(self) -> dict[str, Any]:
        """Of this run."""
        run = self._run
        return {
            "camera": "server" if self._source is None else "browser",
            "source": run.source,
            "model": run.model,
            "provider": run.provider,
            "ipd_mm": run.ipd_mm,
            "width": run.width,
            "height": run.height,
        }

    def state(self) -> dict[str, Any]:
        """Of this run."""
        latest, times = self._latest, self._packing_ms.percentiles()
        words: dict[str, Any] = {"state": self._run.state(), "fps": 0.0, "latency_ms": 0.0}
        words["frames_dropped"] = 0
        if latest is not None:
            figures = self._run.figures(latest)
            words = {
                "state": figures.state,
                "fps": round(figures.fps, 1),
                "latency_ms": round(figures.latency_ms, 1),
                "frames_dropped": figures.frames_dropped,
            }
        if self._source is not None and not self._source.is_fed:
            words |= {"state": "waiting", "fps": 0.0}
        words["mirrored"] = self._avatars.is_flipped
        words["server_ms"] = round(times.get("p50", 0.0), 2)
        return words

    def ask(self, what: str) -> str:
        """Ask the run for something; why not, or ""."""
        command = next((known for known in _ASKS if known == what), None)
        if command is None:
            return f"there is no command {what[:40]!r}: there are {', '.join(_ASKS)}"
        self._run.ask(command)
        return ""

    async def model(self, name: str) -> Any:
        """A file for the page."""
        return await self._models.get(name)

    def settle(self) -> None:
        """Wait until what is being packed was published."""
        with self._packing:
            return

    def refresh(self) -> None:
        """Pack the newest result once more, for pages that have just come or were not ready."""
        try:
            self._pack([p for p in self._server.peers if p.is_waiting_for_news or p.has_missed])
        except RtreconError as error:
            logger.error("web: %s", error)


def _import_server() -> Any:
    try:
        from rtrecon.outputs.web import server
    except ImportError as error:
        raise MissingExtraError("aiohttp", "web") from error
    return server


def _show(url: str) -> None:
    if not webbrowser.open(url):
        logger.warning("no browser could be opened: open the page yourself")


def _has_browser() -> bool:
    """Whether one with a window would be opened; one in the terminal would take that over."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
