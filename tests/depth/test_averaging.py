from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from rtrecon.depth.averaging import MAX_PASSES, predict_averaged
from rtrecon.depth.model import DepthPrediction
from rtrecon.errors import DataError
from rtrecon.faces.align import Crop

SIZE = 64


class PictureModel:
    """Says what the picture shows, plus an error that stays with the crop's left side."""

    size_px = SIZE

    def __init__(self, kind: str = "relief", error: float = 0.0) -> None:
        self.kind = kind
        self.error = error
        self.calls = 0

    def predict(self, image: Any, crops: Sequence[Crop]) -> list[DepthPrediction]:
        self.calls += 1
        predictions = []
        for crop in crops:
            picture = crop.warp(image)
            value = picture[:, :, 0].astype(np.float32) / np.float32(crop.side_px)
            if self.kind == "inverse":  # each answer has its own scale and shift
                value = value * np.float32(1 + self.calls) + np.float32(self.calls)
            value = value + np.float32(self.error) * np.linspace(1, -1, SIZE, dtype=np.float32)
            mask = picture[:, :, 1].astype(np.float32) - 100
            predictions.append(DepthPrediction(value, mask, self.kind, None, picture))  # type: ignore[arg-type]
        return predictions


@pytest.fixture
def picture() -> Any:
    y, x = np.mgrid[0:240, 0:320]
    smooth = 120 + 60 * np.sin(x / 40) + 50 * np.cos(y / 30)
    return np.stack([smooth, smooth[:, ::-1], smooth], axis=-1).astype(np.uint8)


@pytest.fixture
def crop() -> Crop:
    turn = cv2.getRotationMatrix2D((0, 0), 8, 1.6)
    turn[:, 2] = (90, 80)
    return Crop(turn, SIZE, 1.6 * SIZE)


@pytest.mark.parametrize("kind", ["relief", "inverse"])
@pytest.mark.parametrize("passes", [2, 3, 8, MAX_PASSES])
def test_views_come_back_to_where_they_belong(
    picture: Any, crop: Crop, kind: str, passes: int
) -> None:
    plain = PictureModel(kind).predict(picture, [crop])[0]
    model = PictureModel(kind)
    mean = predict_averaged(model, picture, [crop], passes)[0]  # type: ignore[arg-type]
    assert model.calls == passes
    inner = np.s_[6:-6, 6:-6]
    spread = float(np.ptp(plain.value))
    assert np.abs(mean.value - plain.value)[inner].max() < 0.03 * spread
    assert mean.mask_logit is not None
    assert plain.mask_logit is not None
    assert np.abs(mean.mask_logit - plain.mask_logit)[inner].max() < 3
    assert mean.crop_bgr is not None
    assert mean.value.dtype == np.float32


def test_what_is_wrong_on_one_side_averages_out(picture: Any, crop: Crop) -> None:
    right = PictureModel().predict(picture, [crop])[0].value
    model = PictureModel(error=1.0)
    once = predict_averaged(model, picture, [crop], 1)[0].value  # type: ignore[arg-type]
    twice = predict_averaged(model, picture, [crop], 2)[0].value  # type: ignore[arg-type]
    assert np.abs(once - right).mean() > 0.4
    assert np.abs(twice - right).mean() < 0.01


def test_no_crop_and_too_many_passes(picture: Any, crop: Crop) -> None:
    model = PictureModel()
    assert predict_averaged(model, picture, [], 4) == []  # type: ignore[arg-type]
    with pytest.raises(DataError, match="passes"):
        predict_averaged(model, picture, [crop], MAX_PASSES + 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("passes", [3, 5, 7])
def test_a_closer_view_says_more_relief_of_the_same_depth(crop: Crop, passes: int) -> None:
    """Relief is in widths of its own crop: a view of another size is brought to the first's."""
    even = np.full((240, 320, 3), 200, np.uint8)
    plain = PictureModel().predict(even, [crop])[0].value
    mean = predict_averaged(PictureModel(), even, [crop], passes)[0].value  # type: ignore[arg-type]
    inner = np.s_[12:-12, 12:-12]
    np.testing.assert_allclose(mean[inner], plain[inner], rtol=1e-3)
