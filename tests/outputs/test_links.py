"""UDP and TCP to receivers that are absent, come, are slow and vanish."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from rtrecon.outputs import links
from rtrecon.outputs.links import ABSENT, TcpLink, UdpLink


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def link(free_port: int) -> Iterator[TcpLink]:
    made = TcpLink(socket.AF_INET, ("127.0.0.1", free_port))
    yield made
    made.close()


def serve(port: int) -> socket.socket:
    server = socket.create_server(("127.0.0.1", port))
    server.settimeout(20.0)
    return server


def pushed(link: TcpLink, server: socket.socket) -> socket.socket:
    """Give it messages until it has connected; the server's end."""
    server.settimeout(0.01)
    for _ in range(2000):
        link.send(b"one;")
        try:
            peer, _ = server.accept()
        except TimeoutError:
            continue
        peer.settimeout(20.0)
        return peer
    raise AssertionError("it does not connect")


def test_absent_then_there_then_gone_then_back(link: TcpLink, free_port: int) -> None:
    said = set()
    until_s = time.monotonic() + 20.0
    while ABSENT not in said and time.monotonic() < until_s:
        said.add(link.send(b"one;"))
    assert said <= {"", ABSENT}
    for _ in range(2):
        with serve(free_port) as server, pushed(link, server) as peer:
            while not link._is_connected:
                link.send(b"one;")
            assert link.send(b"last;") == ""
            got = b""
            while not got.endswith(b"last;"):
                got += peer.recv(4096)
            assert set(got.split(b";")) == {b"one", b"last", b""}
        said = set()
        while len(said) < 2:  # that it hung up
            said.add(link.send(b"one;"))
        assert "it closed the connection" in said


def test_one_that_is_slow_gets_whole_messages(link: TcpLink, free_port: int) -> None:
    with serve(free_port) as server, pushed(link, server) as peer:
        peer.sendall(b"garbage that nobody reads" * 1000)
        for k in range(60):
            link.send(b"%07d;" % k * 20_000)
        assert link.dropped > 0
        got = bytearray()
        while not got.endswith(b"end;"):
            link.send(b"end;")
            got += peer.recv(1 << 20)
    counts = Counter(bytes(got).split(b";"))
    for short in (b"", b"one", b"end"):
        assert counts.pop(short) > 0
    assert set(counts.values()) == {20_000}
    assert list(counts) == sorted(counts)


def test_one_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_CONNECT_TIMEOUT_S", -1.0)
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: links.errno.EINPROGRESS)
    link = TcpLink(socket.AF_INET, ("127.0.0.1", 9))
    assert link.send(b"x") == "it does not answer"
    assert link._socket is None


def test_a_datagram_receiver_that_stays_away_is_gone(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = UdpLink(socket.AF_INET, ("127.0.0.1", free_port))
    try:
        assert link.send(b"x") == ""  # nothing is known yet
        assert link.send(b"x") == ABSENT
        assert (link.unheard, link.is_gone) == (1, False)
        monkeypatch.setattr(links, "_GONE_S", 0.0)
        link._last_refused_s = float("inf")  # just before
        link.send(b"x")
        assert link.is_gone
    finally:
        link.close()
