"""Words of a mirrored face, and what averaging over mirrored and turned views makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rtrecon.depth.averaging import MAX_PASSES, predict_averaged
from rtrecon.depth.mirror import (
    FLIP_68,
    flip_expression,
    flip_landmarks,
    flip_name,
    flip_rotation,
)
from rtrecon.depth.model import DepthPrediction, load_depth_model
from rtrecon.faces.align import Crop

SIZE = 64
NAMES = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthLeft", "mouthRight", "lonelyLeft")


def rotation(x: float, y: float, z: float) -> Any:
    return cv2.Rodrigues(np.radians([x, y, z]))[0].astype(np.float32)


class Seer:
    """Knows a face in the picture and tells it as a network does that never saw a mirror."""

    size_px = SIZE
    kind = "relief"

    def __init__(self, error: float = 0.0) -> None:
        rng = np.random.default_rng(3)
        self.points = rng.uniform(60, 180, (68, 2)).astype(np.float32)
        self.R = rotation(8, -20, 5)
        self.values = np.array([0.3, 0.9, 0.1, 0.6, 0.0, 0.5], dtype=np.float32)
        self.error = error

    def predict(self, image: Any, crops: Sequence[Crop]) -> list[DepthPrediction]:
        return [self._one(crop) for crop in crops]

    def _one(self, crop: Crop) -> DepthPrediction:
        A = crop.M_picture_crop[:, :2]
        A = A / np.sqrt(abs(np.linalg.det(A)))
        mirrored = np.linalg.det(A) < 0
        shares = (crop.to_crop(self.points) + np.float32(0.5)) / np.float32(SIZE)
        values, to_view = self.values, np.eye(3)
        to_view[:2, :2] = A.T  # the mirror included
        R = to_view @ self.R
        if mirrored:
            shares = shares[list(FLIP_68)]
            values = np.array([0.3, 0.1, 0.9, 0.0, 0.6, 0.5], dtype=np.float32)
            R = R @ np.diag([-1.0, 1.0, 1.0])
        shares = shares + np.float32(self.error) * np.array([1, 0], dtype=np.float32)
        R = rotation(0, 0, 100 * self.error) @ R
        return DepthPrediction(
            value=np.zeros((SIZE, SIZE), np.float32),
            mask_logit=None,
            kind="relief",
            expression=values,
            landmarks68=shares.astype(np.float32),
            rotation=R.astype(np.float32),
            expression_names=NAMES,
        )


@pytest.fixture
def crop() -> Crop:
    turn = cv2.getRotationMatrix2D((0, 0), 11, 2.1)
    turn[:, 2] = (40, 75)
    return Crop(turn, SIZE, 2.1 * SIZE)


def test_mirrored_twice_is_as_before() -> None:
    rng = np.random.default_rng(0)
    values, shares = rng.random(6, dtype=np.float32), rng.random((68, 2), dtype=np.float32)
    np.testing.assert_array_equal(flip_expression(flip_expression(values, NAMES), NAMES), values)
    np.testing.assert_allclose(flip_landmarks(flip_landmarks(shares)), shares, atol=1e-6)
    R = rotation(10, 20, 30)
    np.testing.assert_array_equal(flip_rotation(flip_rotation(R)), R)
    # Nodding stays, turning and tilting change their sign.
    np.testing.assert_allclose(
        cv2.Rodrigues(flip_rotation(R))[0].ravel(), np.radians([10, -20, -30]), atol=1e-6
    )


def test_who_takes_whose_place() -> None:
    assert [FLIP_68[k] for k in (0, 8, 17, 30, 36, 39, 41, 48, 57, 60)] == [
        16, 8, 26, 30, 45, 42, 46, 54, 57, 64,
    ]  # fmt: skip
    assert flip_name("eyeLookInLeft") == "eyeLookInRight"
    assert flip_name("mouthRight") == "mouthLeft"
    assert flip_name("jawOpen") == "jawOpen"


@pytest.mark.parametrize("passes", [2, 3, 4, MAX_PASSES])
def test_views_agree_on_the_face(crop: Crop, passes: int) -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    plain = Seer().predict(picture, [crop])[0]
    mean = predict_averaged(Seer(), picture, [crop], passes)[0]  # type: ignore[arg-type]
    np.testing.assert_allclose(mean.expression, plain.expression, atol=1e-6)
    np.testing.assert_allclose(mean.landmarks68, plain.landmarks68, atol=1e-5)
    np.testing.assert_allclose(mean.rotation, plain.rotation, atol=1e-5)
    assert mean.expression_names == NAMES
    assert mean.landmarks68 is not None
    assert mean.landmarks68.dtype == np.float32
    assert mean.rotation is not None
    assert mean.rotation.dtype == np.float32


def test_what_is_wrong_to_one_side_averages_out(crop: Crop) -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    right = Seer().predict(picture, [crop])[0]
    once = predict_averaged(Seer(0.05), picture, [crop], 1)[0]  # type: ignore[arg-type]
    twice = predict_averaged(Seer(0.05), picture, [crop], 2)[0]  # type: ignore[arg-type]
    assert np.abs(once.landmarks68 - right.landmarks68).max() > 0.04  # type: ignore[operator]
    np.testing.assert_allclose(twice.landmarks68, right.landmarks68, atol=1e-5)
    np.testing.assert_allclose(twice.rotation, right.rotation, atol=1e-5)
    np.testing.assert_allclose(
        twice.rotation @ twice.rotation.T,
        np.eye(3),
        atol=1e-5,  # type: ignore[union-attr, operator]
    )


def test_a_mirrored_picture_gives_the_mirrored_face(repository: Path) -> None:
    """With the network itself: the mean of a view and its mirror image knows no side."""
    image = cv2.imread(str(repository / "tests/data/faces/portrait.jpg"))
    assert image is not None
    height, width = image.shape[:2]
    model = load_depth_model("face-dpt", provider="cpu", precision="fp32", threads=1)
    scale = 0.8 * min(height, width) / model.size_px
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    M = np.array([[scale, 0, 0], [0, scale, 0]])
    M[:, 2] = middle - M[:, :2] @ np.full(2, (model.size_px - 1) / 2)
    crops = [Crop(M, model.size_px, scale * model.size_px)]
    face = predict_averaged(model, image, crops, 2)[0]
    mirrored = predict_averaged(model, np.ascontiguousarray(image[:, ::-1]), crops, 2)[0]
    assert face.expression is not None
    assert face.landmarks68 is not None
    assert face.rotation is not None
    names = model.expression_names
    np.testing.assert_allclose(
        mirrored.expression, flip_expression(face.expression, names), atol=2e-3
    )
    np.testing.assert_allclose(mirrored.landmarks68, flip_landmarks(face.landmarks68), atol=2e-3)
    np.testing.assert_allclose(mirrored.rotation, flip_rotation(face.rotation), atol=5e-3)
