"""X servers that never answer, and displays that go away while a window is open."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtrecon.outputs.window import display
from rtrecon.outputs.window.display import has_display

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 on Linux")

Cli = Callable[..., tuple[int, str, str]]
PATIENCE_S = 90.0


@contextlib.contextmanager
def xvfb() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A display of the test's own, which it may stop and kill."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed: apt-get install xvfb")
    read_end, write_end = os.pipe()
    command = [program, "-displayfd", str(write_end), "-screen", "0", "800x600x24", "-noreset"]
    with subprocess.Popen(
        command, pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        os.close(write_end)
        try:
            with os.fdopen(read_end) as answer:
                number = answer.readline().strip()
            if not number:
                pytest.skip("Xvfb does not start here")
            yield server, f":{number}"
        finally:
            server.kill()


@contextlib.contextmanager
def mute_server(family: int) -> Iterator[str]:
    """Takes connections as an X server does, and says nothing."""
    with socket.socket(family, socket.SOCK_STREAM) as server:
        if family == socket.AF_UNIX:
            number = 20_000 + os.getpid() % 10_000
            server.bind(f"\0/tmp/.X11-unix/X{number}")
            name = f":{number}"
        else:
            server.bind(("127.0.0.1", 0))
            name = f"127.0.0.1:{server.getsockname()[1] - 6000}"
        server.listen()
        taken: list[socket.socket] = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        try:
            yield name
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                connection.close()


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "_ANSWER_S", 1.0)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.mark.usefixtures("no_patience")
@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_server_that_never_answers_is_no_display(
    family: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mute_server(family) as name:
        monkeypatch.setenv("DISPLAY", name)
        shown, reason = has_display()
    assert not shown
    assert name in reason
    assert "does not answer" in reason


@pytest.mark.usefixtures("no_patience")
def test_nor_is_one_that_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    with xvfb() as (server, name):
        monkeypatch.setenv("DISPLAY", name)
        server.send_signal(signal.SIGSTOP)
        shown, reason = has_display()
        server.send_signal(signal.SIGCONT)
    assert not shown
    assert "does not answer" in reason


@pytest.mark.usefixtures("no_patience")
def test_run_and_doctor_say_so(run_cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from rtrecon.commands import doctor

    with mute_server(socket.AF_UNIX) as name:
        monkeypatch.setenv("DISPLAY", name)
        code, _, err = run_cli("run", "demo", "--view", "window", "--max-frames", 3)
        finding = doctor._display()
    assert code == 2
    assert "does not answer" in err
    assert finding.state == "absent"
    assert "does not answer" in finding.detail


@pytest.mark.usefixtures("no_patience")
def test_an_automatic_view_goes_on_without_it(
    run_cli: Cli, dome_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with mute_server(socket.AF_UNIX) as name:
        monkeypatch.setenv("DISPLAY", name)
        code, _, err = run_cli(
            "run", "demo", "--model", dome_model, "--record", tmp_path / "take", "--max-frames", 3
        )
    assert code == 0, err
    assert "no window" in err
    assert (tmp_path / "take" / "poses.jsonl").exists()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def window_of(name: str) -> str:
    tool = shutil.which("xdotool")
    if tool is None:
        pytest.skip("xdotool is not installed")
    found = subprocess.run(
        [tool, "search", "--name", "^rtrecon$"],
        env=os.environ | {"DISPLAY": name},
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.split()[0] if found.stdout.split() else ""


@pytest.mark.parametrize(
    "victim",
    ["server", *(pytest.param(v, marks=pytest.mark.slow) for v in ("client", "stopped"))],
)
def test_a_display_that_goes_away_ends_the_run_in_order(
    victim: str, dome_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("open3d")
    take, stats = tmp_path / "take", tmp_path / "stats.json"
    log = tmp_path / "said.txt"
    with xvfb() as (server, name), log.open("w", encoding="utf-8") as said_here:
        run = subprocess.Popen(
            [
                sys.executable, "-m", "rtrecon", "run", "demo", "--loop", "--view", "window",
                "--model", str(dome_model), "--record", str(take), "--stats", str(stats),
            ],
            env=os.environ | {"DISPLAY": name},
            stderr=said_here,
            text=True,
        )  # fmt: skip
        try:
            wait_for(lambda: "60 degrees" in log.read_text(encoding="utf-8"), run)  # a first frame
            wait_for(lambda: bool(window_of(name)), run)
            time.sleep(1.0)  # some more are shown and recorded
            if victim == "client":
                subprocess.run(
                    ["xdotool", "windowkill", window_of(name)],
                    env=os.environ | {"DISPLAY": name},
                    check=True,
                )
            elif victim == "server":
                server.kill()
            else:  # a server that stands still, and is then killed
                server.send_signal(signal.SIGSTOP)
                time.sleep(0.5)
                server.kill()
            run.wait(timeout=PATIENCE_S)
        finally:
            run.kill()
            run.wait()
    said = log.read_text(encoding="utf-8")
    assert run.returncode == 1, said
    assert "the display was lost" in said
    assert "Traceback" not in said
    summary = json.loads(stats.read_text(encoding="utf-8"))
    assert summary["frames_processed"] > 0
    recorded = {output["name"]: output for output in summary["outputs"]}["record"]
    assert recorded["written"] > 0
    assert recorded["errors"] == 0
    assert (take / "preview.mp4").stat().st_size > 0
    assert len((take / "poses.jsonl").read_text().splitlines()) == recorded["written"]
