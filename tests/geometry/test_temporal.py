"""The filter of relief follows one view of one face, and starts anew with another."""

from __future__ import annotations

import numpy as np
import pytest

from rtrecon.faces.align import Crop
from rtrecon.geometry.temporal import CropFilter

SIZE = 32
SECOND_NS = 1_000_000_000


def _crop(x_px: float = 0.0, side_px: float = 64.0, turn_rad: float = 0.0) -> Crop:
    scale = side_px / SIZE
    c, s = np.cos(turn_rad) * scale, np.sin(turn_rad) * scale
    M = np.array([[c, -s, 100.0 + x_px], [s, c, 100.0]])
    middle = np.array([(SIZE - 1) / 2, (SIZE - 1) / 2])
    M[:, 2] -= M[:, :2] @ middle  # turned and grown about its middle
    return Crop(M, SIZE, side_px)


def _second_answer(crop: Crop, gap_s: float) -> float:
    """What is left of a slight change, 0.001: all of it where the filter starts anew."""
    held = CropFilter(SIZE)
    held.update(np.zeros((SIZE, SIZE), np.float32), None, _crop(), 0)
    new = np.full((SIZE, SIZE), 0.001, np.float32)
    relief, _ = held.update(new, None, crop, int(gap_s * SECOND_NS))
    return float(relief.mean())


@pytest.mark.parametrize(
    "crop",
    [_crop(), _crop(x_px=6.0), _crop(side_px=70.0), _crop(turn_rad=0.003)],
    ids=["same", "moved a little", "nearer", "turned a little"],
)
def test_a_slight_change_is_mostly_noise(crop: Crop) -> None:
    assert 0.0 < _second_answer(crop, 1 / 30) < 0.0007


@pytest.mark.parametrize(
    ("crop", "gap_s"),
    [
        (_crop(x_px=40.0), 1 / 30),
        (_crop(side_px=100.0), 1 / 30),
        (_crop(side_px=40.0), 1 / 30),
        (_crop(turn_rad=0.5), 1 / 30),
        (_crop(), 0.7),
    ],
    ids=["jumped", "much larger", "much smaller", "turned", "long ago"],
)
def test_another_view_starts_anew(crop: Crop, gap_s: float) -> None:
    assert _second_answer(crop, gap_s) == pytest.approx(0.001, rel=1e-6)
