from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.commands.eval import run_eval
from rtrecon.errors import UserError
from rtrecon.evaluate.config import EvalConfig
from rtrecon.evaluate.dataset import DepthDataset
from rtrecon.evaluate.metrics import FrameScore
from rtrecon.evaluate.plots import color_error, draw_error_maps, draw_frame_plot
from rtrecon.evaluate.predictors import MeanHeadBaseline, PlaneBaseline
from rtrecon.evaluate.report import PredictorReport, format_table, to_json


def test_whole_run(
    dataset_folder: Path, dome_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = EvalConfig(
        dataset=dataset_folder,
        model=[str(dome_model)],
        provider="cpu",
        threads=1,
        json=tmp_path / "eval.json",
        out=tmp_path / "plots",
        stats=tmp_path / "stats.json",
        video=True,
    )
    assert run_eval(config) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in table[1:]] == ["dome", "plane", "mean-head"]
    assert "MAE mm" in table[0]
    assert "jitter mm" in table[0]
    data = json.loads((tmp_path / "eval.json").read_text())
    assert data["frames"] == 3
    dome, plane, _ = data["predictors"]
    assert plane["overall"]["relief_of_plane"] == pytest.approx(1.0, abs=1e-3)
    assert plane["overall"]["detection_rate"] == pytest.approx(2 / 3, abs=1e-4)
    assert plane["frames"][2]["detected"] is False
    assert plane["frames"][2]["mae_mm"] is None
    assert 0 < dome["overall"]["mae_mm"] < 50
    assert dome["overall"]["jitter_mm"] is not None
    names = {p.name for p in (tmp_path / "plots").iterdir()}
    assert data["predictors"][2]["overall"]["distance_spread_percent"] is not None
    assert names == {"000.png", "001.png", "002.png", "frames.png"}
    assert json.loads((tmp_path / "stats.json").read_text())["frames"] == 3


def test_the_users_field_of_view_is_used(
    dataset_folder: Path, dome_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    biases = []
    for fov in (None, 30.0):
        path = tmp_path / "eval.json"
        config = EvalConfig(
            dataset=dataset_folder, model=[str(dome_model)], fov=fov, json=path, baselines="none"
        )
        assert run_eval(config) == 0
        overall = json.loads(path.read_text())["predictors"][0]["overall"]
        biases.append(overall["distance_percent"])
    assert biases[1] > biases[0] + 50  # what is seen under half the angle is farther


def test_baselines_know_the_distance_and_the_nose(dataset_folder: Path) -> None:
    sample = DepthDataset(dataset_folder)[0]
    plane_said = PlaneBaseline(63.0).predict(sample)
    head_said = MeanHeadBaseline(63.0).predict(sample)
    assert plane_said is not None
    assert head_said is not None
    plane, head = plane_said.depth_m, head_said.depth_m
    assert plane_said.face.R_camera_face is None
    assert head_said.face.R_camera_face is not None
    distance = float(np.nanmedian(plane))
    assert np.nanmax(plane) - np.nanmin(plane) < 1e-6
    # The eyes are about 78 px apart: 63 mm at 600 px are 0.485 m away.
    assert distance == pytest.approx(0.485, abs=0.03)
    # Landmarks of this frame: nose, and a cheek beside it at the same height.
    nose, cheek = head[241, 302], head[241, 355]
    assert 0.005 < cheek - nose < 0.08
    assert abs(float(head[190, 305]) - distance) < 0.06
    twice = PlaneBaseline(70.0).predict(sample)
    assert twice is not None
    assert float(np.nanmedian(twice.depth_m)) == pytest.approx(distance * 70 / 63, rel=1e-4)


def test_max_frames_and_no_baseline(
    dataset_folder: Path, dome_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = EvalConfig(
        dataset=dataset_folder,
        model=[str(dome_model)],
        baselines="none",
        provider="cpu",
        threads=1,
        max_frames=1,
    )
    assert run_eval(config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "100%" in lines[1]


def test_default_model_and_wrong_options(tmp_path: Path) -> None:
    assert EvalConfig(dataset=tmp_path).model == ["face-dpt"]
    with pytest.raises(UserError, match="baselines"):
        EvalConfig(dataset=tmp_path, baselines="cube")
    with pytest.raises(UserError, match="max-frames"):
        EvalConfig(dataset=tmp_path, max_frames=0)


def report(name: str, *errors: float) -> PredictorReport:
    scores = [FrameScore(math.isfinite(e), 1.0, mae_mm=e) for e in errors]
    return PredictorReport(name, [str(k) for k in range(len(errors))], scores)


def test_table_and_json_say_what_is_missing() -> None:
    reports = [report("good", 1.0, 2.0), report("blind", math.nan, math.nan)]
    table = format_table(reports).splitlines()
    assert "1.50" in table[1]
    assert "0%" in table[2]
    assert "-" in table[2]
    assert "jitter" not in table[0]
    data = json.loads(json.dumps(to_json("x", reports), allow_nan=False))
    assert data["predictors"][1]["overall"]["mae_mm"] is None


def test_error_colors() -> None:
    error = np.array([[10.0, 0.0, -10.0, np.nan]], dtype=np.float32)
    far, none, near, off = color_error(error)[0].astype(int)
    assert far[2] > far[0] + 100  # red: too far
    assert near[0] > near[2] + 100  # blue: too near
    assert none.min() > 240
    assert (off == 150).all()


def test_plots_draw(dataset_folder: Path) -> None:
    sample = DepthDataset(dataset_folder)[0]
    flat = np.where(sample.scored, np.float32(0.5), np.float32(np.nan))
    maps = draw_error_maps(sample, {"flat": flat, "blind": None})
    assert maps.shape[1] > 4 * 300
    plot = draw_frame_plot([report("a", 1.0, math.nan, 3.0), report("b", 2.0, 2.0, 2.0)])
    line = cv2.inRange(plot, (178, 114, 0), (178, 114, 0))
    assert line[:, :800].any()


def test_heads_are_rows_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped model on the shipped clip, four frames of it, of which two are one person."""
    clip = Path(__file__).parents[1] / "data/head-clip"
    folder = tmp_path / "clip"
    shutil.copytree(clip, folder)
    meta = json.loads((folder / "meta.json").read_text())
    meta["frames"] = meta["frames"][::6]
    for frame, name in zip(meta["frames"], "aabb", strict=True):
        frame["person"] = name
    (folder / "meta.json").write_text(json.dumps(meta))
    path = tmp_path / "eval.json"
    config = EvalConfig(dataset=folder, baselines="none", provider="cpu", threads=1, json=path)
    assert run_eval(config) == 0
    rows = {p["name"]: p["overall"] for p in json.loads(path.read_text())["predictors"]}
    assert list(rows) == [
        "face-dpt",
        "face-dpt: mean head",
        "face-dpt: fitted head",
        "face-dpt: both averaged",
        "face-dpt: fitted, person known",
        "face-dpt: averaged, person known",
    ]
    mean, fitted = rows["face-dpt: mean head"], rows["face-dpt: fitted head"]
    assert fitted["shape_mm"] < mean["shape_mm"]
    known = rows["face-dpt: fitted, person known"]
    assert known["shape_mm"] != fitted["shape_mm"]
    assert all(row["coverage"] > 0.95 for row in rows.values())
    assert fitted["expression_order_person"] > 0.8
    capsys.readouterr()
    off = EvalConfig(
        dataset=folder, baselines="none", provider="cpu", threads=1, heads=False, max_frames=1
    )
    assert run_eval(off) == 0
    assert "fitted" not in capsys.readouterr().out
