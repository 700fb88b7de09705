"""Names from outside obey nobody's terminal, and passwords of addresses are in no message."""

from __future__ import annotations

import json
import logging
import re
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import rtrecon
from rtrecon.capture import cameras
from rtrecon.console import LogHandler, say
from rtrecon.depth.manifest import Manifest
from rtrecon.errors import RtreconError, SourceError
from rtrecon.files import write_json
from rtrecon.shown import hide_secrets, plain, shown_address

Cli = Callable[..., tuple[int, str, str]]

EVIL = "Cam\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\r\nrtrecon: all is well"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")

ADDRESSES = [
    "rtsp://admin:hunter2@192.0.2.1:554/live",
    "RTSP://admin:hunter2@192.0.2.1/live",
    "Http://admin:hunter2@192.0.2.1/live",
    "rtsp://admin:hu/nter2@192.0.2.1/live",
    "rtsp://admin:hu@nter2@192.0.2.1/live",
    "rtsp://admin:hu?nter2@192.0.2.1/live",
    "rtsp://admin:hu#nter2@192.0.2.1/live",
    "rtsp://admin:hu nter2@192.0.2.1/live",
    "rtsp://hunter2@192.0.2.1/live",
    "rtsp:/admin:hunter2@192.0.2.1/live",
    "admin:hunter2@192.0.2.1",
    "http://192.0.2.1/live?token=hunter2",
    "http://192.0.2.1/live?user=admin&PASSWORD=hunter2&x=1",
    "http://192.0.2.1/cgi?usr=admin&pwd=hunter2",
    "http://192.0.2.1/live?api_key=hunter2#t=1",
    "http://192.0.2.1/live?X-Amz-Signature=hunter2&a=b",
    "http://192.0.2.1/live?a=b;access_token=hunter2",
    "http://192.0.2.1/live#access_token=hunter2",
    "srt://192.0.2.1:9000?passphrase=hunter2",
]
SECRET = re.compile("hunter2|hu.?nter2|nter2")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_is_hidden_wherever_an_address_stands(address: str) -> None:
    for text in (address, f"{address!r} cannot be opened", f"no file {address}: not found"):
        assert not SECRET.search(hide_secrets(text)), hide_secrets(text)
        assert "192.0.2.1" in hide_secrets(text)
    if "://" in address:
        assert not SECRET.search(shown_address(address))
        assert "192.0.2.1" in shown_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://[2001:db8::1]:554/live",
        "NAME[:TARGET][?key=value&...]",
        "10:20:30.mp4 is empty",
        "http://192.0.2.1:8080/live?width=640",
        "fx 500, fy 500: at 30 Hz",
    ],
)
def test_what_holds_no_password_stays(text: str) -> None:
    assert hide_secrets(text) == text


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_error_holds_the_password(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(113, "No route to host", address)

    monkeypatch.setattr("rtrecon.capture.video.VideoReader.__init__", refuse)
    monkeypatch.setattr("rtrecon.capture.sources.list_cameras", list)
    with pytest.raises(SourceError) as caught:
        rtrecon.open_source(address)
    assert not SECRET.search(str(caught.value))
    assert not SECRET.search(repr(caught.value))


@pytest.mark.parametrize("scheme", ["http", "rtsp", "RTSP"])
def test_no_traceback_holds_the_password(scheme: str) -> None:
    """What FFmpeg says of a refused connection names the whole address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"{scheme}://admin:hunter2@127.0.0.1:{taken.getsockname()[1]}/x?token=hunter2"
        with pytest.raises(SourceError) as caught:
            rtrecon.open_source(address)
    assert not SECRET.search("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize("address", [ADDRESSES[0], ADDRESSES[12]])
def test_no_line_of_a_command_holds_the_password(
    address: str, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(113, "No route to host", address)

    monkeypatch.setattr("rtrecon.capture.video.VideoReader.__init__", refuse)
    monkeypatch.setattr("rtrecon.capture.sources.list_cameras", list)
    for arguments in (
        ("run", address, "--view", "none", "--debug"),
        ("bench", address),
        ("run", "--no-such-option", address),
        ("run", address, "--view", "none", "--faces", "many"),
        ("run", "--view", "none", "--out", address),
        (address,),
    ):
        code, out, err = run_cli(*arguments)
        assert code == 2, (arguments, err)
        assert not SECRET.search(out + err), (arguments, out + err)


def test_no_figures_hold_the_password(tmp_path: Path) -> None:
    data = {"source": {"name": ADDRESSES[0]}, "outputs": [{"name": ADDRESSES[12]}]}
    write_json(tmp_path / "stats.json", data)
    assert not SECRET.search((tmp_path / "stats.json").read_text(encoding="utf-8"))


def test_an_errors_words_have_no_control_characters() -> None:
    error = rtrecon.ArgumentError(f"there is no camera {EVIL}")
    assert not CONTROL.search(str(error))
    assert "\n" not in str(error)
    assert isinstance(error, ValueError)
    assert str(RtreconError("\udcff.jpg")) == "\\xff.jpg"


def test_log_lines_and_output_obey_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    handler = LogHandler()
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.warning("camera %s", EVIL)
    try:
        raise ValueError(EVIL)
    except ValueError:
        logger.exception("failed")
    say(f"camera {EVIL}\ttab\nnext line")
    out, err = capsys.readouterr()
    assert not CONTROL.search(err)
    assert err.count("\nrtrecon: ") == 1  # no line that the name made up
    assert not CONTROL.search(out.replace("\t", ""))
    assert out.endswith("\ttab\nnext line\n")


@pytest.mark.parametrize("name", [EVIL.encode(), b"Cam\xff\xfe\x1b[31m"])
def test_a_camera_may_call_itself_what_it_likes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    entry = tmp_path / "sys" / "video0"
    entry.mkdir(parents=True)
    (entry / "index").write_text("0\n", encoding="ascii")
    (entry / "name").write_bytes(name + b"\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video0").touch()
    monkeypatch.setattr(cameras, "_SYSTEM", tmp_path / "sys")
    monkeypatch.setattr(cameras, "_DEVICES", tmp_path / "dev")
    (camera,) = cameras._list_v4l2()
    assert camera.name.startswith("Cam")
    assert plain(camera.name) == camera.name


def test_a_models_manifest_may_say_what_it_likes(
    dome_model: Path, tmp_path: Path, run_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "evil"
    folder.mkdir(parents=True)
    manifest = json.loads((dome_model / "model.json").read_text(encoding="utf-8"))
    manifest |= {"name": EVIL, "licence": EVIL, "source": EVIL}
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "model.onnx").write_bytes((dome_model / "model.onnx").read_bytes())
    monkeypatch.setattr("rtrecon.depth.store.user_models_folder", lambda: folder.parent)
    read = Manifest.load(folder)
    assert plain(read.name) == read.name
    code, out, err = run_cli("models", "list")
    assert code == 0
    assert "owned" in out
    assert not CONTROL.search(out + err)
    assert len([line for line in out.splitlines() if "all is well" in line]) == 1
    code, out, err = run_cli("models", "verify", folder)
    assert not CONTROL.search(out + err)
