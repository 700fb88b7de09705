"""Where VTube Studio is, as it calls out every two seconds to the machines around it."""

from __future__ import annotations

import contextlib
import logging
import socket
from typing import Any

from rtrecon.avatar.vtube_studio import BEACON_PORT, Beacon, beacon_of
from rtrecon.outputs.avatar_output import is_here

__all__ = ["BeaconEar"]

logger = logging.getLogger(__name__)

_MOST_HEARD = 1000  # more than the system keeps while a session lasts
_LONGEST = 4096


class BeaconEar:
    """Hears the beacons of one host, and waits for none.

    Args:
        family, place: of the host, as `socket.getaddrinfo` gives them.

    Raises:
        OSError: the port of beacons cannot be listened on.
    """

    def __init__(self, family: int, place: tuple[Any, ...]) -> None:
        self._host = place[0]
        self._is_here = is_here(family, self._host)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            # Other plugins of VTube Studio listen too.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.setblocking(False)
            self._socket.bind(("", BEACON_PORT))
        except OSError:
            self._socket.close()
            raise

    def heard(self) -> list[Beacon]:
        """What was called out since the last time."""
        found: list[Beacon] = []
        for _ in range(_MOST_HEARD):
            try:
                datagram, (host, *_) = self._socket.recvfrom(_LONGEST)
            except BlockingIOError:
                break
            except OSError as error:
                logger.debug("a beacon: %r", error)
                continue
            if host == self._host or (self._is_here and is_here(socket.AF_INET, host)):
                with contextlib.suppress(ValueError):
                    found.append(beacon_of(datagram))
        return found

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
