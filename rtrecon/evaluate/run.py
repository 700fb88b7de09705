"""Models and baselines against a dataset with measured depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rtrecon.console import Progress
from rtrecon.draw.png import write_png
from rtrecon.evaluate.dataset import BoolArray, DepthDataset, DepthSample
from rtrecon.evaluate.face_scores import FaceScorer
from rtrecon.evaluate.metrics import FrameScore, Jitter, jitter_mm, score_frame
from rtrecon.evaluate.plots import draw_error_maps
from rtrecon.evaluate.predictors import Predictor
from rtrecon.evaluate.report import PredictorReport
from rtrecon.files import make_folder
from rtrecon.types import Float32Array

__all__ = ["evaluate"]


@dataclass(slots=True)
class _Jitter:
    """Running mean of the jitter, so that one frame is kept and not the whole video."""

    last: tuple[Float32Array | None, Float32Array, BoolArray] | None = None
    pairs: list[Jitter] = field(default_factory=list)

    def add(self, predicted: Float32Array | None, sample: DepthSample) -> None:
        if self.last is not None:
            before, measured, scored = self.last
            pair = jitter_mm(
                (before, predicted), (measured, sample.depth_m), (scored, sample.scored)
            )
            if pair.whole == pair.whole:
                self.pairs.append(pair)
        self.last = (predicted, sample.depth_m, sample.scored)

    def mean(self) -> Jitter:
        if not self.pairs:
            return Jitter(float("nan"), float("nan"), float("nan"))
        return Jitter(*(sum(values) / len(values) for values in zip(*self.pairs, strict=True)))


def evaluate(
    dataset: DepthDataset,
    predictors: Sequence[Predictor],
    *,
    max_frames: int | None = None,
    video: bool = False,
    out: Path | None = None,
    progress: Progress | None = None,
) -> list[PredictorReport]:
    """Score ``predictors`` on the frames of ``dataset``, in order.

    Args:
        dataset: what was measured.
        predictors: models and baselines.
        max_frames: stop after so many frames.
        video: the frames follow each other: report jitter.
        out: folder for an error map a frame; None: none is drawn.
        progress: is told how far it is.

    Raises:
        DataError: a frame cannot be read.
        OutputError: an error map cannot be written.
    """
    count = min(len(dataset), max_frames or len(dataset))
    if out is not None:
        make_folder(out)
    scores: list[list[FrameScore]] = [[] for _ in predictors]
    jitters = [_Jitter() for _ in predictors]
    faces = [FaceScorer() for _ in predictors]
    for number in range(count):
        sample = dataset[number]
        maps: dict[str, Float32Array | None] = {}
        for predictor, its_scores, jitter, face in zip(
            predictors, scores, jitters, faces, strict=True
        ):
            prediction = predictor.predict(sample)
            depth = None if prediction is None else prediction.depth_m
            score = score_frame(depth, sample.depth_m, sample.scored, sample.intrinsics)
            its_scores.append(score)
            if prediction is not None and score.detected:
                face.add(sample, prediction)
            if video:
                jitter.add(depth, sample)
            maps[predictor.name] = depth
        if out is not None:
            write_png(out / f"{sample.id}.png", draw_error_maps(sample, maps))
        if progress is not None:
            progress.show(number + 1, total=count)
    ids = dataset.ids[:count]
    return [
        PredictorReport(
            predictor.name, ids, its_scores, jitter.mean() if video else None, face.scores()
        )
        for predictor, its_scores, jitter, face in zip(
            predictors, scores, jitters, faces, strict=True
        )
    ]
