"""Pages that watch the server's camera: each gets the newest, and none waits for another."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import web_page
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

HELLO = json.dumps({"type": "hello", "protocol": 1, "agent": "a test"})
WANT = json.dumps({"type": "want", "layers": ["depth", "texture"]})

PEERS = 4
GARBAGE_TEXTS = (
    "",
    "{",
    "[]",
    "null",
    "[" * 9000,
    '{"type": 5}',
    '{"type": "nothing"}',
    '{"type": "shown", "seq": "x"}',
    '{"type": "want", "layers": "all"}',
    '{"type": "want", "layers": [], "max_hz": 1e999}',
    '{"type": "offer", "sdp": 7}',
    '{"type": "ask", "what": "quit"}',
)
GARBAGE_BYTES = (b"", b"RTP1", b"\x00" * 1000, b"RTP1" + b"\xff" * 100)


@pytest.fixture(scope="module")
def server(serve: Callable[..., web_page.Server]) -> web_page.Server:
    return serve("demo", "--peers", str(PEERS))


@pytest.fixture
def viewer(open_page: Callable[..., Any], server: web_page.Server) -> Any:
    """A page that shows a face, and is asked afterwards whether it still does."""
    page = open_page(server, "?view=face")
    web_page.wait_until(page, "rtreconResults.length >= 5")
    return page


@contextlib.contextmanager
def client(server: web_page.Server) -> Iterator[ClientConnection]:
    """A peer that is no page: says what it likes."""
    address = server.url.replace("http", "ws") + "ws"
    with connect(address, open_timeout=30, max_size=None) as socket:
        yield socket


def goes_on(page: Any, results: int = 8) -> None:
    """The page is still shown one result after the other."""
    web_page.drawn_results(page)
    web_page.wait_until(page, f"rtreconResults.length >= {results}")
    sequence = [result["seq"] for result in web_page.drawn_results(page)]
    assert sequence == sorted(set(sequence))
    assert page.evaluate("rtreconDebug.errors.length") == 0


def close_code(socket: ClientConnection) -> int:
    """Read on until the server hangs up."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=20)
    assert socket.close_code is not None
    return socket.close_code


@pytest.mark.slow
def test_one_that_blocks_holds_up_nobody_and_wakes_to_the_newest(
    viewer: Any, open_page: Callable[..., Any], server: web_page.Server
) -> None:
    blocked = open_page(server, "?view=face")
    web_page.wait_until(blocked, "rtreconResults.length >= 3")
    web_page.drawn_results(viewer)
    blocked.evaluate(
        """() => setTimeout(() => {
            const until = performance.now() + 4000;
            while (performance.now() < until);
            window.free_at = performance.timeOrigin + performance.now();
            rtreconResults.length = 0;
        }, 0)"""
    )
    web_page.wait_until(viewer, "rtreconResults.length >= 8")
    web_page.wait_until(blocked, "window.free_at !== undefined && rtreconResults.length >= 5")
    free_at = blocked.evaluate("window.free_at")
    first_of_viewer = viewer.evaluate("performance.timeOrigin")
    seen = [r["seq"] for r in web_page.drawn_results(blocked)]
    others = web_page.drawn_results(viewer)
    shown = [r["seq"] for r in others if r["drawn_ms"] + first_of_viewer < free_at]
    assert len(shown) >= 3
    # What came while it was blocked was not kept for it, but for what was under way.
    assert sum(seq < shown[-1] for seq in seen) <= 3


def test_one_that_never_says_shown_gets_two_and_the_others_all(
    viewer: Any, server: web_page.Server
) -> None:
    with client(server) as socket:
        socket.send(HELLO)
        socket.send(WANT)
        goes_on(viewer)
        results, states = 0, 0
        while states < 6:
            message = socket.recv(timeout=20)
            if isinstance(message, bytes):
                results += 1
            else:
                states += json.loads(message)["type"] == "state"
        assert 1 <= results <= 2


def test_garbage_is_answered_or_ends_its_sender_alone(viewer: Any, server: web_page.Server) -> None:
    with client(server) as socket:
        socket.send(HELLO)
        for garbage in (*GARBAGE_TEXTS, *GARBAGE_BYTES):
            socket.send(garbage)
        socket.send('{"type": "ping", "t": 5}')
        kinds, codes = set(), set()
        while "pong" not in kinds:
            message = socket.recv(timeout=20)
            if isinstance(message, str):
                words = json.loads(message)
                kinds.add(words["type"])
                codes.add(words.get("code"))
                assert words["type"] != "error" or words["message"]
        assert "unknown" in codes
        goes_on(viewer)


@pytest.mark.parametrize("what", ["texts", "pictures", "a large text", "a large picture"])
def test_a_flood_ends_its_sender_alone(viewer: Any, server: web_page.Server, what: str) -> None:
    with client(server) as socket:
        socket.send(HELLO)
        with contextlib.suppress(ConnectionClosed):
            if what == "texts":
                for _ in range(1000):
                    socket.send('{"type": "ping", "t": 1}')
            elif what == "pictures":
                for _ in range(1000):
                    socket.send(b"RTP1" + b"\0" * 2000)
            elif what == "a large text":
                socket.send("x" * 70_000)
            else:
                socket.send(b"RTP1" + b"\0" * 3_000_000)
        assert close_code(socket) in (4004, 1009)
    goes_on(viewer)


@pytest.mark.slow
def test_one_that_sleeps_wakes_to_the_newest(
    viewer: Any, open_page: Callable[..., Any], server: web_page.Server
) -> None:
    sleeper = open_page(server, "?view=face")
    web_page.wait_until(sleeper, "rtreconResults.length >= 3")
    session = sleeper.context.new_cdp_session(sleeper)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    goes_on(viewer, 20)
    newest = viewer.evaluate("rtreconDebug.lastDrawnSeq")
    session.send("Page.setWebLifecycleState", {"state": "active"})
    web_page.wait_until(sleeper, f"rtreconDebug.lastDrawnSeq > {newest}")
    goes_on(sleeper, 5)


@pytest.mark.slow
def test_a_page_over_the_limit_is_told_so_and_the_others_stay(
    viewer: Any, open_page: Callable[..., Any], server: web_page.Server
) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(PEERS - 1):
            stack.enter_context(client(server)).send(HELLO)
        late = open_page(server, "?view=face")
        web_page.wait_until(late, "rtreconDebug.lost?.code === 4003")
        assert "too many" in late.inner_text("body").lower()
        goes_on(viewer)
    web_page.wait_until(late, "rtreconResults.length >= 3")  # it tries again by itself
