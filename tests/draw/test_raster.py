"""Painted surfaces: sides, order in depth, the picture over the colours, soft outlines."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.draw.raster import BACKGROUND, Painted, orbit, paint
from tests.draw.heads import GREEN, RED, share_of

SIZE = (200, 240)
CENTER = np.array([0.0, 0.0, 0.6], dtype=np.float32)


def squares(*places: tuple[float, float, float], rgb: tuple[tuple[int, int, int], ...]) -> Painted:
    """Squares of 6 cm that face the camera."""
    corners = np.array([[-1, -1, 0], [-1, 1, 0], [1, -1, 0], [1, 1, 0]], np.float32) * 0.03
    vertices = np.concatenate([corners + np.float32(place) for place in places])
    triangles = np.concatenate(
        [np.array([[0, 1, 2], [2, 1, 3]], np.int32) + 4 * k for k in range(len(places))]
    )
    count = len(vertices)
    return Painted(
        vertices=vertices,
        normals=np.tile(np.array([0, 0, -1], np.float32), (count, 1)),
        triangles=triangles,
        colors=np.repeat(np.array(rgb, np.float32), 4, axis=0),
        uv=np.tile(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), (len(places), 1)),
        seen=np.zeros(count, np.float32),
        texture_bgr=np.zeros((4, 4, 3), np.uint8),
    )


def drawn(surface: Painted, yaw: float = 0.0, pitch: float = 0.0, **options: bool) -> np.ndarray:
    return paint(surface, orbit(yaw, pitch), SIZE, center=CENTER, extent_m=0.5, **options)[0]


def test_nothing_is_mirrored_or_upside_down() -> None:
    image = drawn(squares((-0.1, -0.1, 0.6), (0.1, 0.1, 0.6), rgb=(RED, GREEN)))
    red, green = (np.argwhere(share_of(image, c)) for c in (RED, GREEN))
    assert red[:, 0].max() < SIZE[1] / 2 < green[:, 0].min()
    assert red[:, 1].max() < SIZE[0] / 2 < green[:, 1].min()


def test_positive_yaw_shows_the_right_side_and_positive_pitch_the_top() -> None:
    surface = squares((0.0, 0.0, 0.5), rgb=(RED,))
    middle = [
        np.argwhere(share_of(drawn(surface, *at), RED)).mean(axis=0)
        for at in ((0, 0), (30, 0), (0, 30))
    ]
    # What lies before the centre goes left when its right side is shown, down when its top is.
    assert middle[1][1] < middle[0][1] - 10
    assert middle[2][0] > middle[0][0] + 10


@pytest.mark.parametrize("order", [1, -1])
def test_the_nearer_one_hides_the_farther_one_whatever_their_order(order: int) -> None:
    places, tones = ((0, 0, 0.5), (0, 0, 0.7))[::order], (RED, GREEN)[::order]
    image = drawn(squares(*places, rgb=tones))
    assert share_of(image, RED).sum() > 500
    assert share_of(image, GREEN).sum() == 0


def test_only_the_outside_is_drawn() -> None:
    assert (drawn(squares((0, 0, 0.6), rgb=(RED,)), yaw=180) == BACKGROUND).all()


def test_the_picture_lies_over_the_colours_where_it_was_seen() -> None:
    surface = squares((-0.1, 0, 0.6), (0.1, 0, 0.6), rgb=(RED, RED))
    surface.texture_bgr[:] = GREEN[::-1]
    surface.seen[4:] = 1.0
    image = drawn(surface)
    red, green = (np.argwhere(share_of(image, c)) for c in (RED, GREEN))
    assert red[:, 1].max() < SIZE[0] / 2 < green[:, 1].min()


@pytest.mark.parametrize("fine", [False, True])
def test_outlines_are_soft_and_alpha_says_how_much(fine: bool) -> None:
    surface = squares((0, 0, 0.6), rgb=((255, 255, 255),))
    turned = orbit(0)
    turned[:2, :2] = [[0.96, -0.28], [0.28, 0.96]]
    image, alpha = paint(surface, turned, SIZE, center=CENTER, extent_m=0.5, fine=fine)
    assert ((alpha > 20) & (alpha < 235)).sum() > 30
    assert (image[alpha == 0] == BACKGROUND).all()
    assert (image[alpha == 255] > 200).all()
    between = image[(alpha > 60) & (alpha < 200)].astype(int)
    assert ((between > BACKGROUND + 5) & (between < 245)).all()


def test_clay_has_light_and_no_colour() -> None:
    image = drawn(squares((0, 0, 0.6), rgb=(RED,)), clay=True)
    middle = image[SIZE[1] // 2, SIZE[0] // 2].astype(int)
    assert np.ptp(middle) < 30
    assert middle.mean() > 120
