import numpy as np
import pytest

from rtrecon.faces.filters import OneEuroFilter, smoothing

POINTS = np.array([[10.0, 20.0], [30.0, 40.0]])
DT_S = 1 / 30


def test_the_first_points_pass_unchanged():
    np.testing.assert_array_equal(OneEuroFilter()(POINTS, 50.0, 0.0), POINTS)


def test_noise_on_still_points_is_damped():
    rng = np.random.default_rng(0)
    one_euro = OneEuroFilter()
    raw = POINTS + rng.normal(0, 0.3, (300, 2, 2))
    out = np.array([one_euro(points, 100.0, DT_S) for points in raw])
    assert out[30:].std(axis=0).max() < 0.5 * raw.std(axis=0).min()


def test_a_fast_face_lags_by_little():
    one_euro = OneEuroFilter(opening=14.0)
    velocity = np.array([200.0, 0.0])  # two lengths a second
    for k in range(60):
        truth = POINTS + velocity * k * DT_S
        out = one_euro(truth, 100.0, DT_S)
    assert 0 < np.abs(truth - out).max() < 100.0 / (2 * np.pi * 14.0) + 0.5


def test_a_near_and_a_far_face_are_treated_alike():
    rng = np.random.default_rng(1)
    path = POINTS + np.cumsum(rng.normal(0, 2, (40, 1, 2)), axis=0)
    near, far = OneEuroFilter(), OneEuroFilter()
    for points in path:
        a, b = near(4 * points, 200.0, DT_S), far(points, 50.0, DT_S)
    np.testing.assert_allclose(a, 4 * b, rtol=1e-9)


def test_points_move_together_even_if_one_alone_is_fast():
    one_euro = OneEuroFilter()
    one_euro(POINTS, 50.0, DT_S)
    moved = POINTS + np.array([[8.0, 0.0], [2.0, 0.0]])
    out = one_euro(moved, 50.0, DT_S) - POINTS
    assert out[0, 0] / out[1, 0] == pytest.approx(4.0)


def test_reset_starts_anew():
    one_euro = OneEuroFilter()
    one_euro(POINTS, 50.0, DT_S)
    one_euro.reset()
    np.testing.assert_array_equal(one_euro(POINTS + 99, 50.0, DT_S), POINTS + 99)


def test_smoothing_is_between_none_and_all():
    assert smoothing(1.0, 1e-9) == pytest.approx(0, abs=1e-6)
    assert smoothing(1e9, 0.03) == pytest.approx(1)
