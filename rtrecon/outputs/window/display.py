"""Whether there is a screen to open a window on."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import sys
import time
from pathlib import Path

__all__ = ["has_display"]

_TIMEOUT_S = 1.0
_TRIES, _PAUSE_S = 6, 0.1


def has_display() -> tuple[bool, str]:
    """Whether a window can be seen, and if not, why.

    Asks the display itself: libraries open windows without one and draw off screen.
    """
    if sys.platform in ("win32", "darwin"):
        return True, ""
    name = os.environ.get("DISPLAY", "")
    if name:
        if not _x11_answers(name):
            return False, f"the display {name} does not answer"
        if not _x11_admits(name):
            return False, f"the display {name} refuses this user (xhost, XAUTHORITY)"
        return True, ""
    wayland = os.environ.get("WAYLAND_DISPLAY", "")
    if wayland:
        path = Path(os.environ.get("XDG_RUNTIME_DIR", "/"), wayland)
        if path.exists():
            return True, ""
        return False, f"the Wayland display {wayland} does not exist"
    return False, "there is no display (DISPLAY is not set)"


def _x11_answers(name: str) -> bool:
    match = re.fullmatch(r"(?:(?P<host>[^:/]*)(?:/unix)?)?:(?P<number>\d+)(?:\.\d+)?", name)
    if match is None:
        return Path(name.partition(":")[0]).exists()  # macOS style socket paths
    host, number = match["host"] or "", int(match["number"])
    if host in ("", "unix"):
        for address in (f"\0/tmp/.X11-unix/X{number}", f"/tmp/.X11-unix/X{number}"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(_TIMEOUT_S)
                try:
                    client.connect(address)
                except OSError:
                    continue
                return True
        return False
    try:
        socket.create_connection((host, 6000 + number), timeout=_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _x11_admits(name: str) -> bool:
    """Whether the server lets this user in; True where its library cannot be asked."""
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return True
    x11.XOpenDisplay.argtypes, x11.XOpenDisplay.restype = [ctypes.c_char_p], ctypes.c_void_p
    x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
    for _ in range(_TRIES):
        display = x11.XOpenDisplay(name.encode())
        if display:
            x11.XCloseDisplay(display)
            return True
        # A server that has just lost its last client, here the one that asked whether it
        # answers, starts over (Xvfb without -noreset) and refuses everybody meanwhile.
        time.sleep(_PAUSE_S)
    return False
