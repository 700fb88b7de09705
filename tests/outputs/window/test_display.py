"""Whether a display is there is asked of the display."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from rtrecon.outputs.window import x_probe
from rtrecon.outputs.window.display import has_display

pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="Windows and macOS always have a display"
)


def test_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    shown, reason = has_display()
    assert not shown
    assert "no display" in reason


@pytest.mark.parametrize("name", [":9871", "unix:9871", ":9871.0", "127.0.0.1:59001.0"])
def test_dead_display_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", name)
    shown, reason = has_display()
    assert not shown
    assert name in reason


def test_nonsense_is_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", "nonsense")
    assert not has_display()[0]


def test_answering_display(monkeypatch: pytest.MonkeyPatch, xvfb: str) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", xvfb)
    assert has_display() == (True, "")
    monkeypatch.setenv("DISPLAY", f"{xvfb}.0")
    assert has_display()[0]


def test_wayland_without_x(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-7")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    shown, reason = has_display()
    assert not shown
    assert "wayland-7" in reason
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-7"))
        server.listen()
        assert has_display()[0]


@contextlib.contextmanager
def _server(*options: str) -> Iterator[str]:
    """A display that has no client yet; gives its name."""
    program = shutil.which("Xvfb")
    if program is None or ctypes.util.find_library("X11") is None:
        pytest.skip("Xvfb and libX11 are needed: apt-get install xvfb libx11-6")
    read_end, write_end = os.pipe()
    command = [program, "-displayfd", str(write_end), *options]
    with subprocess.Popen(
        command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        os.close(write_end)
        try:
            with os.fdopen(read_end) as answer:
                yield f":{answer.readline().strip()}"
        finally:
            server.terminate()


def test_a_display_that_refuses_us_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Open3D draws off screen on it, and the window would never be seen."""
    keys = tmp_path / "keys"
    cookie = [b"\0", b"MIT-MAGIC-COOKIE-1", bytes(range(16))]
    fields = b"".join(len(part).to_bytes(2, "big") + part for part in (b"host", *cookie))
    keys.write_bytes(b"\1\0" + fields)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("XAUTHORITY", os.devnull)
    with _server("-auth", str(keys)) as name:
        monkeypatch.setenv("DISPLAY", name)
        shown, reason = has_display()
    assert not shown
    assert "refuses" in reason


def test_a_display_that_starts_over_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under xvfb-run, when the only client was the one that asked whether it answers."""
    x11 = mock.Mock()
    x11.XOpenDisplay.side_effect = [None, None, 1]
    monkeypatch.setattr(x_probe.ctypes, "CDLL", lambda _: x11)
    assert x_probe.admits(":0")
    x11.XCloseDisplay.assert_called_once_with(1)
