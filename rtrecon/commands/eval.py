"""``rtrecon eval``: score models and baselines, print the table, write what was asked for."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from rtrecon.console import Progress, say
from rtrecon.draw.png import write_png
from rtrecon.evaluate.config import EvalConfig
from rtrecon.evaluate.dataset import DepthDataset
from rtrecon.evaluate.head_predictors import head_predictors
from rtrecon.evaluate.plots import draw_frame_plot
from rtrecon.evaluate.predictors import ModelPredictor, Predictor, make_baseline
from rtrecon.evaluate.report import format_face_tables, format_table, to_json
from rtrecon.evaluate.run import evaluate
from rtrecon.files import check_target, write_json
from rtrecon.host import peak_rss_mb, versions
from rtrecon.pipeline import Reconstructor

__all__ = ["run_eval"]

logger = logging.getLogger(__name__)


def run_eval(config: EvalConfig) -> int:
    """Score, print the table, write JSON and plots if asked for.

    Returns:
        0, or 1 if no predictor found a face in any frame.

    Raises:
        UserError: the dataset, a model or an option cannot be used.
        OutputError: a file cannot be written.
    """
    for target in (config.json, config.stats):
        if target is not None:
            check_target(target)
    dataset = DepthDataset(config.dataset)
    predictors: list[Predictor] = []
    for name in config.model:
        predictors += _model_predictors(config, name, dataset)
    predictors += [make_baseline(name, config.ipd_mm) for name in config.baseline_list()]
    start_s = time.monotonic()
    with Progress("frames", len(dataset), quiet=config.quiet) as progress:
        reports = evaluate(
            dataset,
            predictors,
            max_frames=config.max_frames,
            video=config.video,
            out=config.out,
            progress=progress,
        )
    tables = [format_table(reports)]
    tables += format_face_tables(reports, coefficients=config.coefficients)
    say("\n\n".join(tables))
    if config.json is not None:
        write_json(config.json, {**to_json(str(config.dataset), reports), "versions": versions()})
    if config.out is not None:
        write_png(config.out / "frames.png", draw_frame_plot(reports))
        logger.info("plots are in %s", config.out)
    if config.stats is not None:
        frames = len(reports[0].ids)
        write_json(
            config.stats,
            {
                "frames": frames,
                "seconds": round(time.monotonic() - start_s, 2),
                "peak_rss_mb": round(peak_rss_mb(), 1),
                "models": config.model,
                "versions": versions(),
            },
        )
    return 0 if any(score.detected for report in reports for score in report.scores) else 1


def _model_predictors(config: EvalConfig, model: str, dataset: DepthDataset) -> list[Predictor]:
    """The model, and the heads fitted to what it sees."""
    reconstructor = Reconstructor(
        **config.reconstructor_options() | {"model": model},
        temporal=config.video,
        passes=config.passes,
        min_face_px=40,
    )
    name = Path(model).name
    alike = [other for other in config.model if Path(other).name == name]
    predictor = ModelPredictor(model if len(set(alike)) > 1 else name, reconstructor)
    if not config.heads or reconstructor.depth_model.manifest.landmarks is None:
        return [predictor]
    rows = head_predictors(
        predictor, ipd_m=config.ipd_mm * 1e-3, video=config.video, people=dataset.has_people
    )
    return [predictor, *rows]
