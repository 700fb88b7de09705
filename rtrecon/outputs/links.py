"""Ways to one receiver, over UDP and over TCP, on which nothing ever waits."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import Any, Protocol

__all__ = ["ABSENT", "Link", "TcpLink", "UdpLink"]

ABSENT = "nobody listens there"
"""The trouble with a receiver that is not running."""

_GONE_S = 3.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.2, 2.0
_CONNECT_TIMEOUT_S = 3.0
_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}


class Link(Protocol):
    """What a message is sent over."""

    def send(self, message: bytes) -> str:
        """Send a message, or drop it; what is wrong, or ""."""

    def close(self) -> None:
        """Let go of the socket."""


class UdpLink:
    """A connected socket: it hears that nobody listens.

    Args:
        family, place: as `socket.getaddrinfo` gives them.

    Attributes:
        unheard: datagrams that the network gave back, so far.
        is_gone: they have come back for three seconds.

    Raises:
        OSError: the system gives no socket for it.
    """

    def __init__(self, family: int, place: tuple[Any, ...]) -> None:
        self.unheard = 0
        self.is_gone = False
        self._first_refused_s = self._last_refused_s = float("-inf")
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._socket.connect(place)
        except OSError:
            self._socket.close()
            raise

    def send(self, message: bytes) -> str:
        """Send one datagram."""
        trouble = ""
        for _ in range(2):
            try:
                self._socket.send(message)
                return trouble
            except ConnectionRefusedError:
                # Said of a datagram before this one, which was not sent: once more.
                trouble = ABSENT
                self._refused()
            except BlockingIOError:
                return "the network takes no more datagrams"
            except OSError as error:
                return error.strerror or repr(error)
        return trouble

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _refused(self) -> None:
        """Machines far off say so of one datagram in a while."""
        self.unheard += 1
        now_s = time.monotonic()
        if now_s - self._last_refused_s > _GONE_S:
            self._first_refused_s = now_s
        self._last_refused_s = now_s
        self.is_gone = now_s - self._first_refused_s > _GONE_S


class TcpLink:
    """A connection that is made, and made again, while messages are given to it.

    A message that was begun is completed before another, whatever is given meanwhile; what the
    receiver says is not read.

    Args:
        family, place: as `socket.getaddrinfo` gives them.

    Attributes:
        dropped: messages that a connected receiver was too slow for.
    """

    def __init__(self, family: int, place: tuple[Any, ...]) -> None:
        self._family, self._place = family, place
        self._socket: socket.socket | None = None
        self._is_connected = False
        self._began_s = self._retry_s = 0.0
        self._delay_s = _FIRST_DELAY_S
        self._rest = memoryview(b"")
        self.dropped = 0

    def send(self, message: bytes) -> str:
        """Send one message, or go on with what comes before it."""
        try:
            if not self._is_connected and not self._connect():
                return ""
            self._listen()
            self._flush()
            if self._rest:
                self.dropped += 1
                return "it is too slow: what it cannot take is dropped"
            self._rest = memoryview(message)
            self._flush()
        except ConnectionRefusedError:
            return self._lost(ABSENT)
        except (ConnectionError, EOFError):
            return self._lost("it closed the connection")
        except TimeoutError:
            return self._lost("it does not answer")
        except OSError as error:
            return self._lost(error.strerror or repr(error))
        return ""

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._is_connected = False
        self._rest = memoryview(b"")

    def _connect(self) -> bool:
        """Begin to connect, or look how far it is."""
        now_s = time.monotonic()
        if self._socket is None:
            if now_s < self._retry_s:
                return False
            self._began_s = now_s
            self._socket = socket.socket(self._family, socket.SOCK_STREAM)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _raise(self._socket.connect_ex(self._place))
        _raise(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        try:
            peer = self._socket.getpeername()
        except OSError:
            if now_s - self._began_s > _CONNECT_TIMEOUT_S:
                raise TimeoutError from None
            return False
        if self._socket.getsockname() == peer:
            # A port for clients was taken that is the receiver's: it would keep them out.
            raise ConnectionRefusedError
        self._is_connected, self._delay_s = True, _FIRST_DELAY_S
        return True

    def _listen(self) -> None:
        """Throw away what it says, which would fill the way to us; hear that it hangs up."""
        assert self._socket is not None
        try:
            if not self._socket.recv(1 << 16):
                raise EOFError
        except BlockingIOError:
            return

    def _flush(self) -> None:
        assert self._socket is not None
        try:
            while self._rest:
                self._rest = self._rest[self._socket.send(self._rest) :]
        except BlockingIOError:
            return

    def _lost(self, trouble: str) -> str:
        self.close()
        self._retry_s = time.monotonic() + self._delay_s
        self._delay_s = min(2.0 * self._delay_s, _LONGEST_DELAY_S)
        return trouble


def _raise(number: int) -> None:
    """The error of ``connect_ex``, or of a socket; none while it is under way."""
    if number and number not in _IN_PROGRESS:
        raise OSError(number, os.strerror(number))
