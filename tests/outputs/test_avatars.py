"""Avatar outputs over real sockets: what is sent, and receivers that are not there."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest

from rtrecon.errors import ArgumentError, OutputError, UserError
from rtrecon.output import Run
from rtrecon.outputs import ifacialmocap
from rtrecon.outputs.avatar_output import AvatarOptions, AvatarOutput, parse_address
from rtrecon.outputs.avatars import LiveLinkOutput, VmcOutput
from rtrecon.outputs.ifacialmocap import IFacialMocapOutput
from rtrecon.outputs.registry import make_output, make_outputs
from tests.avatar.faces import face, result, turned

NAMES = ["osc", "vmc", "ifacialmocap", "livelink", "openseeface"]


@pytest.fixture(autouse=True)
def listens_where_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ifacialmocap, "_LISTEN_PORT", 0)  # any that is free


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(10.0)
        yield made


def port_of(receiver: socket.socket) -> int:
    return int(receiver.getsockname()[1])


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("", ("here", 7)),
        ("10.0.0.2:9", ("10.0.0.2", 9)),
        ("pc.local", ("pc.local", 7)),
        (":9", ("here", 9)),
        ("9", ("here", 9)),
        ("[::1]:9", ("::1", 9)),
        ("[fe80::1]", ("fe80::1", 7)),
    ],
)
def test_addresses(target: str, address: tuple[str, int]) -> None:
    assert parse_address(target, "here", 7) == address


@pytest.mark.parametrize("target", ["a:b", "a:0", "a:70000", "a:", "::1:9", "a:1:2", "a:-3"])
def test_addresses_that_are_none(target: str) -> None:
    with pytest.raises(ArgumentError, match="such as"):
        parse_address(target, "here", 7)


@pytest.mark.parametrize("name", NAMES)
def test_one_group_a_result(name: str, receiver: socket.socket) -> None:
    output = make_output(f"{name}://127.0.0.1:{port_of(receiver)}?mirror=1&lids=link")
    assert isinstance(output, AvatarOutput)
    output.open(Run())
    output.write(result(0.0, face(turned(0, 10, 0), jawOpen=0.5)))
    group = [receiver.recv(4096) for _ in range({"osc": 2, "vmc": 4}.get(name, 1))]
    assert all(len(datagram) <= 1785 for datagram in group)
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(4096)
    output.write(result(5.0))  # nobody
    output.close()


def test_the_same_frame_for_outputs_of_the_same_settings(receiver: socket.socket) -> None:
    run = Run()
    outputs = [VmcOutput(str(port_of(receiver))), LiveLinkOutput(str(port_of(receiver)))]
    other = IFacialMocapOutput(str(port_of(receiver)), common=AvatarOptions(gain=2.0))
    for output in (*outputs, other):
        output.open(run)
    assert outputs[0]._stage is outputs[1]._stage
    assert outputs[0]._stage is not other._stage
    another = VmcOutput(str(port_of(receiver)))
    another.open(Run())
    assert another._stage is not outputs[0]._stage
    for output in (*outputs, other, another):
        output.close()


def test_a_receiver_that_comes_and_goes(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = port_of(probe)
    output = LiveLinkOutput(f"127.0.0.1:{port}")
    output.open(Run())
    with caplog.at_level(logging.WARNING, logger="rtrecon"):
        for k in range(20):
            output.write(result(k / 30, face(), index=k))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", port))
            receiver.settimeout(10.0)
            for k in range(20, 23):
                output.write(result(k / 30, face(), index=k))
            assert [len(receiver.recv(4096)) for _ in range(3)] == [313] * 3
        for k in range(23, 40):
            output.write(result(k / 30, face(), index=k))
    output.close()
    assert output.unheard > 0
    assert [r.message for r in caplog.records] == [
        f"livelink to 127.0.0.1:{port}: nobody listens there; sent on all the same"
    ]


def test_hosts_that_cannot_be() -> None:
    with pytest.raises(UserError, match=r"no host 'no host here\.invalid'"):
        VmcOutput("no host here.invalid:39539").open(Run())
    too_long = VmcOutput("a" * 70 + ".invalid")
    with pytest.raises(UserError, match="no host"):
        too_long.open(Run())


def test_a_place_that_cannot_be_sent_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(OutputError, match="Too many open files"):
        VmcOutput().open(Run())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vmc:localhost:0", "port"),
        ("vmc?names=klingon", "names must be both or arkit-pascal"),
        ("vmc?mirrored=1", "no option 'mirrored': it has names, avatar, mirror"),
        ("osc?prefix=rtrecon", "prefix must be an OSC address"),
        ("livelink?gain=9", "gain must be 0.1 to 5"),
        ("openseeface?lids=shut", "lids must be wink"),
    ],
)
def test_what_is_misspelt(text: str, words: str) -> None:
    (output,) = make_outputs([text])
    with pytest.raises(ArgumentError, match=words):
        output.open(Run())


def test_several_of_one_kind() -> None:
    first, second = make_outputs(["vmc:127.0.0.1:39539", "vmc:127.0.0.1:39540?names=vrm1"])
    assert (first.target, second.target) == ("127.0.0.1:39539", "127.0.0.1:39540")
