"""Avatar protocols over UDP: one socket an output, and no receiver that could hold it up."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.stage import AvatarSettings
from rtrecon.errors import OutputError
from rtrecon.output import Run
from rtrecon.outputs.avatar_output import AvatarOutput, look_up

__all__ = ["DatagramOutput", "Encoder"]

logger = logging.getLogger(__name__)

Encoder = Callable[[AvatarFrame], list[bytes]]
"""A frame to datagrams. The same frame gives the same bytes."""


class DatagramOutput(AvatarOutput):
    """One group of datagrams for each result, whether there is a face in it or not.

    A receiver that is not there, or goes away, is said once and changes nothing: datagrams are
    sent on and wait for nobody.

    Args:
        address: host and port.
        encode: of this protocol.
        mirror: as in a mirror.
        settings: of the chain; outputs with the same share it.

    Attributes:
        unheard: datagrams that the network gave back, so far.
    """

    def __init__(
        self, address: tuple[str, int], encode: Encoder, *, mirror: bool, settings: AvatarSettings
    ) -> None:
        super().__init__(address, mirror=mirror, settings=settings)
        self._encode = encode
        self._socket: socket.socket | None = None
        self._said: set[str] = set()
        self.unheard = 0

    def open(self, run: Run) -> None:
        """Look the host up and make the socket.

        Raises:
            UserError: there is no such host.
            OutputError: the system gives no socket for it.
        """
        super().open(run)
        family, _, _, _, place = look_up(*self._address, socket.SOCK_DGRAM)
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
