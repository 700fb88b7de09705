"""What this machine has: optional libraries that work here."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from rtrecon.errors import MissingExtraError, RtreconError

__all__ = ["has_open3d", "import_open3d"]


def has_open3d() -> bool:
    """Whether Open3D is installed; it is not imported, which takes a second."""
    if "open3d" in sys.modules:
        return sys.modules["open3d"] is not None
    return importlib.util.find_spec("open3d") is not None


def import_open3d() -> Any:
    """Open3D's module.

    Raises:
        MissingExtraError: it is not installed.
        RtreconError: a library of the system that it needs is not.
    """
    try:
        import open3d
    except ImportError as error:
        raise MissingExtraError("Open3D", "window") from error
    except OSError as error:
        raise RtreconError(
            f"Open3D lacks a library of the system ({error}); on Debian: "
            "apt-get install libegl1 libgl1 libusb-1.0-0 libgomp1"
        ) from error
    return open3d
