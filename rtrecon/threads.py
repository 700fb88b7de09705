"""Threads that end with what they belong to, and never meet the interpreter's end.

A daemon thread that comes back from a driver while the interpreter is being taken down is ended
inside C++ code, which aborts the process. So what still runs is waited for before that, and the
command line, which knows its exit code, ends the process without taking anything down.
"""

from __future__ import annotations

import atexit
import inspect
import logging
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from typing import Any, NoReturn

from rtrecon.errors import RtreconError

__all__ = [
    "at_sudden_end",
    "end_process",
    "end_suddenly",
    "ends_at_exit",
    "ends_with",
    "start_thread",
]

logger = logging.getLogger(__name__)

_LAST_WAIT_S = 12.0  # drivers come back within ten seconds, streams within eight

_started: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_last_words: list[Callable[[], Callable[[], None] | None]] = []
_to_end: list[weakref.WeakMethod[Callable[[], None]]] = []
_owned: set[weakref.finalize[..., Any]] = set()


def start_thread(target: Callable[..., None], *args: object, name: str) -> threading.Thread:
    """A named daemon thread that runs ``target``.

    Raises:
        RtreconError: the system gives this process no more threads.
    """
    thread = threading.Thread(target=target, args=args, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise RtreconError(
            f"the system gives no thread for {name} ({error}): end other programs, or raise "
            "the limit (ulimit -u, or the container's pids limit)"
        ) from error
    _started.add(thread)
    return thread


def ends_with(owner: object, what: str, end: Callable[[], None]) -> Callable[[], None]:
    """Say so and call ``end`` if ``owner`` is collected, or the program ends, before it was closed.

    ``end`` must not hold ``owner``, and must not wait: it may be called in the middle of anything.

    Returns:
        What to call when the owner was closed.
    """
    guard = weakref.finalize(owner, _forgotten, what, end)
    guard.atexit = False  # `_await_threads` does it, in the right order
    _owned.add(guard)

    def closed() -> None:
        guard.detach()
        _owned.discard(guard)

    return closed


def ends_at_exit(end: Callable[[], None]) -> None:
    """Have the method ``end`` called when the program ends, if its object is still there.

    It must not wait; what it belongs to is not kept by this.
    """
    _to_end[:] = [known for known in _to_end if known() is not None]
    _to_end.append(weakref.WeakMethod(end))


def end_process(code: int) -> NoReturn:
    """End the process with ``code``; at once, if threads of ours hang in a driver."""
    left = [thread.name for thread in _started if thread.is_alive()]
    if not left:
        sys.exit(code)
    logger.debug("still running, left as they are: %s", ", ".join(left))
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue
    logging.shutdown()
    os._exit(code)


def at_sudden_end(end: Callable[[], None]) -> Callable[[], None]:
    """Have ``end`` called if a library is about to end the process, the newest first.

    The object of a method is not kept by this.

    Returns:
        What to call when that is not wanted any more.
    """
    words = weakref.WeakMethod(end) if inspect.ismethod(end) else (lambda: end)
    _last_words.append(words)

    def undo() -> None:
        if words in _last_words:
            _last_words.remove(words)

    return undo


def end_suddenly(reason: str) -> NoReturn:
    """Complete what can be completed, and end the process with 1 before a library does."""
    logger.error("%s: ending", reason)
    while _last_words:
        end = _last_words.pop()()
        try:
            if end is not None:
                end()
        except Exception as error:
            logger.error("%s", error)
            logger.debug("at the sudden end", exc_info=True)
    logging.shutdown()
    os._exit(1)


def _forgotten(what: str, end: Callable[[], None]) -> None:
    message = f"{what} was never closed: use it in a `with` statement, or close it"
    logger.warning(message)
    try:
        end()
    finally:
        warnings.warn(message, ResourceWarning, stacklevel=2)


@atexit.register
def _await_threads() -> None:
    """End what nobody closed; wait for what still runs."""
    for guard in list(_owned):
        _owned.discard(guard)
        alive = guard.detach()  # calling it does nothing any more at this point
        if alive is None:
            continue
        _, forgotten, arguments, _ = alive
        try:
            forgotten(*arguments)
        except Exception:
            logger.debug("at the end", exc_info=True)
    for known in _to_end:
        end = known()
        if end is not None:
            end()
    until_s = time.monotonic() + _LAST_WAIT_S
    for thread in list(_started):
        try:
            thread.join(max(0.0, until_s - time.monotonic()))
        except KeyboardInterrupt:
            return
