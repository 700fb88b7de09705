"""Whether an X server lets this user in: a program of its own, as a server may never answer.

    python -I -S x_probe.py NAME

Exit code 0: it does, or its library cannot be asked; 1: it refuses.
"""

from __future__ import annotations

import ctypes
import sys
import time

__all__ = ["admits"]

_TRIES, _PAUSE_S = 6, 0.1


def admits(name: str) -> bool:
    """Open the display ``name`` and close it; waits as long as the server does."""
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


if __name__ == "__main__":
    sys.exit(0 if admits(sys.argv[1]) else 1)
