"""glibc's malloc in a program of many threads."""

from __future__ import annotations

import os
import sys

__all__ = ["share_arenas"]

_M_ARENA_MAX = -8
_ARENAS = 2


def share_arenas() -> None:
    """Have threads share two arenas of glibc's malloc; with another C library nothing happens.

    Else most threads get an arena of their own, sixteen on two cores, and each keeps the most that
    was ever freed into it: the page's server came to 334 MB in twenty minutes and to 376 in thirty,
    and so to 313 in twenty.
    ``MALLOC_ARENA_MAX`` in the environment has its way.
    """
    if not sys.platform.startswith("linux") or "MALLOC_ARENA_MAX" in os.environ:
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_ARENA_MAX, _ARENAS)
