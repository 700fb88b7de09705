"""Rotation, landmarks, coefficients and distance: what is scored, and what a constant gets."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.evaluate.dataset import DepthDataset, DepthSample, FaceTruth
from rtrecon.evaluate.expression_metrics import (
    auc,
    score_coefficients,
    summarize_coefficients,
)
from rtrecon.evaluate.face_metrics import (
    distance_by_yaw,
    landmark_error,
    mean_rotation,
    rotation_errors_deg,
    yaw_deg,
)
from rtrecon.evaluate.face_scores import FaceScorer
from rtrecon.evaluate.metrics import FrameScore
from rtrecon.evaluate.predictors import FaceAnswer, Prediction
from rtrecon.evaluate.report import PredictorReport, format_face_tables, to_json
from rtrecon.faces.align import Crop
from rtrecon.types import Intrinsics

SIZE = 64
NAMES = ("jawOpen", "mouthSmileLeft", "cheekPuff")


def turn(yaw: float, pitch: float = 0.0) -> np.ndarray:
    Ry, Rx = (cv2.Rodrigues(np.radians(v))[0] for v in ([0, yaw, 0], [pitch, 0, 0]))
    return np.asarray(Ry @ Rx)


def sample(truth: FaceTruth, distance_m: float = 0.6) -> DepthSample:
    depth = np.full((SIZE, SIZE), distance_m, dtype=np.float32)
    return DepthSample(
        "a",
        np.zeros((SIZE, SIZE, 3), np.uint8),
        depth,
        depth > 0,
        Intrinsics(80, 80, 31.5, 31.5, SIZE, SIZE),
        0.0,
        truth,
    )


def marks(scale: float = 1.0) -> np.ndarray:
    points = np.random.default_rng(2).uniform(10, 50, (68, 2)).astype(np.float32)
    points[36], points[45] = (20, 30), (40, 30)
    return points * np.float32(scale)


def test_order_and_correlation_of_good_and_bad() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([0.0, 0.0, 0.5, 0.9], (200, 3)).astype(np.float32)
    truth[:, 2] = 0.01
    said = np.stack([0.5 * truth[:, 0] + 0.1, -truth[:, 1], truth[:, 2]], axis=1)
    jaw, smile, puff = score_coefficients(said.astype(np.float32), truth, NAMES)
    assert jaw.correlation == pytest.approx(1.0)
    assert jaw.order == 1.0
    assert jaw.spread == pytest.approx(0.5 * jaw.true_spread, rel=1e-4)
    assert smile.correlation == pytest.approx(-1.0)
    assert smile.order == 0.0
    assert math.isnan(puff.correlation)
    assert math.isnan(puff.order)
    overall = summarize_coefficients([jaw, smile, puff])
    assert overall["expression_correlation"] == pytest.approx(0.0)
    assert overall["expression_order_worst"] == 0.0
    assert overall["expression_spread"] == pytest.approx(
        (0.5 * jaw.true_spread + smile.true_spread) / (jaw.true_spread + smile.true_spread),
        rel=1e-4,
    )


def test_a_constant_gets_no_credit() -> None:
    """The failing that these figures are for: near zero always, a small error, no use."""
    truth = np.where(np.random.default_rng(1).random((300, 1)) < 0.1, 0.8, 0.0)
    score = score_coefficients(np.zeros((300, 1), np.float32), truth.astype(np.float32), ["jaw"])[0]
    assert score.error == pytest.approx(score.constant_error)
    assert score.error < 0.12
    assert score.correlation == 0.0
    assert score.order == 0.5
    assert score.spread == 0.0


def test_order_within_a_person_leaves_their_habits_out() -> None:
    """Who is always said to smile a little more smiles no more than before when he does not."""
    habit = np.repeat([0.0, 0.6], 3)
    truth = np.tile([0.0, 0.02, 0.9], 2)
    said = (habit + 0.3 * (truth > 0.5)).astype(np.float32)[:, None]
    people = ["a"] * 3 + ["b"] * 3
    score = score_coefficients(said, truth.astype(np.float32)[:, None], ["smile"], people)[0]
    assert score.order_person == 1.0
    assert math.isnan(score.order)  # too few of each for an order over all
    alone = score_coefficients(said, truth.astype(np.float32)[:, None], ["smile"])[0]
    assert math.isnan(alone.order_person)


def test_auc_counts_pairs() -> None:
    assert auc(np.array([1.0, 0.4]), np.array([0.0, 0.5])) == 0.75
    assert auc(np.array([0.2]), np.array([0.2, 0.2])) == 0.5
    assert math.isnan(auc(np.array([]), np.array([0.1])))


def test_angles() -> None:
    assert yaw_deg(turn(30, 10)) == pytest.approx(30)
    rotations = np.stack([turn(-20), turn(20), turn(0)])
    np.testing.assert_allclose(mean_rotation(rotations), np.eye(3), atol=1e-12)
    errors = rotation_errors_deg(rotations, np.eye(3))
    np.testing.assert_allclose(errors, [20, 20, 0], atol=1e-5)


def test_landmarks_in_percent_of_the_eyes() -> None:
    truth = marks()
    off = truth.copy()
    off[48:, 0] += 2.0  # a tenth of the 20 px between the eyes
    error = landmark_error(off, truth, None)
    assert error["mouth"] == pytest.approx(10.0, rel=1e-5)
    assert error["jaw"] == error["eyes"] == 0.0
    assert error["all"] == pytest.approx(10.0 * 20 / 68, rel=1e-5)
    # The same in a head turned by sixty degrees, whose eyes are half as wide.
    assert landmark_error(off, truth, turn(60))["mouth"] == pytest.approx(5.0, rel=1e-5)


def test_distance_by_yaw() -> None:
    bins = distance_by_yaw([0, -10, 40, -35, 50], [0.6, 0.6, 0.66, 0.54, 0.9], [0.6] * 5)
    assert [(b.from_deg, b.to_deg, b.frames) for b in bins] == [
        (0, 15, 2),
        (30, 45, 2),
        (45, 90, 1),
    ]
    assert bins[0].bias_percent == pytest.approx(0)
    assert bins[1].bias_percent == pytest.approx(0)
    assert bins[1].spread_percent == pytest.approx(10)
    assert bins[2].bias_percent == pytest.approx(50)
    assert bins[2].constant_percent == pytest.approx(0)


def scored(offset: np.ndarray, *, look: bool) -> PredictorReport:
    """A predictor that sees all, in a head's frame of its own, or one that does not look."""
    scorer = FaceScorer()
    crop = Crop(np.array([[1.0, 0, 0], [0, 1.0, 0]]), SIZE, float(SIZE))
    for k, yaw in enumerate((-40, -20, 0, 20, 40, 10, -10, 5)):
        jaw = 0.8 * (k % 2)
        truth = FaceTruth({"jawOpen": jaw, "browDown": 0.0}, turn(yaw), marks() + np.float32(k % 3))
        seen = FaceTruth({"jawOpen": 0.1}, turn(0), marks()) if not look else truth
        assert seen.R_camera_face is not None
        answer = FaceAnswer(
            {**(seen.expression or {}), "other": 1.0},
            seen.R_camera_face @ offset,
            seen.landmarks68_px,
            crop,
        )
        distance = 0.5 if k % 2 else 0.7
        depth = np.full((SIZE, SIZE), distance * 1.02, dtype=np.float32)
        scorer.add(sample(truth, distance), Prediction(depth, answer))
    return PredictorReport("x", ["a"], [FrameScore(True, 1.0)], None, scorer.scores())


