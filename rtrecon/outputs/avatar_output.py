"""What outputs for avatars have in common: an address, the chain, and a mirror."""

from __future__ import annotations

import abc
import contextlib
import re
import socket
from dataclasses import dataclass
from typing import Any

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.lids import LidPolicy
from rtrecon.avatar.stage import AvatarSettings
from rtrecon.errors import ArgumentError, UserError
from rtrecon.output import Output, Run
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.result import LiveResult

__all__ = [
    "DEFAULTS",
    "AvatarOptions",
    "AvatarOutput",
    "is_here",
    "look_up",
    "names_port",
    "parse_address",
]

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


def names_port(target: str) -> bool:
    """Whether an address that `parse_address` understands has a port."""
    return target.strip().isdecimal() or ":" in re.sub(r"\[.*\]", "", target)


def look_up(host: str, port: int, kind: socket.SocketKind) -> tuple[Any, ...]:
    """The first of what `socket.getaddrinfo` finds.

    Raises:
        UserError: there is no such host.
    """
    try:
        return socket.getaddrinfo(host, port, type=kind)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"there is no host {host!r} ({error}): check its name, or give its address"
        ) from error


def is_here(family: int, host: str) -> bool:
    """Whether an address is this machine's own: no other can be bound."""
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return True
    return False


@dataclass(frozen=True, slots=True)
class AvatarOptions:
    """What every output for avatars can be told.

    Attributes:
        mirror: as in a mirror.
        calibrate, gain, lids: see `AvatarSettings`.
    """

    mirror: bool = False
    calibrate: bool = True
    gain: float = 1.0
    lids: LidPolicy = "wink"

    def __post_init__(self) -> None:
        _ = self.settings  # fails early

    @property
    def settings(self) -> AvatarSettings:
        """Of the chain; outputs with the same share it."""
        return AvatarSettings(self.calibrate, self.gain, lids=self.lids)


DEFAULTS = AvatarOptions()
"""Not mirrored, and nothing to be set."""


class AvatarOutput(Output):
    """Sends one `AvatarFrame` for each result, whether there is a face in it or not.

    Args:
        address: host and port.
        common: of the chain.
    """

    needs_pictures = False

    def __init__(self, address: tuple[str, int], common: AvatarOptions) -> None:
        self._address = address
        self._mirror, self._settings = common.mirror, common.settings
        self._avatars = AvatarRun(Run())
        self._stage = self._avatars.stage(self._settings)

    @property
    def is_mirrored(self) -> bool:
        """As in a mirror, at this moment: people may turn that round while it runs."""
        return self._mirror != self._avatars.is_flipped

    @property
    def target(self) -> str:
        """Host and port."""
        host, port = self._address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def open(self, run: Run) -> None:
        """Join the chain of the run's other outputs."""
        self._avatars = AvatarRun.of(run)
        self._stage = self._avatars.stage(self._settings)

    def write(self, result: LiveResult) -> None:
        """Send one result."""
        self.send(self._stage.frame(result))

    @abc.abstractmethod
    def send(self, frame: AvatarFrame) -> None:
        """Send one frame, mirrored if this output is."""
