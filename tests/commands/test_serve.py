"""``rtrecon serve``, and ``run --view web``."""

from __future__ import annotations

import re
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been opened in a browser, on a machine that has one."""
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(urls.append(url)) or True)
    monkeypatch.setenv("DISPLAY", ":0")
    return urls


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_source_is_served_and_the_browser_opened(
    run_cli: Cli, dome_model: Path, opened: list[str]
) -> None:
    port = free_port()
    code, _, err = run_cli(
        "serve", "demo", "--port", port, "--model", dome_model, "--max-frames", 3
    )
    assert code == 0, err
    assert f"the page: http://127.0.0.1:{port}/" in err
    for thread in threading.enumerate():
        if thread.name == "rtrecon-browser":
            thread.join()
    assert opened == [f"http://127.0.0.1:{port}/"]


def test_a_view_of_run_as_well(
    run_cli: Cli, dome_model: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtrecon.outputs.web.output.DEFAULT_PORT", free_port())
    code, _, err = run_cli(
        "run", "demo", "--view", "web", "--no-open", "--model", dome_model, "--max-frames", 2
    )
    assert code == 0, err
    assert re.search(r"the page: http://127\.0\.0\.1:\d+/", err)
    assert opened == []


def test_a_port_that_is_taken_is_said_with_what_to_do(run_cli: Cli, dome_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run_cli("serve", "demo", "--no-open", "--port", port, "--model", dome_model)
    assert code == 2
    assert f"127.0.0.1:{port}" in err
    assert "name another port" in err


def test_an_address_of_elsewhere(run_cli: Cli, dome_model: Path) -> None:
    code, _, err = run_cli(
        "serve", "demo", "--no-open", "--host", "203.0.113.9", "--model", dome_model
    )
    assert code == 2
    assert "an address of this machine" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "--port"),
        (["--peers", "0"], "--peers"),
        (["--token", "a b c d e f"], "token"),
        (["--tls-key", "key.pem"], "certificate"),
        (["--faces", "0"], "--faces"),
        (["--max-frames", "0"], "--max-frames"),
    ],
)
def test_options_that_cannot_be(run_cli: Cli, arguments: list[str], words: str) -> None:
    code, _, err = run_cli("serve", "demo", "--no-open", *arguments)
    assert code == 2
    assert words in err
