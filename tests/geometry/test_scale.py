"""The distance by the line of the eyes, and the memory of a person's size."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.geometry.mean_face import mean_face
from rtrecon.geometry.scale import MAX_DEPTH_M, MIN_DEPTH_M, ScaleMemory, reference_depth_m
from tests.geometry.scenes import rotation

SEEN = np.ones(5)


def head_at(z_m: float, yaw_deg: float, size: float = 1.0) -> np.ndarray:
    """Landmarks of the mean face, in units of the depth of its origin."""
    face = mean_face().landmarks * size @ rotation(yaw_deg).T
    return (face + np.array([0.0, 0.0, z_m])) / z_m


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0, -45.0])
def test_eyes_are_the_given_distance_apart(yaw_deg) -> None:
    z_m = reference_depth_m(head_at(0.7, yaw_deg), SEEN, 0.063, None, 0.0)
    assert z_m == pytest.approx(0.7, rel=1e-6)
    assert reference_depth_m(head_at(0.7, yaw_deg), SEEN, 0.066, None, 0.0) == pytest.approx(
        0.7 * 66 / 63, rel=1e-6
    )


def test_first_seen_in_profile_the_mean_face_decides() -> None:
    assert reference_depth_m(head_at(0.7, 88.0), SEEN, 0.063, None, 0.0) == pytest.approx(
        0.7, rel=1e-4
    )


def test_hidden_nose_leaves_the_eyes() -> None:
    landmarks = head_at(0.7, 0.0)
    landmarks[2, 2] = 0.5
    visible = np.array([1.0, 1, 0, 1, 1])
    assert reference_depth_m(landmarks, visible, 0.063, ScaleMemory(), 0.03) == pytest.approx(
        0.7, rel=1e-6
    )


def test_bounds_and_degenerate_landmarks() -> None:
    assert reference_depth_m(np.ones((5, 3)), SEEN, 0.063, None, 0.0) == MAX_DEPTH_M
    assert reference_depth_m(head_at(0.7, 0.0) * 1e3, SEEN, 0.063, None, 0.0) == MIN_DEPTH_M


def test_memory_averages_noise() -> None:
    rng = np.random.default_rng(0)
    memory, errors = ScaleMemory(), []
    for _ in range(200):
        landmarks = head_at(0.7, 0.0)
        landmarks[0, 0] += rng.normal(0.0, 0.001)  # an eye jitters by a percent of the distance
        errors.append(reference_depth_m(landmarks, SEEN, 0.063, memory, 1 / 30) / 0.7 - 1.0)
    alone = [
        reference_depth_m(
            head_at(0.7, 0.0) + np.eye(5, 3) * rng.normal(0.0, 0.001), SEEN, 0.063, None, 0.0
        )
        / 0.7
        - 1.0
        for _ in range(200)
    ]
    assert np.std(errors[60:]) < 0.75 * np.std(alone)
