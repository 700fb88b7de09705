"""The shipped model on the shipped clip: what it says of the face moves with the face."""

from __future__ import annotations

from pathlib import Path

from rtrecon.evaluate.dataset import DepthDataset
from rtrecon.evaluate.predictors import ModelPredictor
from rtrecon.evaluate.run import evaluate
from rtrecon.pipeline import Reconstructor


def test_the_shipped_model_beats_a_constant(repository: Path) -> None:
    dataset = DepthDataset(repository / "tests/data/head-clip")
    model = ModelPredictor("face-dpt", Reconstructor(provider="cpu", threads=1))
    report = evaluate(dataset, [model], video=True)[0]
    assert report.face is not None
    overall, constant = report.overall(), report.face.constant
    assert overall["detection_rate"] == 1.0
    for name in ("rotation_deg", "landmarks_percent", "gaze_deg", "distance_spread_percent"):
        assert overall[name] < 0.7 * constant[name]
    assert overall["expression_order"] > 0.85
    assert overall["expression_correlation"] > 0.5
    spread = {score.name: score.spread for score in report.face.coefficients}
    for name in ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "eyeLookUpLeft"):
        assert spread[name] > 0.05
