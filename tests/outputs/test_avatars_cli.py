"""Avatar outputs by the command line: what is wrong is said in a line each, the others go on."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs
import pytest

osc_packet = pytest.importorskip("pythonosc.osc_packet")
pytest.importorskip("websockets")

from rtrecon.outputs import ifacialmocap
from tests.outputs.vtube_studio_double import VTubeStudio

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ifacialmocap, "_LISTEN_PORT", 0)  # any that is free
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(tmp_path / "c"))


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    """Of OSC; with room for a whole run."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


def frames_of(receiver: socket.socket) -> int:
    """Results that have arrived: each has one time, and one word on tracking."""
    seen: dict[str, int] = {}
    while True:
        try:
            datagram = receiver.recv(4096)
        except BlockingIOError:
            break
        for timed in osc_packet.OscPacket(datagram).messages:
            seen[timed.message.address] = seen.get(timed.message.address, 0) + 1
    assert seen["/rtrecon/time"] == seen["/rtrecon/tracking"]
    return seen["/rtrecon/time"]


@pytest.fixture
def run(
    run_cli: Cli, dome_model: Path, tmp_path: Path, receiver: socket.socket
) -> Callable[..., tuple[int, list[str], dict[str, Any]]]:
    """Run with these outputs beside a good one, which must get every result that it was given."""

    def run(*outputs: str, frames: int = 20) -> tuple[int, list[str], dict[str, Any]]:
        stats = tmp_path / "stats.json"
        good = f"osc://127.0.0.1:{receiver.getsockname()[1]}"
        asked = [part for output in (good, *outputs) for part in ("--out", output)]
        code, _, err = run_cli(
            "run", "demo", "--model", dome_model, "--view", "none", "--max-frames", frames,
            "--stats", stats, *asked,
        )  # fmt: skip
        found = {o["name"]: o for o in json.loads(stats.read_text(encoding="utf-8"))["outputs"]}
        assert found["osc"]["errors"] == 0, err
        assert 0 < frames_of(receiver) == found["osc"]["written"] <= frames
        said = [line for line in err.splitlines() if "error" in line or "warning" in line]
        said = [line for line in said if "sha256" not in line]  # of the model that a test made
        return code, said, found

    return run


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("vmc://no-host-here.invalid", "there is no host 'no-host-here.invalid'"),
        ("vtube-studio://no-host-here.invalid", "there is no host 'no-host-here.invalid'"),
        ("ifacialmocap://no-host-here.invalid?tcp=1", "there is no host 'no-host-here.invalid'"),
        ("livelink:127.0.0.1:0", "must be 1 to 65535, such as 11111"),
        ("openseeface:127.0.0.1:port", "must be 1 to 65535, such as 11573"),
        ("vmc?mirrored=1", "vmc has no option 'mirrored': it has names, avatar, mirror"),
        ("ifacialmocap?tcp=maybe", "ifacialmocap: tcp must be 1 or 0, not 'maybe'"),
        ("vmc?avatar={text}", "it is no VRM"),
        ("vmc?avatar=nothing.vrm", "cannot read nothing.vrm"),
    ],
)
def test_what_cannot_be_opened(run: Any, tmp_path: Path, bad: str, words: str) -> None:
    text = tmp_path / "model.vrm"
    text.write_text("this is no avatar", encoding="utf-8")
    code, said, _ = run(bad.format(text=text))
    assert code == 1
    assert len(said) == 1, said
    assert words in said[0]


def test_receivers_that_are_not_there(run: Any) -> None:
    bad = ["vmc", "livelink", "openseeface", "ifacialmocap"]
    code, said, found = run(
        *(f"{name}://127.0.0.1:1" for name in bad), "vtube-studio://127.0.0.1:1"
    )
    assert code == 0
    assert sorted(line.split()[2] for line in said) == sorted([*bad, "vtube-studio"])
    assert all("nobody listens there" in line for line in said)
    assert all(output["errors"] == 0 < output["written"] for output in found.values())


def test_one_that_answers_with_garbage(run: Any) -> None:
    with noise() as port:
        code, said, _ = run(
            f"vtube-studio://127.0.0.1:{port}", f"ifacialmocap://127.0.0.1:{port}?tcp=1", frames=45
        )
    assert code == 0
    assert any("it is no VTube Studio" in line for line in said)
    assert all("vtube-studio" in line or "closed the connection" in line for line in said), said
    assert len(said) == len(set(said))


@contextmanager
def noise() -> Iterator[int]:
    """A server that says nonsense and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(5.0)
                    peer.recv(4096)
                    peer.sendall(b"\0\xff nonsense\r\n\r\n")
            except OSError:
                if server.fileno() < 0:
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_access_that_is_denied(run: Any) -> None:
    with VTubeStudio(denies=True) as studio:
        code, said, _ = run(f"vtube-studio://127.0.0.1:{studio.port}", frames=45)
    assert code == 1
    assert sum("was denied: start again and click" in line for line in said) == 1


def test_a_websocket_that_closes_while_it_runs(run: Any) -> None:
    with VTubeStudio(closes_after=3) as studio:
        code, said, _ = run(f"vtube-studio://127.0.0.1:{studio.port}", frames=45)
        assert studio.sessions >= 2
        assert len(studio.injected) > 3
    assert code == 0
    assert [line for line in said if "click" not in line] == [
        f"rtrecon: warning: vtube-studio at 127.0.0.1:{studio.port}: it closed the connection"
    ]


def test_a_token_that_has_expired(run: Any, tmp_path: Path) -> None:
    with VTubeStudio() as studio:
        token = tmp_path / "c" / f"vtube-studio-127.0.0.1_{studio.port}.token"
        token.parent.mkdir()
        token.write_text("expired", encoding="utf-8")
        code, said, _ = run(f"vtube-studio://127.0.0.1:{studio.port}", frames=45)
        assert len(studio.injected) > 0
    assert code == 0
    assert any("no longer valid, it is asked for again" in line for line in said)
