"""Loaded by Python's start in the children of test_privacy: notes what reaches for the network."""

import os
import socket
import sys

_NOTES = os.environ["RTRECON_TEST_NOTES"]
_EVENTS = ("socket.getaddrinfo", "socket.gethostby", "socket.connect", "socket.sendto")


def _note(what: str) -> None:
    descriptor = os.open(_NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{os.getpid()} {what}\n".encode())
    os.close(descriptor)


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(_EVENTS):
        _note(f"{event} {arguments[-1]!r}")


def _listen(self: socket.socket, *backlog: int) -> None:
    _note(f"listen {self.getsockname()!r}")
    raise OSError("no listening in this test")


_note("started")
sys.addaudithook(_watch)
socket.socket.listen = _listen  # type: ignore[method-assign]
