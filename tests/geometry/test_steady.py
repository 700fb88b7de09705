"""Noise goes, movement does not lag, and nothing is assumed of the noise."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.geometry.steady import RotationFilter, ScalarFilter
from tests.geometry.scenes import rotation

DT_S = 1.0 / 30.0


def follow(values: np.ndarray, prior: float = 0.002, dt_s: float = DT_S) -> np.ndarray:
    steady = ScalarFilter(prior, 1e-4)
    return np.array([steady.update(float(v), dt_s if k else 0.0) for k, v in enumerate(values)])


@pytest.mark.parametrize("sigma", [0.0005, 0.002, 0.01])
def test_whatever_the_noise_a_still_head_stands_still(sigma) -> None:
    noise = np.random.default_rng(0).normal(0.0, sigma, 400)
    steady = ScalarFilter(0.002, 1e-4)
    followed = np.array([steady.update(v, DT_S if k else 0.0) for k, v in enumerate(noise)])
    assert steady.sigma == pytest.approx(sigma, rel=0.35)
    assert np.abs(np.diff(followed[60:])).mean() < 0.15 * np.abs(np.diff(noise[60:])).mean()
    assert np.abs(followed[60:]).mean() < 0.5 * sigma


@pytest.mark.parametrize("dt_s", [1 / 60, 1 / 30, 1 / 15])
def test_an_even_walk_has_no_lag(dt_s) -> None:
    rng = np.random.default_rng(1)
    truth = -0.8 * np.maximum(np.arange(120) - 40, 0) * dt_s  # 0.5 m a second at 0.6 m
    followed = follow(truth + rng.normal(0.0, 0.001, 120), dt_s=dt_s)
    assert np.abs(followed - truth)[40:50].max() < 0.006  # 4 mm where it begins
    assert np.abs((followed - truth)[50:].mean()) < 0.0003
    assert np.abs(followed - truth)[50:].max() < 0.003


def test_a_stop_is_a_stop() -> None:
    rng = np.random.default_rng(2)
    truth = -0.8 * np.clip(np.arange(120) - 30, 0, 40) * DT_S
    followed = follow(truth + rng.normal(0.0, 0.001, 120))
    assert np.abs(followed - truth)[70:].max() < 0.005


def test_a_slow_drift_is_followed() -> None:
    truth = 0.02 * np.arange(300) * DT_S  # a centimetre a second
    noise = np.random.default_rng(3).normal(0.0, 0.002, 300)
    assert np.abs((follow(truth + noise) - truth)[100:]).mean() < 0.0015


def test_a_gap_starts_anew_and_no_time_changes_nothing() -> None:
    steady = ScalarFilter(0.002, 1e-4)
    steady.update(1.0, 0.0)
    assert steady.update(1.5, 0.0) == 1.0
    assert steady.update(0.5, 2.0) == 0.5


def test_irregular_frames_of_an_even_walk_are_not_noise() -> None:
    rng = np.random.default_rng(4)
    steady, t_s = ScalarFilter(0.002, 1e-4), 0.0
    for _ in range(120):
        dt_s = float(rng.choice([1 / 30, 2 / 30, 3 / 30]))
        t_s += dt_s
        followed = steady.update(0.5 * t_s, dt_s)
    assert steady.sigma < 2e-4
    assert followed == pytest.approx(0.5 * t_s, abs=1e-3)


def test_a_rotation_stands_still_and_turns_without_lag() -> None:
    rng = np.random.default_rng(5)
    steady, still, turning = RotationFilter(0.005, 1e-4), [], []
    for k in range(160):
        yaw_deg = 2.0 * max(0, k - 100)  # 60 degrees a second
        noise = rotation(*rng.normal(0.0, 0.3, 3))
        R = steady.update(noise @ rotation(yaw_deg), DT_S if k else 0.0)
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
        (still if k < 100 else turning).append(np.degrees(np.arctan2(R[0, 2], R[2, 2])) - yaw_deg)
    assert np.abs(np.diff(still[40:])).mean() < 0.06
    assert np.abs(turning[:2]).max() < 2.5  # a frame late at the most
    assert np.abs(turning[2:5]).max() < 1.5
    assert np.abs(turning[5:]).mean() < 0.5


def test_a_rotation_after_a_gap_is_the_new_one() -> None:
    steady = RotationFilter(0.005, 1e-4)
    steady.update(np.eye(3), 0.0)
    np.testing.assert_array_equal(steady.update(rotation(40), 1.0), rotation(40))
