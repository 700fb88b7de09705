"""Where the server listens: an address of this machine, and the next port that is free."""

from __future__ import annotations

import errno
import logging
import socket
from dataclasses import dataclass

from rtrecon.errors import OutputError

__all__ = ["Address", "listen"]

logger = logging.getLogger(__name__)

_NEXT_PORTS = 20


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; the next free port is taken only where none was ``named``."""

    host: str
    port: int
    is_named: bool


def listen(address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        OutputError: it cannot be had.
    """
    most = 1 if address.is_named else _NEXT_PORTS
    trouble: OSError | None = None
    for port in range(address.port, min(address.port + most, 65536)):
        try:
            family = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM)[0][0]
            both = family == socket.AF_INET6 and address.host == "::"
            made = socket.create_server(
                (address.host, port),
                family=family,
                backlog=32,
                dualstack_ipv6=both and socket.has_dualstack_ipv6(),
            )
        except OSError as error:
            trouble = trouble or error
            continue
        if port != address.port:
            logger.warning("port %d is taken: the page is at port %d", address.port, port)
        made.setblocking(False)
        return made
    where = f"{address.host}:{address.port}"
    reason = trouble.strerror if trouble else "no port is left"
    remedy = (
        "end the program that has it, or name another port"
        if trouble is not None and trouble.errno == errno.EADDRINUSE
        else "name an address of this machine, such as 127.0.0.1, and a port above 1023"
    )
    raise OutputError(f"cannot listen on {where} ({reason}): {remedy}")
