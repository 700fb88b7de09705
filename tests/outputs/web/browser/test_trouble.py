"""What goes wrong around a page is said in it, in plain words, and it goes on where it can."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import web_page

from tests.outputs.web.browser.looks import middle, skin_share, view

TOKEN = "a-token-of-a-test"
GARBAGE_VRM = """(bytes) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], 'broken.vrm'));
    const target = rtreconPage.stage.canvas;
    for (const type of ['dragenter', 'dragover', 'drop'])
        target.dispatchEvent(
            new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: transfer}));
}"""


@pytest.mark.slow
def test_the_server_restarts_and_the_page_comes_back_by_itself(
    open_page: Callable[..., Any], serve: Callable[..., web_page.Server]
) -> None:
    server = serve("demo")
    page = open_page(server, "?view=face")
    page.watched.expected.append("WebSocket connection|ERR_CONNECTION_REFUSED")
    web_page.wait_until(page, "rtreconResults.length >= 5")
    page.evaluate("window.same = true")
    assert server.stop() == 0
    web_page.wait_until(page, "rtreconDebug.lost !== null")
    page.wait_for_selector("#banner:visible")
    last = page.evaluate("rtreconDebug.drawn")
    server.start()
    web_page.wait_until(page, f"rtreconDebug.drawn > {last + 10}")
    assert page.evaluate("window.same") is True
    assert skin_share(middle(view(page))) > 0.15  # the inset and the sway leave part of it
    server.stop()


def test_a_damaged_vrm_is_said_and_the_face_goes_on(
    open_page: Callable[..., Any], serve: Callable[..., web_page.Server]
) -> None:
    server = serve("demo")
    page = open_page(server, "?view=avatar")
    web_page.wait_until(page, "rtreconPage.avatar?.isLoaded")
    for content in (b"not a model", b"glTF\2\0\0\0" + b"\xff" * 200, b""):
        page.evaluate("rtreconDebug.notices.length = 0")
        page.evaluate(GARBAGE_VRM, list(content))
        web_page.wait_until(page, "rtreconDebug.notices.length > 0")
        assert "broken.vrm" in page.evaluate("rtreconDebug.notices.at(-1)")
    last = page.evaluate("rtreconDebug.drawn")
    web_page.wait_until(page, f"rtreconDebug.drawn > {last + 5}")


def test_a_port_that_is_taken_is_said_in_the_terminal(
    serve: Callable[..., web_page.Server],
) -> None:
    server = serve("demo")
    second = subprocess.run(
        [sys.executable, "-m", "rtrecon", "serve", "demo", "--no-open", "--port", str(server.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode in (1, 2)
    assert str(server.port) in second.stderr
    assert "Traceback" not in second.stderr


@pytest.fixture(scope="module")
def guarded(serve: Callable[..., web_page.Server]) -> web_page.Server:
    """A server that wants a token."""
    return serve("demo", "--token", TOKEN, token=TOKEN)


@pytest.mark.parametrize("path", ["", "head.json", "static/link.js"])
def test_nothing_is_given_without_the_token(path: str, guarded: web_page.Server) -> None:
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"http://127.0.0.1:{guarded.port}/{path}?token=wrong", timeout=20)
    assert refusal.value.code == 403
    assert b"link that the terminal shows" in refusal.value.read()


def test_the_token_of_the_address_is_enough_for_all_that_follows(
    open_page: Callable[..., Any], guarded: web_page.Server
) -> None:
    page = open_page(guarded, f"?view=face&token={TOKEN}")
    web_page.wait_until(page, "rtreconResults.length >= 3")


def test_an_old_token_is_said_and_the_page_does_not_go_on_asking(
    open_page: Callable[..., Any], guarded: web_page.Server
) -> None:
    page = open_page(guarded, f"?view=face&token={TOKEN}")
    web_page.wait_until(page, "rtreconResults.length >= 1")
    page.context.clear_cookies()
    page.evaluate(
        """() => {
            rtreconPage.link.url = rtreconPage.link.url.replace(/token=.*/, 'token=old');
            rtreconPage.link.close();
            setTimeout(() => rtreconPage.link.connect(), 300);
        }"""
    )
    web_page.wait_until(page, "rtreconDebug.lost?.code === 4001")
    assert page.evaluate("rtreconDebug.lost.retry_s") is None
    assert "terminal" in page.inner_text("#banner")
