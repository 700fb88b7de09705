"""Pictures for people, without a window: overlay, colour maps, preview, sheet.

Public are `overlay`, `depth_colors`, `preview` and `head` (`rtrecon.draw.pictures`), which are
imported when first used; each gives uint8 BGR, as OpenCV shows and writes it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtrecon.draw.pictures import depth_colors, head, overlay, preview

__all__ = ["depth_colors", "head", "overlay", "preview"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rtrecon.draw' has no attribute {name!r}")
    value = getattr(importlib.import_module("rtrecon.draw.pictures"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
