"""Heads fitted to what a model sees, scored beside the model itself.

What is said of heads in pictures of people who are seen once, and of those who were seen before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.evaluate.dataset import DepthSample
from rtrecon.evaluate.predictors import FaceAnswer, ModelPredictor, Prediction
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.depth import averaged_depth, head_depth
from rtrecon.head.fit import fit_head, fit_known, fit_mean_head, new_person
from rtrecon.head.fitted import FittedHead
from rtrecon.head.identity import PersonShape
from rtrecon.head.live_fit import PersonFit
from rtrecon.types import Float32Array

__all__ = ["HeadPredictor", "head_predictors"]

_Fit = Callable[[DepthSample, FaceReconstruction], FittedHead]


@dataclass(slots=True, eq=False)
class _Fitted:
    """Heads by one way of fitting; of one sample, for the rows that share it."""

    fit: _Fit
    last: tuple[DepthSample, FittedHead] | None = None

    def of(self, sample: DepthSample, face: FaceReconstruction) -> FittedHead:
        if self.last is None or self.last[0] is not sample:
            self.last = (sample, self.fit(sample, face))
        return self.last[1]


class HeadPredictor:
    """The head's depth, or its mean with the model's own.

    Args:
        name: of it in tables.
        model: whose face it is fitted to.
        heads: how it is fitted.
        averaged: with the model's depth.
    """

    def __init__(self, name: str, model: ModelPredictor, heads: _Fitted, averaged: bool) -> None:
        self.name = name
        self._model = model
        self._heads = heads
        self._averaged = averaged

    def predict(self, sample: DepthSample) -> Prediction | None:
        """See `Predictor`."""
        seen = self._model.seen(sample)
        if seen is None:
            return None
        face, depth_m = seen
        head = self._heads.of(sample, face)
        if self._averaged:
            depth_m = averaged_depth(depth_m, head, face.intrinsics)
        else:
            depth_m = head_depth(head, face.intrinsics)
        names = head.model.expression_names
        answer = FaceAnswer(
            dict(zip(names, head.coefficients.tolist(), strict=True)),
            head.R,
            _landmarks_px(head, face),
            face.crop,
        )
        return Prediction(depth_m, answer)


def head_predictors(
    model: ModelPredictor, *, ipd_m: float, video: bool, people: bool
) -> list[HeadPredictor]:
    """The rows of a model's heads.

    Args:
        model: the model.
        ipd_m: between people's eyes.
        video: the frames follow each other: people are known from those before, by their ids.
        people: the dataset says who it is: they are known from their earlier pictures.
    """
    mean = _Fitted(lambda _, face: fit_mean_head(face, ipd_m=ipd_m))
    alone = _Fitted(lambda _, face: fit_head(face, ipd_m=ipd_m))
    rows = [
        HeadPredictor(f"{model.name}: mean head", model, mean, False),
        HeadPredictor(f"{model.name}: fitted head", model, alone, False),
        HeadPredictor(f"{model.name}: both averaged", model, alone, True),
    ]
    if not (video or people):
        return rows
    known = _Fitted(_in_video(ipd_m) if video else _of_people(ipd_m))
    return [
        *rows,
        HeadPredictor(f"{model.name}: fitted, person known", model, known, False),
        HeadPredictor(f"{model.name}: averaged, person known", model, known, True),
    ]


def _in_video(ipd_m: float) -> _Fit:
    live = PersonFit(ipd_m=ipd_m)
    return lambda sample, face: live.update(face, round(sample.t_s * 1e9))


def _of_people(ipd_m: float) -> _Fit:
    people: dict[str, PersonShape] = {}

    def fit(sample: DepthSample, face: FaceReconstruction) -> FittedHead:
        name = sample.truth.person
        person = new_person() if name is None else people.setdefault(name, new_person())
        return fit_known(face, person, ipd_m=ipd_m)

    return fit


def _landmarks_px(head: FittedHead, face: FaceReconstruction) -> Float32Array:
    points = head.vertices_camera()[head.model.landmarks].astype(np.float64)
    i = face.intrinsics
    dist = np.array(i.dist or (0.0,) * 5)
    pixels, _ = cv2.projectPoints(
        points.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), i.matrix(), dist
    )
    return np.asarray(pixels, dtype=np.float32).reshape(-1, 2)
