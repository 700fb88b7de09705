"""The filter of the relief: it learns the noise, forgets at a jump, and lets movement through."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtrecon.faces.align import Crop
from rtrecon.geometry.temporal import CropFilter

SIZE = 192
FRAME_NS = 33_333_333
LOGIT = np.full((SIZE, SIZE), 5.0, dtype=np.float32)


def crop_at(x: float = 100.0, y: float = 80.0, side: float = 220.0, roll_deg: float = 0.0) -> Crop:
    """A crop whose middle is at (x, y)."""
    scale, turn = side / SIZE, np.radians(roll_deg)
    M = np.zeros((2, 3))
    M[:, :2] = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    M[:, 2] = (x, y) - M[:, :2] @ np.full(2, (SIZE - 1) / 2)
    return Crop(M, SIZE, side)


def noise(rng: np.random.Generator, std: float) -> np.ndarray:
    """Of neighbouring pixels alike, as a network's is."""
    values = cv2.GaussianBlur(rng.normal(size=(SIZE, SIZE)).astype(np.float32), (0, 0), 3.0)
    return values * np.float32(std / values.std())


def face() -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    return (0.2 * (1 - x**2 - y**2)).astype(np.float32)


@pytest.mark.parametrize("std", [0.0006, 0.0012, 0.0018])
def test_noise_is_learnt_from_a_still_face_and_held(std) -> None:
    rng, steady, crop, shown, raw = np.random.default_rng(0), CropFilter(SIZE), crop_at(), [], []
    for k in range(70):
        raw.append(face() + noise(rng, std))
        relief, _ = steady.update(raw[-1], LOGIT, crop, k * FRAME_NS)
        shown.append(relief.copy())
    blocks = cv2.resize(noise(rng, std), (48, 48), interpolation=cv2.INTER_AREA).std()
    assert steady.noise.sigma == pytest.approx(blocks, rel=0.25)
    before = np.abs(np.diff(raw[40:], axis=0)).mean()
    assert np.abs(np.diff(shown[40:], axis=0)).mean() < 0.3 * before
    assert np.abs(shown[-1] - face()).mean() < 0.6 * std


def test_a_face_that_moves_all_the_time_is_not_noise() -> None:
    steady, crop = CropFilter(SIZE), crop_at()
    known = steady.noise.sigma
    for k in range(60):
        moving = face() + np.float32(0.02 * np.sin(0.3 * k)) * np.linspace(-1, 1, SIZE)
        steady.update(moving.astype(np.float32), LOGIT, crop, k * FRAME_NS)
    assert steady.noise.sigma == known


def test_what_moves_after_much_noise_is_shown_at_once() -> None:
    rng, steady, crop = np.random.default_rng(1), CropFilter(SIZE), crop_at()
    for k in range(60):
        steady.update(face() + noise(rng, 0.0015), LOGIT, crop, k * FRAME_NS)
    opened = face()
    opened[120:150, 70:120] -= np.float32(0.04)  # the jaw, a centimetre
    for k in range(60, 62):
        relief, _ = steady.update(opened + noise(rng, 0.0015), LOGIT, crop, k * FRAME_NS)
        at = np.s_[125:145, 75:115]
        assert np.abs((relief - opened)[at]).mean() < 0.004, k
    assert np.abs((relief - face())[20:100]).mean() < 0.002


def jumps() -> dict[str, Crop]:
    return {
        "aside": crop_at(x=100.0 + 0.6 * 220.0),
        "down": crop_at(y=80.0 + 0.6 * 220.0),
        "nearer": crop_at(side=1.5 * 220.0),
        "farther": crop_at(side=0.65 * 220.0),
        "rolled": crop_at(roll_deg=25.0),
    }


@pytest.mark.parametrize("how", jumps())
def test_it_restarts_when_the_crop_jumps(how) -> None:
    """What was averaged before is of another place: nothing of it may show, however slight."""
    steady = CropFilter(SIZE)
    for k in range(20):
        steady.update(face(), LOGIT, crop_at(), k * FRAME_NS)
    new = face() + np.float32(0.0004)  # less than noise: it would hardly be followed
    relief, logit = steady.update(new, -LOGIT, jumps()[how], 20 * FRAME_NS)
    np.testing.assert_array_equal(relief, new)
    np.testing.assert_array_equal(logit, -LOGIT)


@pytest.mark.parametrize(
    "crop", [crop_at(x=104.0), crop_at(side=225.0), crop_at(roll_deg=3.0), crop_at()]
)
def test_it_goes_on_while_the_crop_follows_the_face(crop) -> None:
    steady = CropFilter(SIZE)
    for k in range(20):
        steady.update(face(), LOGIT, crop_at(), k * FRAME_NS)
    relief, _ = steady.update(face() + np.float32(0.0004), LOGIT, crop, 20 * FRAME_NS)
    assert np.abs(relief - face()).max() < 0.0001


def test_a_gap_a_step_back_and_another_mask_restart_it() -> None:
    new = face() + np.float32(0.0004)
    for t_ns, logit in ((20 * FRAME_NS + 600_000_000, LOGIT), (0, LOGIT), (20 * FRAME_NS, None)):
        steady = CropFilter(SIZE)
        for k in range(20):
            steady.update(face(), LOGIT, crop_at(), k * FRAME_NS)
        relief, _ = steady.update(new, logit, crop_at(), t_ns)
        np.testing.assert_array_equal(relief, new)


def test_a_jump_is_not_learnt_as_noise_and_what_was_learnt_stays() -> None:
    rng, steady = np.random.default_rng(2), CropFilter(SIZE)
    for k in range(60):
        steady.update(face() + noise(rng, 0.0015), LOGIT, crop_at(), k * FRAME_NS)
    learnt = steady.noise.sigma
    for k in range(60, 64):
        steady.update(face() * 0.5, LOGIT, crop_at(x=300.0), k * FRAME_NS)
    assert steady.noise.sigma == learnt


def test_the_results_size_does_not_matter() -> None:
    steady = CropFilter(90)
    small = np.zeros((90, 90), dtype=np.float32)
    crop = Crop(np.eye(2, 3), 90, 90.0)
    for k in range(12):
        relief, logit = steady.update(small, None, crop, k * FRAME_NS)
    assert relief.shape == (90, 90)
    assert logit is None
