"""What a page wants to be sent of each result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Layers", "Want", "read_want"]

_LAYERS = ("picture", "texture", "depth", "head", "points")
_PICTURE_PX, _TEXTURE_PX, _MAX_HZ = (64, 320, 1280), (64, 256, 512), (0.1, 60.0, 240.0)


@dataclass(frozen=True, slots=True)
class Layers:
    """Of a result; pages that want the same share one message.

    Attributes:
        picture_px, texture_px: largest side of those; 0: without.
        depth, head, points: whether these are wanted.
    """

    picture_px: int = 0
    texture_px: int = 0
    depth: bool = False
    head: bool = False
    points: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """What a page wants, and how often at most."""

    layers: Layers
    max_hz: float = 60.0


def read_want(message: Mapping[str, Any]) -> Want:
    """A ``want`` message; sizes beyond the limits become the limit.

    Raises:
        ValueError: it is none.
    """
    asked = message.get("layers", [])
    if not isinstance(asked, list) or not all(isinstance(name, str) for name in asked):
        raise ValueError('"layers" must be a list of names')
    unknown = [name for name in asked if name not in _LAYERS]
    if unknown:
        raise ValueError(f"there is no layer {unknown[0][:40]!r}: there are {', '.join(_LAYERS)}")
    picture_px = _number(message, "picture_px", _PICTURE_PX)
    texture_px = _number(message, "texture_px", _TEXTURE_PX)
    return Want(
        Layers(
            picture_px=int(picture_px) if "picture" in asked else 0,
            texture_px=int(texture_px) if "texture" in asked else 0,
            depth="depth" in asked,
            head="head" in asked,
            points="points" in asked,
        ),
        max_hz=_number(message, "max_hz", _MAX_HZ),
    )


def _number(message: Mapping[str, Any], key: str, limits: tuple[float, float, float]) -> float:
    least, usual, most = limits
    value = message.get(key, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f'"{key}" must be a number')
    return min(max(float(value), least), most)
