"""iFacialMocap: sent to a host unasked, and to whoever asks as its telephone is asked."""

from __future__ import annotations

import ipaddress
import logging
import socket
from dataclasses import dataclass
from typing import Any

from rtrecon.avatar.frame import AvatarFrame, mirrored
from rtrecon.avatar.ifacialmocap import (
    END_OF_MESSAGE,
    TCP_PORT,
    UDP_PORT,
    FaceData,
    Handshake,
    IFacialMocapEncoder,
    read_handshake,
)
from rtrecon.errors import OutputError
from rtrecon.output import Run
from rtrecon.outputs.avatar_output import (
    DEFAULTS,
    AvatarOptions,
    AvatarOutput,
    is_here,
    look_up,
    parse_address,
)
from rtrecon.outputs.links import Link, TcpLink, UdpLink

__all__ = ["IFacialMocapOutput"]

logger = logging.getLogger(__name__)

_HERE = "127.0.0.1"
_LISTEN_PORT = UDP_PORT
_MOST_ASKED = 8  # addresses
_MOST_HEARD = 16  # datagrams that are read for one result


@dataclass(slots=True)
class _Receiver:
    """One that is sent to, and in which version."""

    label: str
    link: Link
    data: FaceData
    over_tcp: bool


class IFacialMocapOutput(AvatarOutput):
    """See `rtrecon.avatar.ifacialmocap`.

    Args:
        target: host and port that are sent to unasked.
        tcp: over a connection to it, on port 49986 unless told otherwise.
        data: version of the text, unless an asker names another.
        listen: answer who asks on UDP port 49983. None does so unless the target is a receiver
            on this machine, which may need that port for itself.
        common: as everywhere.
    """

    name = "ifacialmocap"
    summary = "iFacialMocap's text over UDP or TCP, asked for or not (VSeeFace, Warudo and others)"

    def __init__(
        self,
        target: str = _HERE,
        *,
        tcp: bool = False,
        data: FaceData = "v1",
        listen: bool | None = None,
        common: AvatarOptions = DEFAULTS,
    ) -> None:
        address = parse_address(target, _HERE, TCP_PORT if tcp else UDP_PORT)
        super().__init__(address, common)
        self._over_tcp, self._data, self._listens = tcp, data, listen
        self._encoders: dict[FaceData, IFacialMocapEncoder] = {
            "v1": IFacialMocapEncoder("v1"),
            "v2": IFacialMocapEncoder("v2"),
        }
        self._ear: socket.socket | None = None
        self._receivers: dict[tuple[bool, str, int], _Receiver] = {}  # by TCP or not, and place
        self._asked: list[tuple[bool, str, int]] = []  # those of them that asked, oldest first
        self._said: set[str] = set()

    def open(self, run: Run) -> None:
        """Look the host up, make the socket, and listen.

        Raises:
            UserError: there is no such host.
            OutputError: the system gives no socket for it, or the port that shall be listened
                on is another program's.
        """
        super().open(run)
        kind = socket.SOCK_STREAM if self._over_tcp else socket.SOCK_DGRAM
        family, _, _, _, place = look_up(*self._address, kind)
        needs_port = self._over_tcp or place[1] == _LISTEN_PORT
        own_machine = needs_port and is_here(family, place[0])
        if self._listens or (self._listens is None and not own_machine):
            self._listen(run)
        if self._ear is not None and own_machine and not self._over_tcp:
            return  # that is us
        try:
            link = _link(self._over_tcp, family, place)
        except OSError as error:
            self.close()
            raise OutputError(f"cannot send to {self.target}: {error.strerror}") from error
        receiver = _Receiver(self.target, link, self._data, self._over_tcp)
        self._receivers[self._over_tcp, place[0], place[1]] = receiver

    def send(self, frame: AvatarFrame) -> None:
        """Send one frame, mirrored if this output is, to all that want it."""
        if self._ear is not None:
            self._hear(self._ear)
        if self.is_mirrored:
            frame = mirrored(frame)
        texts: dict[FaceData, bytes] = {}
        for key, to in list(self._receivers.items()):
            if to.data not in texts:
                (texts[to.data],) = self._encoders[to.data](frame)
            text = texts[to.data]
            trouble = to.link.send(text + END_OF_MESSAGE if to.over_tcp else text)
            if trouble and key in self._asked:
                logger.debug("%s to %s: %s", self.name, to.label, trouble)
                if isinstance(to.link, UdpLink) and to.link.is_gone:
                    self._forget(key)
            elif trouble:
                then = "tried again and again" if to.over_tcp else "sent on all the same"
                if self._ear is None and self._listens is None and not to.over_tcp:
                    then += " (listen=1 answers programs of other machines that ask)"
                self._say(f"to {to.label}: {trouble}; {then}")

    def close(self) -> None:
        """Let go of all sockets."""
        for receiver in self._receivers.values():
            receiver.link.close()
        self._receivers.clear()
        if self._ear is not None:
            self._ear.close()
            self._ear = None

    def _listen(self, run: Run) -> None:
        """One output of a run listens: what is asked for is the same face."""
        if run.shared((IFacialMocapOutput, "listens"), lambda: self) is not self:
            return
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            made.bind(("", _LISTEN_PORT))
        except OSError as error:
            made.close()
            if self._listens:
                raise OutputError(
                    f"cannot listen on UDP port {_LISTEN_PORT} ({error.strerror}): end the "
                    "program that has it, or leave listen=1 out"
                ) from error
            self._say(
                f"cannot listen on UDP port {_LISTEN_PORT} ({error.strerror}): who asks there is "
                f"not answered, {self.target} is sent to all the same"
            )
            return
        self._ear = made

    def _hear(self, ear: socket.socket) -> None:
        """Take up who has asked since the last result."""
        for _ in range(_MOST_HEARD):
            try:
                datagram, place = ear.recvfrom(512)
            except BlockingIOError:
                return
            except OSError as error:  # said of what was sent, or a datagram that is too long
                logger.debug("%s: %r", self.name, error)
                continue
            asked = read_handshake(datagram)
            if asked is None:
                self._say(f"what {place[0]} says on port {_LISTEN_PORT} is no handshake: ignored")
            elif ipaddress.ip_address(place[0]).is_global:
                # Who sends from there may not be there: it would have someone else flooded.
                self._say(f"{place[0]} asks from outside of this network and is not answered")
            else:
                self._answer(asked, place)

    def _answer(self, asked: Handshake, place: tuple[str, int]) -> None:
        host, port = place
        if asked.stops:
            self._forget((True, host, TCP_PORT))
            return
        if asked.over_tcp:
            keys = [(True, host, TCP_PORT)]
        else:
            # Some programs listen where they ask from, others on the telephone's port.
            keys = [(False, host, port), (False, host, UDP_PORT)]
        for key in keys:
            if key in self._receivers:
                self._receivers[key].data = asked.data
                continue
            over_tcp, _, port = key
            if port == _LISTEN_PORT and is_here(socket.AF_INET, host):
                continue  # that is us
            try:
                link = _link(over_tcp, socket.AF_INET, (host, port))
            except OSError as error:
                self._say(f"cannot answer {host}:{port}: {error.strerror}")
                continue
            self._receivers[key] = _Receiver(f"{host}:{port}", link, asked.data, over_tcp)
            self._asked.append(key)
            self._say(f"is asked for by {host}", logging.INFO)
        while len(self._asked) > _MOST_ASKED:
            self._forget(self._asked[0])

    def _forget(self, key: tuple[bool, str, int]) -> None:
        """Send no more to one that has asked, until it asks again."""
        if key in self._asked:
            self._asked.remove(key)
            self._receivers.pop(key).link.close()

    def _say(self, words: str, level: int = logging.WARNING) -> None:
        """The same once a run."""
        if words not in self._said:
            self._said.add(words)
            logger.log(level, "%s %s", self.name, words)


def _link(over_tcp: bool, family: int, place: tuple[Any, ...]) -> Link:
    return TcpLink(family, place) if over_tcp else UdpLink(family, place)
