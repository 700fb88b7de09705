"""A real Chromium with a clip for its camera, and a real server, for the tests of this folder.

One browser for each module, one context (its own cookies and storage) for each page. A page that
asks anyone but the server, says an error on its console, or breaks its own content policy fails the
test that opened it.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_code
import web_page

import rtrecon

WAIT_S = 60.0  # for what takes a second alone: the machine may be busy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where there is no browser, say so once for each test instead of failing in a fixture."""
    here = Path(__file__).parent
    why = web_page.why_no_browser()
    if why:
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled clip with its time code, as Chromium takes it for a camera."""
    path = tmp_path_factory.mktemp("camera") / "clip.mjpeg"
    with rtrecon.open_source("demo") as source:
        time_code.write_clip(path, (frame.image for frame in source))
    return path


@pytest.fixture(scope="module")
def browser(clip: Path) -> Iterator[Any]:
    """A Chromium whose camera is the clip, and whose user says yes."""
    with web_page.chromium(clip) as started:
        yield started


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., web_page.Server]]:
    """Start ``rtrecon serve ARGUMENTS``; it ends with the module."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> web_page.Server:
            server = stack.enter_context(web_page.Server(arguments, **options))
            stack.callback(lambda: sys.stdout.writelines(server.said))  # a failure shows it
            return server

        yield start


@dataclass
class Watched:
    """What a context's pages did that they should not."""

    origin: str
    asked_others: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    """Patterns of what the test makes the page say."""

    def request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and parts.netloc != self.origin:
            self.asked_others.append(request.url)

    def console(self, message: Any) -> None:
        if message.type in ("error", "assert"):
            self.said.append(f"{message.text} ({message.location.get('url', '')})")

    def error(self, error: Any) -> None:
        self.said.append(str(error))

    def check(self) -> None:
        """Fail if there is anything."""
        assert not self.asked_others, "the page asked others than its server"
        surprising = [
            text for text in self.said if not any(re.search(one, text) for one in self.expected)
        ]
        assert not surprising, "the page's console has errors"


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of a server in a context of its own: ``open_page(server, "?camera=1")``.

    ``page.watched`` is the `Watched` of its context. ``extra`` is what its results must hold beside
    what the page itself wants; ``init``: a script that runs before the page's own.
    """
    contexts: list[tuple[Any, Watched]] = []

    def start(server: web_page.Server, query: str = "", **options: Any) -> Any:
        extra = {"max_hz": 15, **options.pop("extra", {})}
        init = options.pop("init", "")
        context = (options.pop("browser", None) or browser).new_context(
            **{"viewport": {"width": 400, "height": 300}, **options}
        )
        context.set_default_timeout(1000 * WAIT_S)
        watched = Watched(urlsplit(server.url).netloc)
        contexts.append((context, watched))
        context.on("request", watched.request)
        context.on("console", watched.console)
        context.on("weberror", lambda error: watched.error(error.error))
        context.add_init_script(init + time_code.JS_READ + web_page.JS_WATCH_RESULTS)
        page = context.new_page()
        page.watched = watched
        page.goto(server.url + query)
        web_page.wait_until(page, "window.rtreconPage !== undefined")
        page.evaluate("(extra) => window.rtreconWatchResults(extra)", extra)
        return page

    yield start
    for context, _ in contexts:
        context.close()
    for _, watched in contexts:
        watched.check()
