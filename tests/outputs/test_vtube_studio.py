"""The output for VTube Studio, against one that is written from the protocol."""

from __future__ import annotations

import json
import logging
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import pytest

from rtrecon.errors import MissingExtraError, OutputError, UserError
from rtrecon.output import Run
from rtrecon.outputs import vtube_beacon, vtube_studio
from rtrecon.outputs.avatar_output import names_port
from rtrecon.outputs.registry import make_output
from rtrecon.outputs.vtube_studio import VTubeStudioOutput
from tests.avatar.faces import face, result, sample

pytest.importorskip("websockets")

from tests.outputs.vtube_studio_double import API, VTubeStudio

BEACON = "VTubeStudioAPIStateBroadcast"


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(tmp_path / "c"))
    return tmp_path / "c"


@contextmanager
def opened(port: int, options: str = "") -> Iterator[VTubeStudioOutput]:
    output = make_output(f"vtube-studio://127.0.0.1:{port}{options}")
    assert isinstance(output, VTubeStudioOutput)
    output.open(Run())
    try:
        yield output
    finally:
        output.close()
        assert output._thread is not None
        assert not output._thread.is_alive()


def until(output: VTubeStudioOutput, studio: VTubeStudio, count: int) -> None:
    output.send(sample())
    studio.wait(count)


def token_file(config: Path, port: int) -> Path:
    return config / f"vtube-studio-127.0.0.1_{port}.token"


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage().partition(": ")[2] for r in caplog.records if r.name.startswith("rtr")]


