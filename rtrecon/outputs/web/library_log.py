"""What aiohttp and aiortc say, in our words: once, and nothing of who only hung up."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError

from rtrecon.errors import RtreconError

__all__ = ["http_logger", "note_of_loop"]

logger = logging.getLogger(__name__)

_MOST_SAID = 20


class _Demote(logging.Filter):
    """What a library says of what others send is of no interest: once, in our words, is enough.

    Of who hangs up not even that; a failure of our own is an error.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            error = record.exc_info[1] if record.exc_info else None
            if error is None or isinstance(error, HttpProcessingError | ssl.SSLError):
                words, level = "somebody sends what is no request: hung up", logging.INFO
            elif isinstance(error, OSError | TimeoutError | asyncio.CancelledError):
                words, level = "", logging.DEBUG
            else:
                words, level = f"a request failed ({error!r}): --debug shows where", logging.ERROR
            if words and words not in self._said and len(self._said) < _MOST_SAID:
                self._said.add(words)
                logger.log(level, "web: %s; not said again", words)
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return logger.isEnabledFor(record.levelno)


def http_logger() -> logging.Logger:
    """For aiohttp; the other libraries are kept off standard error unless that is asked for."""
    made = logging.getLogger(f"{__name__}.http")
    made.filters = [_Demote()]
    for name in ("aiortc", "aioice", "libav"):  # not on standard error, unless it is asked for
        library = logging.getLogger(name)
        if not library.handlers:
            library.addHandler(logging.NullHandler())
    return made


def note_of_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG001
    """What a peer's garbage ends is its own connection; nobody's terminal is filled with it."""
    error = context.get("exception")
    if isinstance(error, RtreconError):
        logger.error("web: %s", error)
    logger.debug("web: %s", context.get("message"), exc_info=error)
