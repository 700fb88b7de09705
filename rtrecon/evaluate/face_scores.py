"""What a predictor says of a face beside its depth, over a dataset that knows better.

Each figure has its like for a constant: the mean of the truth for rotation and landmarks (in
the crop, which a constant output would be placed by), any fixed number for coefficients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtrecon.evaluate.dataset import DepthSample, FaceTruth
from rtrecon.evaluate.expression_metrics import (
    CONSTANT_ORDER,
    CoefficientScore,
    score_coefficients,
    summarize_coefficients,
)
from rtrecon.evaluate.face_metrics import (
    YawBin,
    distance_by_yaw,
    landmark_error,
    mean_rotation,
    rotation_errors_deg,
    yaw_deg,
)
from rtrecon.evaluate.predictors import FaceAnswer, Prediction
from rtrecon.expression.gaze import gaze_of
from rtrecon.faces.align import Crop
from rtrecon.types import Float32Array, Float64Array

__all__ = ["FaceScorer", "FaceScores"]

_OPEN = 0.5  # a lid below it leaves the gaze to be seen


@dataclass(frozen=True, slots=True)
class FaceScores:
    """Figures of one predictor by name, and the tables behind them.

    ``overall``: ``rotation_deg``; ``rotation_moves_deg``, after the mean offset between the two
    frames of the head was taken away; ``landmarks_percent`` and one a part of the face;
    ``distance_spread_percent``, the standard deviation of the distance's error;
    ``gaze_deg``, between where both eyes look in the head's frame, of open eyes;
    ``expression_...`` as `summarize_coefficients`. ``constant`` is the same for what does not
    look. What the dataset does not know, or the predictor does not say, is not there.
    """

    overall: dict[str, float]
    constant: dict[str, float]
    coefficients: tuple[CoefficientScore, ...] = ()
    distances: tuple[YawBin, ...] = ()


@dataclass(slots=True, eq=False)
class FaceScorer:
    """Takes in the frames of one predictor in which it found the face; `scores` at the end."""

    _truths: list[FaceTruth] = field(default_factory=list)
    _said: list[FaceAnswer] = field(default_factory=list)
    _distances: list[tuple[FaceTruth, float, float]] = field(default_factory=list)

    def add(self, sample: DepthSample, prediction: Prediction) -> None:
        """One frame; depth is looked at now and not kept."""
        both = sample.scored & np.isfinite(prediction.depth_m)
        said_m = float(np.median(prediction.depth_m[both]))
        true_m = float(np.median(sample.depth_m[both]))
        self._distances.append((sample.truth, said_m, true_m))
        self.add_face(sample.truth, prediction.face)

    def add_face(self, truth: FaceTruth, said: FaceAnswer) -> None:
        """One face without its depth."""
        self._truths.append(truth)
        self._said.append(said)

    def scores(self) -> FaceScores:
        """Of all frames that were added."""
        overall: dict[str, float] = {}
        constant: dict[str, float] = {}
        for part in (self._rotation(), self._landmarks(), self._gaze()):
            overall.update({name: ours for name, (ours, _) in part.items()})
            constant.update({name: theirs for name, (_, theirs) in part.items()})
        coefficients = self._coefficients()
        if coefficients:
            overall.update(summarize_coefficients(coefficients))
            constant.update(
                expression_correlation=0.0,
                expression_correlation_worst=0.0,
                expression_order=CONSTANT_ORDER,
                expression_order_worst=CONSTANT_ORDER,
                expression_order_person=CONSTANT_ORDER,
                expression_order_person_worst=CONSTANT_ORDER,
                expression_spread=0.0,
            )
        said, true = (np.array([row[k] for row in self._distances]) for k in (1, 2))
        if len(said) > 1:
            overall["distance_spread_percent"] = float((said / true).std() * 100.0)
            constant["distance_spread_percent"] = float((true.mean() / true).std() * 100.0)
        turned = [
            (yaw_deg(R), said_m, true_m)
            for truth, said_m, true_m in self._distances
            if (R := truth.R_camera_face) is not None
        ]
        bins = distance_by_yaw(*(zip(*turned, strict=True) if turned else ((), (), ())))
        return FaceScores(overall, constant, tuple(coefficients), tuple(bins))

    def _rotation(self) -> dict[str, tuple[float, float]]:
        pairs = [
            (ours, known)
            for said, truth in zip(self._said, self._truths, strict=True)
            if (ours := said.R_camera_face) is not None
            and (known := truth.R_camera_face) is not None
        ]
        if not pairs:
            return {}
        said, true = (np.stack([pair[k] for pair in pairs]) for k in (0, 1))
        # The two may call another direction of the head straight ahead.
        offset = mean_rotation(np.swapaxes(said, 1, 2) @ true)
        fixed = rotation_errors_deg(true, mean_rotation(true)).mean()
        return {
            "rotation_deg": (float(rotation_errors_deg(said, true).mean()), float(fixed)),
            "rotation_moves_deg": (
                float(rotation_errors_deg(said @ offset, true).mean()),
                float(fixed),
            ),
        }

    def _landmarks(self) -> dict[str, tuple[float, float]]:
        pairs = [
            (marks, known, truth.R_camera_face, said.crop)
            for said, truth in zip(self._said, self._truths, strict=True)
            if (marks := said.landmarks68_px) is not None
            and (known := truth.landmarks68_px) is not None
        ]
        if not pairs:
            return {}
        ours = [landmark_error(said, known, R) for said, known, R, _ in pairs]
        theirs = _constant_landmarks(
            [(crop, known, R) for _, known, R, crop in pairs if crop is not None]
        )
        return {
            name: (
                float(np.mean([row[part] for row in ours])),
                float(np.mean([row[part] for row in theirs])) if theirs else float("nan"),
            )
            for part in ours[0]
            for name in ["landmarks_percent" if part == "all" else f"landmarks_{part}_percent"]
        }

    def _gaze(self) -> dict[str, tuple[float, float]]:
        pairs = []
        for said, truth in zip(self._said, self._truths, strict=True):
            if said.expression is None or truth.expression is None:
                continue
            lids = [truth.expression.get(f"eyeBlink{side}", 0.0) for side in ("Left", "Right")]
            ours, known = (_direction(e) for e in (said.expression, truth.expression))
            if ours is not None and known is not None and max(lids) < _OPEN:
                pairs.append((ours, known))
        if not pairs:
            return {}
        ours, known = (np.stack([pair[k] for pair in pairs]) for k in (0, 1))
        fixed = np.median(known, axis=0)
        fixed /= np.linalg.norm(fixed)
        return {"gaze_deg": (_mean_angle_deg(ours, known), _mean_angle_deg(fixed, known))}

    def _coefficients(self) -> list[CoefficientScore]:
        pairs = [
            (ours, known, truth.person)
            for said, truth in zip(self._said, self._truths, strict=True)
            if (ours := said.expression) is not None and (known := truth.expression) is not None
        ]
        if not pairs:
            return []
        names = [name for name in pairs[0][1] if all(name in s and name in t for s, t, _ in pairs)]
        said = np.array([[ours[name] for name in names] for ours, _, _ in pairs], dtype=np.float32)
        true = np.array([[t[name] for name in names] for _, t, _ in pairs], dtype=np.float32)
        people = [person for _, _, person in pairs if person is not None]
        return score_coefficients(said, true, names, people if len(people) == len(pairs) else None)


def _constant_landmarks(
    seen: Sequence[tuple[Crop, Float32Array, Float64Array | None]],
) -> list[dict[str, float]]:
    """Of the mean of the truth in the crop, placed by each frame's crop."""
    if not seen:
        return []
    mean_px = np.mean([crop.to_crop(marks) for crop, marks, _ in seen], axis=0)
    return [
        landmark_error(_to_picture(crop.M_picture_crop, mean_px), marks, R)
        for crop, marks, R in seen
    ]


def _direction(expression: Mapping[str, float]) -> Float64Array | None:
    """(3,) where both eyes look together, in the head's frame."""
    gaze = gaze_of(expression, np.eye(4))
    return None if gaze is None else gaze.both.direction_face


def _mean_angle_deg(a: Float64Array, b: Float64Array) -> float:
    return float(np.degrees(np.arccos(np.clip((a * b).sum(axis=-1), -1.0, 1.0))).mean())


def _to_picture(M_picture_crop: Float64Array, points_px: Float32Array) -> Float32Array:
    points = points_px @ M_picture_crop[:, :2].T + M_picture_crop[:, 2]
    return np.asarray(points, dtype=np.float32)
