"""A server and a browser of one's own: what tests of the page and its figures begin with."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import simplejpeg
import time_code

CHROMIUM = os.environ.get("RTRECON_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
START_S = 120.0
STOP_S = 60.0
MOST_LATE_MS = 5_000.0  # half of the bundled clip
SOFTWARE_GL = ("--enable-unsafe-swiftshader",)
"""As browsers do without a graphics card: WebGL by the processor, all else without GL."""


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """``rtrecon serve`` in a process of its own, loopback alone, no browser opened."""

    arguments: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    token: str = ""
    process: subprocess.Popen[str] | None = None
    said: list[str] = field(default_factory=list)
    _listener: threading.Thread | None = None

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return None if self.process is None else self.process.poll()

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> Server:
        """Start it (again, on the same port), and wait until it answers."""
        command = [sys.executable, "-m", "rtrecon", "serve", *self.arguments]
        command += ["--no-open", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self._listener.start()
        until_s = time.monotonic() + START_S
        address = self.url + (f"?token={self.token}" if self.token else "")
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5):
                return self
            if self.process.poll() is not None or time.monotonic() > until_s:
                self.stop()
                raise RuntimeError("the server did not come up:\n" + "".join(self.said))
            time.sleep(0.1)

    def stop(self, how: int = signal.SIGINT) -> int:
        """End it as Ctrl-C does; gives the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("the server did not end:\n" + "".join(self.said)) from None
        finally:
            if self._listener is not None:
                self._listener.join()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            self.said.extend(lines)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def why_no_browser() -> str:
    """Why no browser can be started here; empty where one can."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "no playwright: pip install playwright"
    if not Path(CHROMIUM).is_file():
        return f"no Chromium at {CHROMIUM}: RTRECON_CHROMIUM=PATH names another"
    return ""


@contextlib.contextmanager
def chromium(clip: Path | None = None, *, flags: Sequence[str] = ()) -> Iterator[Any]:
    """A headless Chromium with software GL, and with a clip for its camera; playwright's Browser.

    Without a clip nobody answers for the user: the camera is what the context's permissions say.
    """
    from playwright.sync_api import sync_playwright

    arguments = [*SOFTWARE_GL, "--mute-audio", *flags]
    if clip is not None:
        arguments += [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={clip}",
        ]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


JS_WATCH_RESULTS = """
// Data channels of this page, for who wants to say something wrong on one.
window.rtreconChannels = [];
const makeChannel = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (...options) {
  const channel = makeChannel.apply(this, options);
  window.rtreconChannels.push(channel);
  return channel;
};
// rtreconResults: what is drawn from now on, the newest thousand, with the picture as base64.
// `extra`: keys laid over what the page wants of results; `layers` are added to its own.
window.rtreconWatchResults = (extra = {}) => {
  const page = window.rtreconPage, debug = window.rtreconDebug, waiting = new Map();
  window.rtreconResults = [];
  const take = (transport) => ({detail: message}) => {
    const length = new DataView(message).getUint32(4, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(message, 8, length)));
    const received_ms = performance.now(), bytes = message.byteLength;
    let picture = null;
    if (header.picture) {
      const jpeg = new Uint8Array(message, 8 + length + header.picture[0], header.picture[1]);
      picture = btoa(jpeg.reduce((text, byte) => text + String.fromCharCode(byte), ''));
    }
    waiting.set(header.seq, {seq: header.seq, header, bytes, transport, received_ms, picture});
    if (waiting.size > 100) waiting.delete(waiting.keys().next().value);
  };
  page.link.addEventListener('bytes', take('ws'));
  page.camera.addEventListener('bytes', take('webrtc'));
  page.stage.addEventListener('drawn', () => {
    const result = waiting.get(debug.lastDrawnSeq);
    if (!result) return;
    waiting.delete(result.seq);
    window.rtreconResults.push({...result, drawn_ms: debug.drawnAt[result.seq]});
    if (window.rtreconResults.length > 1000) window.rtreconResults.shift();
  });
  const want = page.link.want.bind(page.link), {layers = [], ...rest} = extra;
  page.link.want = (wanted) =>
    want({...wanted, ...rest, layers: [...new Set([...wanted.layers, ...layers])]});
  want({...debug.want, ...rest, layers: [...new Set([...(debug.want?.layers ?? []), ...layers])]});
};
"""
"""Defines ``window.rtreconWatchResults`` and ``rtreconChannels`` in our page."""


def wait_until(page: Any, expression: str, timeout_s: float = 60.0) -> None:
    """Until it is true in the page; playwright's own way needs a page that allows ``eval``.

    Raises:
        TimeoutError: it stays false.
    """
    until_s = time.monotonic() + timeout_s
    while not page.evaluate(f"() => Boolean({expression})"):
        if time.monotonic() > until_s:
            raise TimeoutError(f"not within {timeout_s:g} s: {expression}")
        page.wait_for_timeout(50)


def drawn_results(page: Any, *, clear: bool = True) -> list[dict[str, Any]]:
    """What was drawn since `JS_WATCH_RESULTS` began, or since this was asked for last.

    Keys: ``seq``, ``header`` (docs/web.md), ``bytes`` of the whole message, ``transport`` (ws or
    webrtc), ``received_ms`` and ``drawn_ms`` by the page's ``performance.now()``, ``number``: the
    time code in the layer "picture", None without.
    """
    take = "window.rtreconResults.splice(0)" if clear else "window.rtreconResults"
    results: list[dict[str, Any]] = page.evaluate(take)
    for result in results:
        jpeg = result.pop("picture")
        result["number"] = None
        if jpeg is not None:
            image = simplejpeg.decode_jpeg(base64.b64decode(jpeg), "BGR")
            result["number"] = time_code.read(image)
            result["picture_size"] = image.shape[1::-1]
    return results


def late_ms(page: Any, results: Sequence[Mapping[str, Any]]) -> list[float]:
    """From the capture of a result's picture in this page to its draw, where that is known.

    ``rtreconWatchCamera`` (`time_code.JS_READ`) runs in the page; a number that comes again and
    again is the latest before the draw. One whose picture was not seen this time round, and would
    be a round of the clip late, is left out.
    """
    captured: dict[int, list[float]] = {}
    for number, time_ms in page.evaluate("rtreconCaptured"):
        captured.setdefault(number, []).append(time_ms)
    late = []
    for result in results:
        waits = [result["drawn_ms"] - time_ms for time_ms in captured.get(result["number"], ())]
        waits = [wait for wait in waits if 0.0 < wait < MOST_LATE_MS]
        late += [min(waits)] if waits else []
    return late