def test_one_that_sees() -> None:
    report = scored(turn(0, 15), look=True)
    assert report.face is not None
    overall, constant = report.overall(), report.face.constant
    assert overall["rotation_deg"] == pytest.approx(15, abs=1e-4)
    assert overall["rotation_moves_deg"] == pytest.approx(0, abs=1e-4)
    assert constant["rotation_deg"] > 15
    assert overall["landmarks_percent"] == 0.0
    assert constant["landmarks_percent"] > 2.0
    assert overall["expression_order"] == overall["expression_correlation"] == 1.0
    assert constant["expression_order"] == 0.5
    assert overall["distance_spread_percent"] == pytest.approx(0.0, abs=1e-4)
    assert constant["distance_spread_percent"] > 10
    assert [score.name for score in report.face.coefficients] == ["jawOpen", "browDown"]
    assert [b.frames for b in report.face.distances] == [4, 2, 2]


def looks(across: float, blink: float = 0.0) -> dict[str, float]:
    """Both eyes to the own left by ``across`` of the most."""
    names = [f"eyeLook{way}{s}" for way in ("In", "Out", "Up", "Down") for s in ("Left", "Right")]
    return {
        **dict.fromkeys(names, 0.0),
        "eyeLookOutLeft": across,
        "eyeLookInRight": across,
        "eyeBlinkLeft": blink,
    }


