"""Lines and a progress line share one terminal; elsewhere there is no progress line."""

from __future__ import annotations

import io
import logging
import signal
import subprocess
import sys

import pytest

from rtrecon import console
from rtrecon.console import LogHandler, Progress, say, signals_end


class Terminal(io.StringIO):
    """Looks like a terminal."""

    def isatty(self) -> bool:
        return True


def screen(written: str) -> list[str]:
    """What a terminal shows of ``written``: of the sequences, those that rich's line uses."""
    lines, row, k = [""], 0, 0
    while k < len(written):
        rest = written[k:]
        if rest.startswith("\x1b["):
            end = next(i for i, c in enumerate(rest[2:], 2) if c.isalpha())
            if rest[end] == "K":
                lines[row] = ""
            elif rest[end] == "A":
                row = max(0, row - int(rest[2:end] or 1))
            k += end + 1
            continue
        if rest[0] == "\r":
            pass  # the sequences that follow begin at the line's start
        elif rest[0] == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        else:
            lines[row] += rest[0]
        k += 1
    return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(console, "_REFRESH_S", 0.0)
    return Terminal()


def test_the_line_says_how_far_it_is_and_goes(terminal: Terminal) -> None:
    with Progress("pictures", 10, stream=terminal) as progress:
        progress.show(4, "2.0/s")
        shown = terminal.getvalue()
    assert "pictures" in shown
    assert "4/10" in shown
    assert "2.0/s" in shown
    assert screen(terminal.getvalue()) == []


def test_lines_go_above_it(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal)
    logger = logging.getLogger("rtrecon.test")
    logger.propagate = False
    logger.addHandler(LogHandler(terminal))
    try:
        with Progress("pictures", 10, stream=terminal) as progress:
            progress.show(1)
            logger.warning("a.jpg is cut short")
            say("a line of output")
            progress.show(2)
            now = screen(terminal.getvalue())
    finally:
        logger.handlers.clear()
    assert now[:2] == ["rtrecon: warning: a.jpg is cut short", "a line of output"]
    assert "2/10" in now[2]
    assert screen(terminal.getvalue()) == now[:2]


def test_there_is_none_without_a_terminal_or_when_quiet(terminal: Terminal) -> None:
    file = io.StringIO()
    for progress in (
        Progress("frames", None, stream=file),
        Progress("frames", 3, quiet=True, stream=terminal),
    ):
        with progress:
            progress.show(1, "30 fps")
    assert file.getvalue() == terminal.getvalue() == ""


def test_rich_is_imported_by_those_who_see_it_alone() -> None:
    script = (
        "import sys; from rtrecon.console import Progress\n"
        "with Progress('frames', 3) as p: p.show(1)\n"
        "print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", 1)])
def test_a_signal_is_an_interrupt_while_a_command_runs(number: int) -> None:
    before = signal.getsignal(number)

    def interrupted() -> None:
        with signals_end():
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(number) is before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_loop_that_looks_is_not_interrupted() -> None:
    stopped = []
    with signals_end() as signals:
        signals.stop_with(lambda: stopped.append(1))
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert stopped == [1]
    assert signals.came


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_end():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_stream_takes_no_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream = io.StringIO()
    handler = LogHandler(stream)
    stream.close()
    handler.handle(logging.LogRecord("rtrecon", logging.ERROR, __file__, 1, "lost", (), None))
    assert capsys.readouterr().err == ""
