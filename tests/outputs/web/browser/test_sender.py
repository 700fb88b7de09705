"""A page whose camera is the run's: pictures go there, a face comes back, over both transports."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
import web_page

from tests.outputs.web.browser.looks import changed_share, middle, skin_share, view

LARGE = {"width": 640, "height": 480}
TRACK = "rtreconPage.camera.stream.getVideoTracks()[0]"


@pytest.fixture(scope="module")
def server(serve: Callable[..., web_page.Server]) -> web_page.Server:
    return serve()


def start_camera(open_page: Callable[..., Any], server: web_page.Server, more: str = "") -> Any:
    """A page that sends, whose results hold a small picture too, and that has drawn a face."""
    extra = {"layers": ["picture"], "picture_px": 160}
    page = open_page(server, f"?camera=1&view=face{more}", extra=extra, viewport=LARGE)
    web_page.wait_until(page, "rtreconResults.some((r) => r.picture && r.header.faces.length)")
    web_page.drawn_results(page)
    return page


@pytest.fixture(params=["webrtc", "ws"])
def sender(request: Any, open_page: Callable[..., Any], server: web_page.Server) -> Any:
    page = start_camera(open_page, server, "&transport=ws" if request.param == "ws" else "")
    page.transport = request.param
    return page


def test_a_face_is_drawn_moves_and_its_time_code_comes_back(sender: Any) -> None:
    sender.evaluate("() => { rtreconWatchCamera(" + TRACK + "); }")
    web_page.wait_until(sender, "rtreconResults.length >= 20")
    before = view(sender)
    results = web_page.drawn_results(sender)
    assert {result["transport"] for result in results} == {sender.transport}
    assert all(result["header"]["faces"] for result in results)
    sequence = [result["seq"] for result in results]
    assert sequence == sorted(set(sequence))
    numbers = [result["number"] for result in results]
    assert None not in numbers
    assert len(set(numbers)) > 10
    assert len(web_page.late_ms(sender, results)) > len(results) // 2

    assert skin_share(middle(before)) > 0.3
    web_page.wait_until(sender, "rtreconResults.length >= 15")
    assert changed_share(middle(before), middle(view(sender))) > 0.02


def test_another_size_goes_on(sender: Any) -> None:
    sender.evaluate(TRACK + ".applyConstraints({width: 320, height: 240})")
    web_page.wait_until(sender, "rtreconResults.filter((r) => r.header.width === 320).length > 5")
    results = web_page.drawn_results(sender)
    assert results[-1]["header"]["height"] == 240
    assert results[-1]["header"]["faces"]
    sender.evaluate(TRACK + ".applyConstraints({width: 640, height: 480})")
    web_page.wait_until(sender, "rtreconResults.filter((r) => r.header.width > 320).length > 5")
    results = web_page.drawn_results(sender)
    assert results[-1]["header"]["faces"]


@pytest.mark.slow
def test_the_camera_is_given_back_and_taken_by_another_page(
    sender: Any, open_page: Callable[..., Any], server: web_page.Server
) -> None:
    watcher = open_page(server, "?view=face")
    web_page.wait_until(watcher, "rtreconResults.length >= 5")
    sender.goto("about:blank")
    second = start_camera(open_page, server)
    web_page.wait_until(second, "rtreconResults.length >= 5")
    web_page.drawn_results(watcher)
    web_page.wait_until(watcher, "rtreconResults.length >= 5")


@pytest.mark.slow
def test_the_sender_s_server_restarts_and_its_camera_is_taken_again(
    open_page: Callable[..., Any], serve: Callable[..., web_page.Server]
) -> None:
    server = serve()
    page = open_page(server, "?camera=1&view=face")
    page.watched.expected.append("WebSocket connection|ERR_CONNECTION_REFUSED")
    web_page.wait_until(page, "rtreconResults.length >= 5")
    server.stop(signal.SIGKILL)
    web_page.wait_until(page, "rtreconDebug.lost !== null")
    page.wait_for_selector("#banner:visible")
    last = page.evaluate("rtreconDebug.drawn")
    server.start()
    web_page.wait_until(page, f"rtreconDebug.drawn > {last + 10}")
    server.stop()


def test_garbage_on_the_data_channel_is_let_go(
    open_page: Callable[..., Any], server: web_page.Server
) -> None:
    page = start_camera(open_page, server)
    watcher = open_page(server, "?view=face")
    page.evaluate(
        """() => {
            const [channel] = rtreconChannels;
            for (const garbage of ['', '{', 'x'.repeat(60000), new Uint8Array(60000)])
                for (let k = 0; k < 20; k++) channel.send(garbage);
        }"""
    )
    for one in (page, watcher):
        web_page.drawn_results(one)
        web_page.wait_until(one, "rtreconResults.length >= 5")
    assert {result["transport"] for result in web_page.drawn_results(page)} == {"webrtc"}
