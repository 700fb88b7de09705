"""The avatar does what it is told: mouth, lids, eyes, head."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtrecon.draw.avatar_view import AvatarView
from rtrecon.draw.raster import BACKGROUND
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.types import EyeAngles

SIZE = (320, 320)
AHEAD = EyeAngles(0.0, 0.0)


@pytest.fixture(scope="module")
def avatar() -> AvatarView:
    return AvatarView()


def drawn(
    avatar: AvatarView,
    turn_rad: tuple[float, float, float] = (0.0, 0.0, 0.0),
    eye: EyeAngles = AHEAD,
    **coefficients: float,
) -> np.ndarray:
    values = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
    for name, value in coefficients.items():
        values[ARKIT_NAMES.index(name)] = value
    R = np.asarray(cv2.Rodrigues(np.array(turn_rad))[0])
    return avatar.draw(values, R, (eye, eye), SIZE).astype(int)


def irises(picture: np.ndarray) -> np.ndarray:
    """(n, 2) rows and columns of what is bluer than red."""
    return np.argwhere(picture[..., 0] > picture[..., 2] + 12)


def test_it_is_one_whole_head(avatar: AvatarView) -> None:
    covered = (np.abs(drawn(avatar) - BACKGROUND).max(axis=-1) > 3).astype(np.uint8)
    assert covered.mean() > 0.25
    assert cv2.connectedComponents(covered)[0] == 2


def test_a_lid_that_closes_hides_its_eye_alone(avatar: AvatarView) -> None:
    open_eyes, wink = irises(drawn(avatar)), irises(drawn(avatar, eyeBlinkLeft=1.0))
    middle = SIZE[0] / 2
    assert (open_eyes[:, 1] > middle).sum() > 15
    assert (open_eyes[:, 1] < middle).sum() > 15
    # The person's left is right in the picture.
    assert (wink[:, 1] > middle).sum() < 0.4 * (open_eyes[:, 1] > middle).sum()
    assert (wink[:, 1] < middle).sum() > 15


def test_eyes_turn_where_they_look(avatar: AvatarView) -> None:
    ahead = irises(drawn(avatar)).mean(axis=0)
    aside = irises(drawn(avatar, eye=EyeAngles(0.35, 0.0))).mean(axis=0)
    up, down = (irises(drawn(avatar, eye=EyeAngles(0.0, p))).mean(axis=0) for p in (-0.2, 0.2))
    assert aside[1] < ahead[1] - 1  # to the person's own right: left in the picture
    assert down[0] > up[0] + 0.8


def test_a_jaw_that_opens_shows_what_is_behind_the_lips(avatar: AvatarView) -> None:
    mouth = slice(180, 250), slice(110, 210)
    changed = np.abs(drawn(avatar, jawOpen=0.8) - drawn(avatar))[mouth].max(axis=-1) > 30
    assert changed.sum() > 200


def test_the_head_turns_as_it_is_told(avatar: AvatarView) -> None:
    """A turn about y is positive toward the person's own right: left in the picture."""
    ahead = irises(drawn(avatar)).mean(axis=0)
    assert irises(drawn(avatar, (0.0, 0.4, 0.0))).mean(axis=0)[1] < ahead[1] - 8
    assert irises(drawn(avatar, (0.3, 0.0, 0.0))).mean(axis=0)[0] > ahead[0] + 4
