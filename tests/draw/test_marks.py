"""What is drawn on the picture, and where."""

from __future__ import annotations

import numpy as np

from rtrecon.draw.marks import draw_overlay, put_text, shrink
from tests.draw.heads import FIGURES, head, picture_of


def test_marks_lie_on_the_landmarks_and_the_picture_stays() -> None:
    face = head()
    picture = picture_of(face)
    before = picture.copy()
    drawn = draw_overlay(picture, [face])
    np.testing.assert_array_equal(picture, before)
    marks = [tuple(drawn[round(y), round(x)]) for x, y in face.landmarks_px.tolist()]
    assert len(set(marks)) == 1
    assert marks[0] not in {tuple(before[round(y), round(x)]) for x, y in face.landmarks_px}


def test_nothing_to_draw_is_the_picture() -> None:
    picture = picture_of(head())
    np.testing.assert_array_equal(draw_overlay(picture, []), picture)


def test_marks_follow_the_picture_s_zoom() -> None:
    face = head(x_m=0.05)
    small = shrink(picture_of(face), (320, 240))
    drawn = draw_overlay(small, [face], zoom=0.5)
    changed = np.argwhere((drawn != small).any(axis=-1))
    x0, y0, x1, y1 = face.box_px / 2
    assert changed[:, 1].min() >= x0 - 4
    assert changed[:, 1].max() <= x1 + 4
    assert changed[:, 0].min() >= y0 - 24
    assert changed[:, 0].max() <= y1 + 4


def test_given_output_is_used() -> None:
    face = head()
    picture = picture_of(face)
    out = np.zeros_like(picture)
    assert draw_overlay(picture, [face], FIGURES, out) is out
    np.testing.assert_array_equal(out, draw_overlay(picture, [face], FIGURES))


def test_figures_are_one_line_at_the_bottom() -> None:
    picture = np.full((480, 640, 3), 120, dtype=np.uint8)
    drawn = draw_overlay(picture, [], FIGURES)
    rows = np.flatnonzero((drawn != picture).any(axis=(1, 2)))
    assert rows.min() > 440
    assert "29.7 fps" in FIGURES.line()
    assert "4 dropped" in FIGURES.line()


def test_text_is_legible_on_white_and_on_black() -> None:
    for level in (0, 255):
        image = np.full((40, 200, 3), level, dtype=np.uint8)
        put_text(image, "0.57 m", (8, 28), 1.0)
        assert int(image.max()) - int(image.min()) > 200


def test_a_face_that_leaves_the_picture_is_drawn_without_fail() -> None:
    face = head(x_m=-0.35, y_m=-0.3)
    picture = np.zeros((480, 640, 3), dtype=np.uint8)
    assert draw_overlay(picture, [face]).shape == picture.shape


def test_a_large_picture_shrinks_to_the_same_scene() -> None:
    picture = picture_of(head())
    large = np.repeat(np.repeat(picture, 6, axis=0), 6, axis=1)
    difference = np.abs(
        shrink(large, (320, 240)).astype(int) - shrink(picture, (320, 240)).astype(int)
    )
    assert difference.mean() < 2
