"""How often the colours of a head are sent."""

from __future__ import annotations

from rtrecon.outputs.web.head_layer import HeadLayer
from tests.draw.heads import head


def keys_over(layer: HeadLayer, seconds: range, *, brightens: bool) -> list[int]:
    """Numbers of the colours of four heads a second."""
    face, keys = head(), []
    for k in range(4 * seconds.start, 4 * seconds.stop):
        face.grid.colors[:] = 60 + (5 * k if brightens else 0)
        keys.append(layer(face, k * 250_000_000).tint_key)
    return keys


def test_colours_that_change_come_often_at_first_and_seldom_then() -> None:
    layer = HeadLayer()
    first = keys_over(layer, range(3), brightens=True)
    later = keys_over(layer, range(3, 9), brightens=True)
    assert len(set(first)) == 6  # each half second
    assert 3 <= len(set(later)) <= 4  # each two seconds


def test_colours_that_stay_are_not_sent_again() -> None:
    keys = keys_over(HeadLayer(), range(8), brightens=False)
    assert len(set(keys)) == 1
