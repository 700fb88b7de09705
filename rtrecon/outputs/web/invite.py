"""How a phone or headset comes to the page: addresses of this machine, and a code to scan."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

import psutil

__all__ = ["addresses_here", "code_of", "names_of"]

_ELSEWHERE = ("203.0.113.1", 9)  # of documentation; nothing is sent there


def addresses_here() -> list[str]:
    """IPv4 addresses of this machine that others may reach, the likeliest first."""
    found: list[str] = []
    # To connect a datagram socket sends nothing; it tells by which address one would.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
            found.append(str(probe.getsockname()[0]))
        except OSError:
            pass
    states = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        if name in states and states[name].isup:
            found += [a.address for a in addresses if a.family == socket.AF_INET]
    usable = [a for a in dict.fromkeys(found) if _is_of_a_network(a)]
    return sorted(usable, key=lambda a: not ipaddress.ip_address(a).is_private)


def _is_of_a_network(address: str) -> bool:
    known = ipaddress.ip_address(address)
    return not (known.is_loopback or known.is_link_local or known.is_unspecified)


def names_of(host: str) -> list[str]:
    """Host names and addresses by which a server that listens on ``host`` may be reached."""
    names = ["localhost", "127.0.0.1", "::1"]
    try:
        is_all = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        is_all = False
    if not is_all:
        return [host, *names]
    own = socket.gethostname()
    usable = own.isascii() and own.replace("-", "").replace(".", "").isalnum()
    named = [own, f"{own}.local"] if usable and "." not in own else [own] if usable else []
    return [*names, *named, *addresses_here()]


def code_of(text: str, encoding: str | None = "utf-8") -> str:
    """A QR code in half blocks, for terminals with light letters; "" where it cannot be shown."""
    try:
        import segno
    except ImportError:
        return ""
    rows = [list(map(bool, row)) for row in segno.make(text, error="l").matrix_iter(border=2)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    code = "\n".join(_line(*rows[k : k + 2]) for k in range(0, len(rows), 2))
    try:
        code.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ""
    return code


def _line(upper: Sequence[bool], lower: Sequence[bool]) -> str:
    """Two rows; a dark module is where nothing is drawn."""
    blocks = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
    return "".join(blocks[pair] for pair in zip(upper, lower, strict=True))
