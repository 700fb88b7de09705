"""Whether there is a screen to open a window on."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtrecon.outputs.window import x_probe

__all__ = ["has_display", "on_display_lost"]

logger = logging.getLogger(__name__)

_TIMEOUT_S = 1.0
_ANSWER_S = 5.0
_handlers: list[Any] = []


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
        problem = _x11_asked(name)
        return not problem, problem
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


def _x11_asked(name: str) -> str:
    """Why no window can be opened on a display that takes connections; "" if one can.

    Asked by a process of its own with a time limit: a server that takes connections and never
    answers, as one that is stopped does, would hold whoever asks for ever.
    """
    program = [sys.executable, "-I", "-S", x_probe.__file__, name]
    try:
        code = subprocess.run(
            program,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_ANSWER_S,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return f"the display {name} takes connections, but does not answer in {_ANSWER_S:g} s"
    except OSError as error:
        logger.debug("the display %s cannot be asked: %s", name, error)
        return ""
    return "" if code == 0 else f"the display {name} refuses this user (xhost, XAUTHORITY)"


def on_display_lost(lost: Callable[[], None]) -> None:
    """Have ``lost`` called when the X server goes away under an open window.

    Xlib ends the process then, as soon as ``lost`` returns. Nothing where there is no X11.
    """
    if sys.platform in ("win32", "darwin") or not os.environ.get("DISPLAY"):
        return
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return

    def call(_: object) -> int:
        lost()
        return 0

    handler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(call)
    x11.XSetIOErrorHandler.argtypes, x11.XSetIOErrorHandler.restype = [ctypes.c_void_p], None
    _handlers.append(handler)  # for as long as Xlib may call it
    x11.XSetIOErrorHandler(handler)
