"""Who may talk to the server: tokens, origins, host names, and what its pages may do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["Guard", "Rate", "headers_for", "is_loopback"]

_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine as only it sees it."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


class Guard:
    """Decides by headers; holds no state.

    Attributes:
        cookie: name of the one that carries the token.

    Args:
        token: that all must show; "": none.
        only_here: the server listens on the loopback alone, so names of elsewhere are a page that
            was led here (DNS rebinding).
    """

    def __init__(self, token: str, *, only_here: bool) -> None:
        self._token, self._only_here = token, only_here
        # Cookies are shared by all ports of a host.
        self.cookie = f"rtrecon_{hashlib.sha256(token.encode()).hexdigest()[:12]}"

    @property
    def has_token(self) -> bool:
        """Whether one must be shown."""
        return bool(self._token)

    def knows(self, query: str | None, cookie: str | None) -> bool:
        """Whether the token is in the address or the cookie, or none is needed."""
        return not self._token or any(
            hmac.compare_digest(given.encode(), self._token.encode())
            for given in (query, cookie)
            if given
        )

    def allows_host(self, headers: Mapping[str, str]) -> bool:
        """Whether the request was meant for this server."""
        if not self._only_here:
            return True
        try:
            return is_loopback(urlsplit(f"//{headers.get('Host', '')}").hostname or "")
        except ValueError:
            return False

    def allows_origin(self, headers: Mapping[str, str]) -> bool:
        """Whether the page that asks is ours; what is no browser names none."""
        origin = headers.get("Origin")
        if origin is None:
            return True
        try:
            return urlsplit(origin).netloc.lower() == headers.get("Host", "").lower() != ""
        except ValueError:
            return False


def headers_for(page: str) -> dict[str, str]:
    """What every answer says to the browser.

    Args:
        page: text of the page, whose own inline scripts (an import map) may run, and no others.
    """
    inline = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _SCRIPT.findall(page)
    )
    policy = (
        "default-src 'self'",
        f"script-src 'self' 'wasm-unsafe-eval' blob: {inline}".strip(),
        "worker-src 'self' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob: mediastream:",
        "connect-src 'self' ws: wss: blob: data:",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Permissions-Policy": (
            "camera=(self), xr-spatial-tracking=(self), fullscreen=(self), microphone=(), "
            "geolocation=(), payment=(), usb=()"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


class Rate:
    """Whether something comes more often than it may: so many a second, twice as many at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s, self._left, self._then_s = per_s, 2.0 * per_s, time.monotonic()

    def allows(self) -> bool:
        """Count one."""
        now_s = time.monotonic()
        gained = (now_s - self._then_s) * self._per_s
        self._left, self._then_s = min(2.0 * self._per_s, self._left + gained), now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
