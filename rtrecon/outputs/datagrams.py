"""Avatar protocols over UDP: one socket an output, and no receiver that could hold it up."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.errors import OutputError
from rtrecon.output import Run
from rtrecon.outputs.avatar_output import AvatarOptions, AvatarOutput, look_up
from rtrecon.outputs.links import UdpLink

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
        common: of the chain.
    """

    def __init__(self, address: tuple[str, int], encode: Encoder, common: AvatarOptions) -> None:
        super().__init__(address, common)
        self._encode = encode
        self._link: UdpLink | None = None
        self._said: set[str] = set()

    @property
    def unheard(self) -> int:
        """Datagrams that the network gave back, since it was opened."""
        return 0 if self._link is None else self._link.unheard

    def open(self, run: Run) -> None:
        """Look the host up and make the socket.

        Raises:
            UserError: there is no such host.
            OutputError: the system gives no socket for it.
        """
        super().open(run)
        family, _, _, _, place = look_up(*self._address, socket.SOCK_DGRAM)
        try:
            self._link = UdpLink(family, place)
        except OSError as error:
            raise OutputError(f"cannot send to {self.target}: {error.strerror}") from error

    def send(self, frame: AvatarFrame) -> None:
        """Send the datagrams of one frame, mirrored if this output is."""
        if self._link is None:
            return
        if self.is_mirrored:
            frame = mirrored(frame)
        trouble = ""
        for datagram in self._encode(frame):
            trouble = self._link.send(datagram) or trouble
        # Each trouble once a run: a receiver that comes and goes is not worth a line a time.
        if trouble and trouble not in self._said:
            self._said.add(trouble)
            logger.warning("%s to %s: %s; sent on all the same", self.name, self.target, trouble)

    def close(self) -> None:
        """Let go of the socket."""
        if self._link is not None:
            self._link.close()
