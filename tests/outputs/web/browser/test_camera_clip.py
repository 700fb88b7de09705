"""The camera that the other tests take for granted: the browser sees the clip, code and all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import pytest
import time_code
import web_page


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def nearly_empty() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("size", [(640, 480), (320, 240)])
def test_pictures_carry_their_number(
    browser: Any, nearly_empty: str, size: tuple[int, int]
) -> None:
    page = browser.new_page()
    page.add_init_script(time_code.JS_READ)
    page.goto(nearly_empty)
    page.evaluate(
        """async ([width, height]) => {
            const stream = await navigator.mediaDevices.getUserMedia({video: {width, height}});
            window.rtreconWatchCamera(stream.getVideoTracks()[0]);
        }""",
        list(size),
    )
    web_page.wait_until(page, "window.rtreconCaptured.length >= 20")
    numbers = page.evaluate("window.rtreconCaptured.map(([number]) => number)")
    assert page.evaluate("window.rtreconCameraSizes") == [list(size)]
    page.close()
    steps = [(after - before) % 300 for before, after in pairwise(numbers)]
    assert all(0 < step < 30 for step in steps)
