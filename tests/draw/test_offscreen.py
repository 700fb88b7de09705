"""The renderer without a display: sides, order in depth, closed gaps, shading."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.draw.offscreen import render_points
from tests.draw.heads import GREEN, RED, head, share_of

SIZE = (200, 240)


def test_seen_from_the_camera_nothing_is_mirrored_or_upside_down() -> None:
    face = head()
    image = render_points(face.points_camera, face.colors, face.normals, SIZE)
    red, green = np.argwhere(share_of(image, RED)), np.argwhere(share_of(image, GREEN))
    dark = np.argwhere(image.max(axis=-1) < 25)
    assert len(red) > 20
    assert len(green) > 20
    assert red[:, 1].max() < SIZE[0] / 2 < green[:, 1].min()
    assert dark[:, 0].mean() < red[:, 0].mean()  # eyes above cheeks


def test_positive_yaw_shows_the_picture_s_right_side() -> None:
    face = head()
    turned = render_points(face.points_camera, face.colors, face.normals, SIZE, yaw_deg=55)
    assert share_of(turned, GREEN).sum() > 4 * share_of(turned, RED).sum()


def test_positive_pitch_shows_the_top() -> None:
    points = np.array([[0, -0.1, 0.5], [0, 0.1, 0.5]], dtype=np.float32)
    colors = np.array([RED, GREEN], dtype=np.uint8)
    image = render_points(
        points,
        colors,
        None,
        SIZE,
        pitch_deg=30,
        center=np.array([0, 0, 0.6], np.float32),
        extent_m=0.5,
    )
    red, green = np.argwhere(share_of(image, RED)), np.argwhere(share_of(image, GREEN))
    # From above, what lies before the centre of the orbit moves down.
    down_px = SIZE[1] / 0.5 * 0.1 * np.array([-np.cos(np.pi / 6), np.cos(np.pi / 6)])
    down_px += SIZE[1] / 0.5 * 0.1 * np.sin(np.pi / 6)
    assert red[:, 0].mean() == pytest.approx(SIZE[1] / 2 + down_px[0], abs=1)
    assert green[:, 0].mean() == pytest.approx(SIZE[1] / 2 + down_px[1], abs=1)


def test_the_nearer_point_hides_the_farther_one_whatever_their_order() -> None:
    grid = np.stack(np.meshgrid(np.linspace(-0.1, 0.1, 50), np.linspace(-0.1, 0.1, 50)), -1)
    plane = grid.reshape(-1, 2).astype(np.float32)
    near = np.column_stack([plane, np.full(len(plane), 0.5, np.float32)])
    far = np.column_stack([plane, np.full(len(plane), 0.7, np.float32)])
    reds = np.tile(np.array(RED, np.uint8), (len(plane), 1))
    greens = np.tile(np.array(GREEN, np.uint8), (len(plane), 1))
    for order in (1, -1):
        points = np.concatenate([near, far][::order])
        colors = np.concatenate([reds, greens][::order])
        image = render_points(points, colors, None, SIZE)
        assert share_of(image, RED).sum() > 0.3 * SIZE[0] * SIZE[1]
        assert share_of(image, GREEN).sum() == 0


def test_a_surface_has_no_pinholes() -> None:
    face = head()
    for yaw in (0, 25, 50):
        image = render_points(face.points_camera, None, face.normals, (360, 360), yaw_deg=yaw)
        drawn = image.max(axis=-1) > 35
        for row in drawn[60:300:7]:
            inside = np.flatnonzero(row)
            rim = len(inside) // 8  # where the rays graze the surface it was hardly sampled
            assert row[inside[rim] : inside[-rim]].all()


def test_shading_shows_where_the_surface_turns_away() -> None:
    face = head()
    image = render_points(face.points_camera, None, face.normals, SIZE).astype(int)[..., 0]
    row = image[SIZE[1] // 2]
    inside = np.flatnonzero(row > 35)
    assert row[inside[len(inside) // 2]] > row[inside[-4]] + 40


def test_no_points_and_points_out_of_view_give_the_background() -> None:
    none = render_points(np.zeros((0, 3), np.float32), None, None, SIZE)
    assert none.shape == (SIZE[1], SIZE[0], 3)
    assert np.ptp(none) == 0
    face = head()
    away = render_points(
        face.points_camera, None, None, SIZE, center=np.full(3, 9.0, np.float32), extent_m=0.3
    )
    np.testing.assert_array_equal(away, none)


def test_one_point_is_drawn() -> None:
    point = np.array([[0.0, 0.0, 0.5]], dtype=np.float32)
    image = render_points(point, np.array([RED], np.uint8), None, SIZE)
    assert share_of(image, RED).sum() >= 1