def test_the_first_time_and_the_next(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    with VTubeStudio() as studio:
        with opened(studio.port) as output:
            output.write(result(0.0, face()))
            studio.wait(1)
        assert studio.kinds[:3] == [
            "AuthenticationTokenRequest", "AuthenticationRequest", "InputParameterListRequest",
        ]  # fmt: skip
        path = token_file(config, studio.port)
        assert {path.read_text()} == studio.tokens
        if sys.platform != "win32":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with opened(studio.port, "?mirror=1") as output:
            until(output, studio, len(studio.injected) + 1)
        assert studio.kinds.count("AuthenticationTokenRequest") == 1
        assert studio.injected[-1]["FaceAngleX"] == pytest.approx(-20.0)
    assert studio.ends == [1000, 1000]  # hung up, not fallen over
    assert said(caplog) == ['click "Allow" in VTube Studio, this once']


def test_values_in_their_ranges_and_no_name_that_is_not_there() -> None:
    with VTubeStudio() as studio, opened(studio.port) as output:
        until(output, studio, 1)
    assert studio.refused == []
    expected = {
        "FaceAngleX": 20, "FaceAngleY": -10, "FaceAngleZ": -5, "FacePositionX": -1,
        "EyeOpenLeft": 0.1, "EyeOpenRight": 1, "EyeLeftX": -0.5, "MouthOpen": 0.8,
        "faceFound": True,
    }  # fmt: skip
    assert studio.injected[0] == pytest.approx(expected, abs=1e-4)


def test_a_user_who_says_no(config: Path) -> None:
    with VTubeStudio(denies=True) as studio, opened(studio.port) as output:
        assert output._thread is not None
        output._thread.join(10.0)
        with pytest.raises(OutputError, match='denied: start again and click "Allow"'):
            output.send(sample())
        assert studio.kinds == ["AuthenticationTokenRequest"]
        assert not token_file(config, studio.port).exists()


@pytest.mark.parametrize("kept", [b"expired", b"\xff\0damaged\n\n", b""])
def test_a_token_that_is_no_longer_valid(kept: bytes, config: Path) -> None:
    config.mkdir()
    with VTubeStudio() as studio:
        path = token_file(config, studio.port)
        path.write_bytes(kept)
        with opened(studio.port) as output:
            until(output, studio, 1)
        assert {path.read_text()} == studio.tokens
    assert studio.kinds.count("AuthenticationTokenRequest") == 1


def test_a_token_that_cannot_be_kept(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    config.write_text("a file where the folder should be")
    with VTubeStudio() as studio, opened(studio.port) as output:
        until(output, studio, 1)
    assert any("allowed again next time" in line for line in said(caplog))


def test_control_is_kept_while_no_results_come() -> None:
    with VTubeStudio() as studio, opened(studio.port) as output:
        until(output, studio, 5)
    assert studio.control_lost == 0
    assert [entry["faceFound"] for entry in studio.injected[:2]] == [True, True]
    assert studio.injected[4]["faceFound"] is False


def test_parameters_of_ones_own() -> None:
    with VTubeStudio() as studio, opened(studio.port, "?create=1") as output:
        until(output, studio, 1)
        assert len(studio.custom) == 52
    assert studio.injected[0]["rtJawOpen"] == pytest.approx(0.4)


def test_no_room_for_parameters_of_ones_own(caplog: pytest.LogCaptureFixture) -> None:
    with VTubeStudio(most_custom=3) as studio, opened(studio.port, "?create=1") as output:
        until(output, studio, 1)
    assert studio.kinds.count("ParameterCreationRequest") == 4
    assert any("makes no parameter rt" in line for line in said(caplog))


def test_a_parameter_that_goes_away(caplog: pytest.LogCaptureFixture) -> None:
    with VTubeStudio(custom={"rtJawOpen": (0, 1)}) as studio, opened(studio.port) as output:
        until(output, studio, 1)
        assert "rtJawOpen" in studio.injected[0]
        studio.custom.clear()
        until(output, studio, len(studio.injected) + 1)
    assert "rtJawOpen" not in studio.injected[-1]
    assert studio.refused == [453]
    assert studio.sessions == 1
    assert "it refuses: a parameter does not exist" in said(caplog)


def test_one_that_comes_later_and_closes_and_comes_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with opened(port) as output:
        output.send(sample())
        while not said(caplog):
            time.sleep(0.01)
        with VTubeStudio(port=port, closes_after=1) as studio:
            until(output, studio, 2)
            assert studio.sessions == 2
    assert [line.partition(" (")[0] for line in said(caplog)] == [
        "nobody listens there", 'click "Allow" in VTube Studio, this once',
        "it closed the connection",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "kind", ["AuthenticationRequest", "InputParameterListRequest", "InjectParameterDataRequest"]
)
def test_garbage_is_said_once_and_held_out(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with VTubeStudio(garbage_for=kind) as studio, opened(studio.port) as output:
        output.send(sample())
        while studio.sessions < 2:
            time.sleep(0.01)
        studio.garbage_for = ""
        until(output, studio, 1)
    assert said(caplog).count("what it answers cannot be understood") == 1


def test_something_else_that_listens_there(caplog: pytest.LogCaptureFixture) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        opened(server.getsockname()[1]) as output,
    ):
        output.send(sample())
        peer, _ = server.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
        while not said(caplog):
            time.sleep(0.01)
    assert said(caplog)[0].startswith("it is no VTube Studio")


def test_nothing_waits_for_one_that_never_answers() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        opened(server.getsockname()[1]) as output,
    ):
        for k in range(100):
            output.write(result(k / 30, face(), index=k))


def test_a_host_that_is_none_and_a_library_that_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="no host"):
        VTubeStudioOutput("no host here.invalid").open(Run())
    monkeypatch.setitem(sys.modules, "websockets.sync.client", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rtrecon\[vtube-studio\]'"):
        VTubeStudioOutput().open(Run())
    assert "rtrecon[vtube-studio]" in VTubeStudioOutput.missing()


@pytest.fixture
def beacon_port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    monkeypatch.setattr(vtube_beacon, "BEACON_PORT", port)
    return port


def call_out(to_port: int, port: object, *, active: object = True, kind: str = BEACON) -> None:
    data = {"active": active, "port": port, "instanceID": "93aa", "windowTitle": "VTube Studio"}
    said = {**API, "timestamp": 1, "messageType": kind, "requestID": kind, "data": data}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(json.dumps(said).encode(), ("127.0.0.1", to_port))


def test_a_beacon_names_the_port(
    beacon_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(vtube_studio, "_USUAL_PORT", probe.getsockname()[1])
    output = make_output("vtube-studio://127.0.0.1")
    assert isinstance(output, VTubeStudioOutput)
    with VTubeStudio() as studio, caplog.at_level(logging.INFO, logger="rtrecon"):
        output.open(Run())
        try:
            for port, active in (("8002", True), (0, True), (1e9, True), (True, True), (9, 1)):
                call_out(beacon_port, port, active=active)
            call_out(beacon_port, 9, kind="APIStateResponse")
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
                made.sendto(b"\xff{garbage", ("127.0.0.1", beacon_port))
            call_out(beacon_port, studio.port)
            call_out(beacon_port, 9, active=False)
            until(output, studio, 1)
        finally:
            output.close()
        assert f"its beacon names 127.0.0.1:{studio.port}" in said(caplog)
        assert output.target == f"127.0.0.1:{studio.port}"
        assert not any("nobody listens" in line for line in said(caplog))  # only for a moment


def test_a_beacon_says_that_plugins_are_not_allowed(
    beacon_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(vtube_studio, "_USUAL_PORT", probe.getsockname()[1])
    output = VTubeStudioOutput()
    output.open(Run())
    try:
        call_out(beacon_port, 8001, active=False)
        while not said(caplog):
            time.sleep(0.01)
    finally:
        output.close()
    assert said(caplog) == ["plugins are not allowed: turn on plugin API access in its settings"]


def test_a_short_run_says_that_nobody_was_there(
    beacon_port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(vtube_studio, "_USUAL_PORT", probe.getsockname()[1])
    output = VTubeStudioOutput()
    output.open(Run())
    while not output._unsaid:
        time.sleep(0.01)
    assert said(caplog) == []
    output.close()
    assert [line.partition(" (")[0] for line in said(caplog)] == ["nobody listens there"]


def test_a_port_that_was_given_is_kept(beacon_port: int) -> None:
    with VTubeStudio() as studio, opened(studio.port) as output:
        assert output._ear is None
        until(output, studio, 1)


@pytest.mark.parametrize(
    ("target", "has"),
    [("", False), ("pc", False), ("10.0.0.2", False), ("[::1]", False), ("pc:9", True),
     (":9", True), ("9", True), ("[::1]:9", True)],
)  # fmt: skip
def test_which_addresses_name_a_port(target: str, has: bool) -> None:
    assert names_port(target) is has


def test_the_log_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    with (
        VTubeStudio() as studio,
        caplog.at_level(logging.INFO, logger="rtrecon"),
        opened(studio.port) as output,
    ):
        until(output, studio, 1)
    assert "connected" in said(caplog)