def test_gaze_of_open_eyes() -> None:
    scorer = FaceScorer()
    for truth, said in ((1.0, 0.5), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)):
        scorer.add_face(FaceTruth(looks(truth)), FaceAnswer(looks(said)))
    scorer.add_face(FaceTruth(looks(1.0, blink=1.0)), FaceAnswer(looks(0.0)))
    scores = scorer.scores()
    assert scores.overall["gaze_deg"] == pytest.approx(4.0)  # 16 degrees off, and three times none
    assert scores.constant["gaze_deg"] == pytest.approx(8.0)


def test_one_that_does_not_look_scores_as_the_constant() -> None:
    report = scored(np.eye(3), look=False)
    assert report.face is not None
    overall, constant = report.overall(), report.face.constant
    assert overall["rotation_deg"] == pytest.approx(constant["rotation_deg"], abs=0.1)
    assert overall["expression_order"] == constant["expression_order"]
    assert overall["expression_correlation"] == constant["expression_correlation"] == 0.0


def test_tables_and_json() -> None:
    report = scored(np.eye(3), look=True)
    face, yaw, coefficients = format_face_tables([report], coefficients=True)
    assert [line.split("  ")[0] for line in face.splitlines()[1:]] == ["x", "a constant"]
    assert "rotation deg" in face
    assert "order" in face
    assert "+2.0 ± 0.0" in yaw
    assert "a constant, absolute" in yaw
    assert coefficients.splitlines()[1].startswith("jawOpen")
    data = json.loads(json.dumps(to_json("d", [report]), allow_nan=False))["predictors"][0]
    assert data["constant"]["expression_order"] == 0.5
    assert data["coefficients"]["jawOpen"]["order"] == 1.0
    assert data["distance_by_yaw"][0]["frames"] == 4


def test_nothing_known_nothing_said() -> None:
    scorer = FaceScorer()
    for _ in range(2):
        scorer.add(sample(FaceTruth()), Prediction(np.full((SIZE, SIZE), 0.6, np.float32)))
    report = PredictorReport("x", ["a"], [FrameScore(True, 1.0)], None, scorer.scores())
    assert format_face_tables([report], coefficients=True) == []
    assert FaceScorer().scores().overall == {}


def truthful(folder: Path, **of_frame: object) -> DepthDataset:
    meta = json.loads((folder / "meta.json").read_text())
    meta["expression_names"] = ["jawOpen", "cheekPuff"]
    meta["frames"][0].update(of_frame)
    (folder / "meta.json").write_text(json.dumps(meta))
    return DepthDataset(folder)


def test_dataset_with_truth(dataset_folder: Path) -> None:
    points = np.arange(136).reshape(68, 2).tolist()
    dataset = truthful(
        dataset_folder,
        expression=[0.25, 0],
        R_camera_face=np.eye(3).tolist(),
        landmarks68_px=points,
        person=7,
    )
    truth = dataset[0].truth
    assert truth.expression == {"jawOpen": 0.25, "cheekPuff": 0.0}
    np.testing.assert_array_equal(truth.R_camera_face, np.eye(3))
    assert truth.landmarks68_px is not None
    assert truth.landmarks68_px.dtype == np.float32
    np.testing.assert_array_equal(truth.landmarks68_px, points)
    assert truth.person == "7"
    assert dataset[1].truth.expression is dataset[1].truth.R_camera_face is None
    assert dataset[1].truth.person is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"expression": [0.25]},
        {"expression": {"jawOpen": 1}},
        {"R_camera_face": [[1, 0, 0]]},
        {"landmarks68_px": [[1, "x"]] * 68},
        {"landmarks68_px": [[1, float("nan")]] * 68},
    ],
)
def test_truth_that_is_wrong(dataset_folder: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"frame 000|no number"):
        truthful(dataset_folder, **wrong)[0]
