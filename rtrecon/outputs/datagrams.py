"""Avatar protocols over UDP: one socket an output, and no receiver that could hold it up."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.errors import ArgumentError, OutputError, UserError
from rtrecon.output import Output, Run
from rtrecon.result import LiveResult

__all__ = ["DatagramOutput", "Encoder", "parse_address"]

logger = logging.getLogger(__name__)

Encoder = Callable[[AvatarFrame], list[bytes]]
"""A frame to datagrams. The same frame gives the same bytes."""

_ADDRESS = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]*))?(?::(?P<port>[^:]*))?")


def parse_address(target: str, host: str, port: int) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``, ``HOST``, ``:PORT`` or ``PORT``; IPv6 in brackets.

    Args:
        target: what was asked for; may be empty.
        host, port: where nothing is said of them.

    Raises:
        ArgumentError: it is none of that.
    """
    match = _ADDRESS.fullmatch(target.strip())
    if match is None:
        raise ArgumentError(
            f"{target!r} is no address: give HOST:PORT, such as {host}:{port}, and an IPv6 "
            f"address in brackets, such as [::1]:{port}"
        )
    named, digits = match["host"] or "", match["port"]
    if named.isdecimal() and digits is None:
        named, digits = "", named
    if digits is not None:
        if not (digits.isdecimal() and 1 <= int(digits) <= 65535):
            raise ArgumentError(f"the port of {target!r} must be 1 to 65535, such as {port}")
        port = int(digits)
    return named.strip("[]") or host, port


class DatagramOutput(Output):
    """One group of datagrams for each result, whether there is a face in it or not.

    A receiver that is not there, or goes away, is said once and changes nothing: datagrams are
    sent on and wait for nobody.

    Args:
        address: host and port.
        encode: of this protocol.
        mirror: as in a mirror.
        settings: of the chain; outputs with the same share it.

    Attributes:
        is_mirrored: as in a mirror.
        unheard: datagrams that the network gave back, so far.
    """

    def __init__(
        self, address: tuple[str, int], encode: Encoder, *, mirror: bool, settings: AvatarSettings
    ) -> None:
        self._address, self._encode = address, encode
        self.is_mirrored, self._settings = mirror, settings
        self._stage = AvatarStage(settings)
        self._socket: socket.socket | None = None
        self._said: set[str] = set()
        self.unheard = 0

    @property
    def target(self) -> str:
        """Host and port."""
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def open(self, run: Run) -> None:
        """Look the host up and make the socket.

        Raises:
            UserError: there is no such host.
            OutputError: the system gives no socket for it.
        """
        self._stage = run.shared((AvatarStage, self._settings), lambda: AvatarStage(self._settings))
        host, port = self._address
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise UserError(
                f"there is no host {host!r} ({error}): check its name, or give its address"
            ) from error
        family, _, _, _, place = found[0]
        try:
            made = socket.socket(family, socket.SOCK_DGRAM)
            try:
                made.setblocking(False)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                made.connect(place)
            except OSError:
                made.close()
                raise
        except OSError as error:
            raise OutputError(f"cannot send to {self.target}: {error.strerror}") from error
        self._socket = made

    def write(self, result: LiveResult) -> None:
        """Send the datagrams of one result."""
        self.send(self._stage.frame(result))

    def send(self, frame: AvatarFrame) -> None:
        """Send the datagrams of one frame, mirrored if this output is."""
        if self.is_mirrored:
            frame = mirrored(frame)
        trouble = ""
        for datagram in self._encode(frame):
            trouble = self._send(datagram) or trouble
        self._say(trouble)

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, datagram: bytes) -> str:
        """Send one; what is wrong, or ""."""
        if self._socket is None:
            return "it is not open"
        trouble = ""
        for _ in range(2):
            try:
                self._socket.send(datagram)
                return trouble
            except ConnectionRefusedError:
                # Said of a datagram before this one, which was not sent: once more.
                trouble = "nobody listens there"
                self.unheard += 1
            except BlockingIOError:
                return "the network takes no more datagrams"
            except OSError as error:
                return error.strerror or repr(error)
        return trouble

    def _say(self, trouble: str) -> None:
        """Each trouble once a run: a receiver that comes and goes is not worth a line a time."""
        if trouble and trouble not in self._said:
            self._said.add(trouble)
            logger.warning("%s to %s: %s; sent on all the same", self.name, self.target, trouble)
