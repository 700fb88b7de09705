"""What people see of a command: log lines, one progress line, and signals that end it cleanly."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol

from rtrecon.shown import hide_secrets, plain

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

__all__ = [
    "LogHandler",
    "OnTerminal",
    "Progress",
    "Signals",
    "leave_bottom",
    "note_interrupts",
    "raise_if_interrupted",
    "say",
    "signals_end",
    "stay_at_bottom",
]

_REFRESH_S = 0.1
_ENOUGH = 3  # signals after which an ending that hangs is not waited for


class OnTerminal(Protocol):
    """Something that stays at the bottom of the terminal while lines go by above it."""

    def take_away(self) -> None:
        """Leave the terminal to somebody else."""

    def put_back(self) -> None:
        """Draw it again."""


_at_bottom: list[OnTerminal] = []  # what is there now, if anything
_drawing = threading.RLock()
_interrupts: list[int] = []  # that came before a command looked after its signals


class Progress:
    """How far a long command is, as one line on standard error; nothing where that is no terminal.

    Log lines by `LogHandler` and output by `say` go above it; at the end it is taken away.

    Args:
        what: the unit that is counted, such as ``pictures``.
        total: how many there will be; None: not known.
        quiet: show nothing.
        stream: a terminal other than standard error.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        *,
        quiet: bool = False,
        stream: IO[str] | None = None,
    ) -> None:
        self._rich: RichProgress | None = None
        self._next_s = 0.0
        terminal = sys.stderr if stream is None else stream
        if quiet or terminal is None or not terminal.isatty():  # None: it was closed
            return
        # A tenth of a second that only those pay who see it.
        from rich import progress
        from rich.console import Console

        self._rich = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=30),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[note]}"),
            console=Console(file=terminal),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._rich.add_task(what, total=total, note="")

    def show(self, done: int, note: str = "", *, total: int | None = None) -> None:
        """Say that ``done`` of them are done; drawn ten times a second at most."""
        if self._rich is None:
            return
        now_s = time.monotonic()
        with _drawing:
            self._rich.update(self._task, completed=done, note=note, total=total)
            if now_s >= self._next_s:
                self._next_s = now_s + _REFRESH_S
                with suppress(OSError):  # the terminal has gone
                    self._rich.refresh()

    def __enter__(self) -> Progress:
        if self._rich is not None:
            stay_at_bottom(self)
            self._rich.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._rich is not None:
            leave_bottom(self)
            with suppress(OSError):
                self._rich.stop()

    def take_away(self) -> None:
        """See `OnTerminal`."""
        if self._rich is not None:
            with suppress(OSError):
                self._rich.stop()

    def put_back(self) -> None:
        """See `OnTerminal`."""
        if self._rich is not None:
            with suppress(OSError):
                self._rich.start()


def stay_at_bottom(shown: OnTerminal) -> None:
    """Lines go above ``shown`` from now on."""
    with _drawing:
        if shown not in _at_bottom:
            _at_bottom.append(shown)


def leave_bottom(shown: OnTerminal) -> None:
    """``shown`` has been taken away, or is about to be."""
    with _drawing:
        if shown in _at_bottom:
            _at_bottom.remove(shown)


class LogHandler(logging.StreamHandler[IO[str]]):
    """Log lines on standard error: ``rtrecon: message``, with the level from warnings up.

    Attributes:
        traces: whether debug messages show the traceback they have.
    """

    def __init__(self, stream: IO[str] | None = None) -> None:
        super().__init__(sys.stderr if stream is None else stream)
        self.traces = True
        self.setFormatter(_Formatter(self))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line above the progress line."""
        with _above_progress():
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """A stream that was closed takes no line: that is its owner's wish, and no traceback's."""
        if not self.stream.closed:
            super().handleError(record)


class _Formatter(logging.Formatter):
    def __init__(self, handler: LogHandler) -> None:
        super().__init__()
        self._handler = handler

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        text = f"rtrecon: {level}{plain(record.getMessage())}"
        if record.exc_info and (self._handler.traces or record.levelno >= logging.INFO):
            trace = plain(self.formatException(record.exc_info), lines=True)
            text += "\n" + trace.replace("\nrtrecon: ", "\n  rtrecon: ")  # no line of ours
        return hide_secrets(text)


def say(text: str) -> None:
    """Write asked-for output to standard output, above the progress line.

    Control characters but ends of lines are escaped.
    """
    with _above_progress():
        print(plain(text, lines=True), flush=True)  # noqa: T201


class Signals:
    """What ends a command from outside: Ctrl-C, SIGTERM, and SIGHUP as its terminal goes.

    The first signal ends it cleanly: it raises KeyboardInterrupt, or calls what `stop_with` was
    given. From then on, or from `defer` on, the ending is let finish; the third signal ends it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._stop: Callable[[], None] | None = None
        self._is_ending = False

    @property
    def came(self) -> bool:
        """Whether there was one so far."""
        return self._count > 0

    def stop_with(self, stop: Callable[[], None]) -> None:
        """The first signal calls ``stop``: for loops that look whether they are to end."""
        self._stop = stop
        if self.came:  # and what it raised was lost, as in the middle of an import
            stop()

    def defer(self) -> None:
        """The ending has begun: nothing that comes now interrupts it."""
        self._is_ending = True

    def handle(self, number: int, *_: object) -> None:
        """One of them has come."""
        self._count += 1
        was_ending, self._is_ending = self._is_ending, True
        if self._count >= _ENOUGH:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif was_ending:
            left = _ENOUGH - self._count
            # Not by the logger: this may have come in the middle of a line of its own.
            with suppress(OSError):
                os.write(
                    2,
                    b"rtrecon: files are being completed; "
                    + (b"once more" if left == 1 else b"twice more")
                    + b" ends this at once\n",
                )
        elif self._stop is not None:
            self._stop()
        else:
            raise KeyboardInterrupt


def note_interrupts() -> None:
    """Have a Ctrl-C that comes before `signals_end` noted, as well as raised.

    Python loses a KeyboardInterrupt that is raised in the middle of an import, where it only says
    "Exception ignored". See `raise_if_interrupted`.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _note_interrupt)


def raise_if_interrupted() -> None:
    """Raise the KeyboardInterrupt that `note_interrupts` has seen and nobody has met."""
    if _interrupts:
        _interrupts.clear()
        raise KeyboardInterrupt


def _note_interrupt(number: int, *_: object) -> None:
    _interrupts.append(number)
    raise KeyboardInterrupt


@contextmanager
def signals_end() -> Iterator[Signals]:
    """Ctrl-C, SIGTERM and SIGHUP end a command cleanly: what is finished is written, summed up.

    What was to be ignored, as by ``nohup``, stays so.
    """
    raise_if_interrupted()
    signals = Signals()
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, signals.handle)
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _above_progress() -> Iterator[None]:
    with _drawing:
        shown = _at_bottom[-1] if _at_bottom else None
        if shown is not None:
            shown.take_away()
        try:
            yield
        finally:
            if shown is not None:
                shown.put_back()
