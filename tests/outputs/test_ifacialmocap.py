"""iFacialMocap as a PC meets it: asked for over UDP and TCP, sent unasked, decoded apart."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rtrecon.avatar.ifacialmocap import END_OF_MESSAGE, Handshake, read_handshake
from rtrecon.errors import OutputError, UserError
from rtrecon.output import Run
from rtrecon.outputs import ifacialmocap
from rtrecon.outputs.ifacialmocap import IFacialMocapOutput
from rtrecon.outputs.registry import make_output
from tests.avatar.faces import face, result, sample

TEXT = b"sahuasouryya9218sauhuiayeta91555dy3719"
HELLO = b"iFacialMocap_" + TEXT
HELLO_V2 = HELLO + b"|sendDataVersion=v2"


@contextmanager
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(20.0)
        yield made


@pytest.fixture
def pc() -> Iterator[socket.socket]:
    with udp() as made:
        yield made


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """Where the telephone is asked; a port that is free here stands for 49983."""
    with udp() as probe:
        place: tuple[str, int] = probe.getsockname()
    monkeypatch.setattr(ifacialmocap, "_LISTEN_PORT", place[1])
    monkeypatch.setattr(ifacialmocap, "UDP_PORT", place[1])
    return place


@contextmanager
def opened(text: str) -> Iterator[IFacialMocapOutput]:
    output = make_output(text)
    assert isinstance(output, IFacialMocapOutput)
    output.open(Run())
    try:
        yield output
    finally:
        output.close()


def decoded(data: bytes, mark: str = "-") -> tuple[dict[str, int], dict[str, list[float]]]:
    """Shapes, and numbers of head and eyes, as the page for developers has them."""
    shapes, equals, rest = data.decode("utf-8").partition("=")
    assert equals
    assert shapes.endswith("|")
    assert rest.endswith("|")
    values = {}
    for entry in shapes.rstrip("|").split("|"):
        match = re.fullmatch(rf"(\w+){mark}(\d+)", entry)
        assert match, entry
        values[match[1]] = int(match[2])
    parts = {}
    for entry in rest.rstrip("|").split("|"):
        name, _, numbers = entry.partition("#")
        parts[name] = [float(number) for number in numbers.split(",")]
    return values, parts


def nothing_more(pc: socket.socket) -> bool:
    pc.setblocking(False)
    try:
        pc.recv(4096)
    except BlockingIOError:
        return True
    finally:
        pc.settimeout(20.0)
    return False


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (HELLO, Handshake()),
        (HELLO_V2, Handshake("v2")),
        (HELLO + b"\n", Handshake()),
        (HELLO + b"|sendDataVersion=v9", Handshake()),
        (b"iFacialMocap_UDPTCP_" + TEXT, Handshake("v1", over_tcp=True)),
        (b"iFacialMocap_UDPTCP_" + TEXT + b"|sendDataVersion=v2", Handshake("v2", over_tcp=True)),
        (b"iFacialMocap_UDPTCPSTOP_" + TEXT, Handshake("v1", over_tcp=True, stops=True)),
        (b"iFacialMocap", None),
        (b"", None),
        (b"\xff\0" + HELLO, None),
        (HELLO * 2, None),
    ],
)
def test_handshakes(text: bytes, asked: Handshake | None) -> None:
    assert read_handshake(text) == asked


@pytest.mark.parametrize(("hello", "mark", "blink"), [(HELLO, "-", "eyeBlink_L"),
                                                      (HELLO_V2, "&", "eyeBlinkLeft")])  # fmt: skip
def test_who_asks_is_answered(
    hello: bytes, mark: str, blink: str, phone: tuple[str, int], pc: socket.socket
) -> None:
    with udp() as host, opened(f"ifacialmocap://127.0.0.1:{host.getsockname()[1]}") as output:
        output.send(sample())
        assert nothing_more(pc)
        for _ in range(3):  # again and again, as programs do
            pc.sendto(hello, phone)
        output.send(sample())
        values, parts = decoded(pc.recv(4096), mark)
        assert nothing_more(pc)
        assert len(values) == 52
        assert values[blink] == 90
        assert parts["head"] == pytest.approx([10, -20, -5, 0.01, 0.02, -0.03])
        # The host that was named is sent to all the same, in its own version, once a frame.
        assert [len(decoded(host.recv(4096))[0]) for _ in range(2)] == [52, 52]
        assert nothing_more(host)


def test_a_host_that_asks_itself_is_sent_to_once(phone: tuple[str, int], pc: socket.socket) -> None:
    with opened(f"ifacialmocap://127.0.0.1:{pc.getsockname()[1]}") as output:
        pc.sendto(HELLO_V2, phone)
        output.send(sample())
        assert "eyeBlinkLeft" in decoded(pc.recv(4096), "&")[0]
        assert nothing_more(pc)


def test_one_that_asks_from_one_port_and_listens_on_the_telephones(
    phone: tuple[str, int], pc: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ifacialmocap, "UDP_PORT", pc.getsockname()[1])
    with udp() as host, opened(f"ifacialmocap://127.0.0.1:{host.getsockname()[1]}") as output:
        with udp() as asks:
            asks.sendto(HELLO, phone)
            output.send(sample())
        assert len(decoded(pc.recv(4096))[0]) == 52
        for _ in range(3):  # the port that asked is closed by now
            output.send(sample())
            assert len(decoded(pc.recv(4096))[0]) == 52
        assert nothing_more(pc)


def test_a_port_that_is_taken(
    phone: tuple[str, int], pc: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    to = f"ifacialmocap://127.0.0.1:{pc.getsockname()[1]}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", phone[1]))
        with opened(to) as output:
            output.send(sample())
            assert len(decoded(pc.recv(4096))[0]) == 52
        assert [f"cannot listen on UDP port {phone[1]}" in line for line in caplog.messages] == [
            True
        ]
        with pytest.raises(OutputError, match="end the program that has it"):
            make_output(to + "?listen=1").open(Run())


def test_a_receiver_on_this_machine_keeps_its_port(phone: tuple[str, int]) -> None:
    with opened(f"ifacialmocap://127.0.0.1:{phone[1]}") as output:
        assert output._ear is None
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(phone)  # it may start after us
            receiver.settimeout(20.0)
            output.send(sample())
            assert len(decoded(receiver.recv(4096))[0]) == 52
    with opened(f"ifacialmocap://127.0.0.1:{phone[1]}?listen=1") as output, udp() as asks:
        asks.sendto(HELLO, phone)
        output.send(sample())
        assert len(decoded(asks.recv(4096))[0]) == 52
        assert len(output._receivers) == 1  # not to ourselves


def test_several_outputs_share_the_port(phone: tuple[str, int], pc: socket.socket) -> None:
    run = Run()
    outputs = [make_output(f"ifacialmocap://127.0.0.1:{k + 9}") for k in range(2)]
    for output in outputs:
        output.open(run)
    pc.sendto(HELLO, phone)
    for output in outputs:
        output.write(result(0.0, face()))
    assert len(decoded(pc.recv(4096))[0]) == 52
    assert nothing_more(pc)
    for output in outputs:
        output.close()


def test_garbage_strangers_and_crowds(
    phone: tuple[str, int], pc: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(f"ifacialmocap://127.0.0.1:{pc.getsockname()[1]}") as output:
        for _ in range(40):
            pc.sendto(b"\xff" * 2000, phone)
        for _ in range(4):
            output.send(sample())
            assert len(decoded(pc.recv(4096))[0]) == 52
        assert output._asked == []
        for k in range(100):
            output._answer(Handshake(), ("127.0.0.1", 50_000 + k))
        assert len(output._asked) == ifacialmocap._MOST_ASKED
        stranger = ("8.8.8.8", 9)
        output._ear, ear = Says(HELLO, stranger), output._ear  # type: ignore[assignment]
        output.send(sample())
        assert all(host != "8.8.8.8" for _, host, _ in output._receivers)
        output._ear = ear
    assert [line.removeprefix("ifacialmocap ") for line in caplog.messages] == [
        f"what 127.0.0.1 says on port {phone[1]} is no handshake: ignored",
        "8.8.8.8 asks from outside of this network and is not answered",
    ]


class Says:
    """A socket that hears one datagram."""

    def __init__(self, datagram: bytes, place: tuple[str, int]) -> None:
        self._heard = [(datagram, place)]

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        if not self._heard:
            raise BlockingIOError
        return self._heard.pop()


def test_one_that_asked_and_went_is_forgotten(
    phone: tuple[str, int], pc: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtrecon.outputs import links

    with opened(f"ifacialmocap://127.0.0.1:{pc.getsockname()[1]}") as output:
        with udp() as asks:
            asks.sendto(HELLO, phone)
            output.send(sample())
            assert len(output._asked) == 1
        output.send(sample())
        output.send(sample())
        assert len(output._asked) == 1  # it may open its port only now
        monkeypatch.setattr(links, "_GONE_S", 0.0)
        for link in (receiver.link for receiver in output._receivers.values()):
            link._last_refused_s = float("inf")  # type: ignore[attr-defined]
        output.send(sample())
        assert output._asked == []


def test_over_tcp(phone: tuple[str, int], caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with opened(f"ifacialmocap://127.0.0.1:{port}?tcp=1&data=v2") as output:
        while not caplog.messages:
            output.send(sample())
        with socket.create_server(("127.0.0.1", port)) as server:
            server.settimeout(0.01)
            peer = None
            while peer is None:
                output.send(sample())
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
            with peer:
                peer.settimeout(20.0)
                got = b""
                while got.count(END_OF_MESSAGE) < 2:
                    output.send(sample())
                    got += peer.recv(1 << 16)
        messages = got.split(END_OF_MESSAGE)
        assert [len(decoded(message, "&")[0]) for message in messages[:2]] == [52, 52]
        while len(caplog.messages) < 2:
            output.send(sample())
    assert [line.partition(port_ := f"{port}: ")[2] for line in caplog.messages] == [
        "nobody listens there; tried again and again",
        "it closed the connection; tried again and again",
    ], port_


def test_asked_for_over_tcp_and_stopped(
    phone: tuple[str, int], pc: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20.0)
        monkeypatch.setattr(ifacialmocap, "TCP_PORT", server.getsockname()[1])
        with opened(f"ifacialmocap://127.0.0.1:{pc.getsockname()[1]}") as output:
            pc.sendto(b"iFacialMocap_UDPTCP_" + TEXT, phone)
            output.send(sample())
            peer, _ = server.accept()
            with peer:
                peer.settimeout(20.0)
                output.send(sample())
                got = peer.recv(1 << 16)
                assert got.endswith(END_OF_MESSAGE)
                pc.sendto(b"iFacialMocap_UDPTCPSTOP_" + TEXT, phone)
                output.send(sample())
                while got:
                    got = peer.recv(1 << 16)
            assert output._asked == []


def test_a_host_that_is_none() -> None:
    for options in ("", "?tcp=1"):
        with pytest.raises(UserError, match="no host"):
            make_output(f"ifacialmocap://no-host-here.invalid{options}").open(Run())


def test_the_log_says_who_asked(
    phone: tuple[str, int], pc: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, logger="rtrecon"),
        opened("ifacialmocap://127.0.0.1:9") as output,
    ):
        for _ in range(3):
            pc.sendto(HELLO, phone)
            output.send(sample())
    assert caplog.messages.count("ifacialmocap is asked for by 127.0.0.1") == 1
