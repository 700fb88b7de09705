"""``rtrecon take``: what is in a take, and the take as CSV, BVH and an animated GLB."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.outputs.registry import make_output
from tests.head.test_glb import Glb
from tests.takes.moves import record, results

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def take(tmp_path: Path) -> Path:
    return record(tmp_path / "take", results(20, gone=(4,)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_in_it(take: Path, run_cli: Cli) -> None:
    code, out, _ = run_cli("take", take)
    assert code == 0
    facts = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in out.splitlines()}
    assert facts["results"] == "20 in 0.6 s, 19 with a face"
    assert facts["source"] == "camera 0, 64x48"
    assert (facts["whole"], facts["video"], facts["calibration"]) == ("yes", "none", "none")


@pytest.mark.parametrize(
    ("of_output", "options"),
    [
        ("", ()),
        ("?mirror=1&gain=1.5&lids=free", ("--mirror", "--gain", "1.5", "--lids", "free")),
        ("?calibrate=0", ("--raw",)),
    ],
)
def test_the_table_is_that_of_the_run(
    tmp_path: Path, run_cli: Cli, of_output: str, options: tuple[str, ...]
) -> None:
    live, path = tmp_path / "live.csv", tmp_path / "new" / "take.csv"
    made = results(20, is_film=True, gone=(4,))
    take = record(tmp_path / "take", made, make_output(f"csv:{live}{of_output}"))
    assert run_cli("take", take, "--to", path, *options)[0] == 0
    assert path.read_bytes() == live.read_bytes()


def test_a_camera_has_the_time_of_day(take: Path, tmp_path: Path, run_cli: Cli) -> None:
    data = json.loads((take / "take.json").read_text())
    data["started"] = "2026-05-04T13:14:15.500+02:00"
    (take / "take.json").write_text(json.dumps(data))
    assert run_cli("take", take, "--to", tmp_path / "a.csv")[0] == 0
    codes = [row["Timecode"] for row in rows_of(tmp_path / "a.csv")]
    assert codes[:2] == ["13:14:15:30.000", "13:14:15:32.000"]


def test_another_rate(take: Path, tmp_path: Path, run_cli: Cli) -> None:
    paths = [tmp_path / "a.csv", tmp_path / "a.bvh"]
    code, _, err = run_cli(
        "take", take, "--to", paths[0], "--to", paths[1], "--fps", "60", "--still"
    )
    assert code == 0, err
    rows = rows_of(paths[0])
    assert len(rows) == 39
    lines = paths[1].read_text().splitlines()
    assert lines[lines.index("MOTION") + 1 :][:2] == ["Frames: 39", "Frame Time: 0.016666667"]
    assert {line.split(" ")[1] for line in lines[-39:]} == {"95.0000"}


def test_a_bvh_has_the_rate_of_the_source(take: Path, tmp_path: Path, run_cli: Cli) -> None:
    assert run_cli("take", take, "--to", tmp_path / "a.BVH")[0] == 0
    assert "Frames: 20\nFrame Time: 0.033333333\n" in (tmp_path / "a.BVH").read_text()


def test_a_head_that_moves(take: Path, tmp_path: Path, run_cli: Cli) -> None:
    path, table = tmp_path / "a.glb", tmp_path / "a.csv"
    code, _, err = run_cli("take", take, "--to", path, "--to", table, "--raw", "--mirror")
    assert code == 0
    assert "recorded without pictures (video=0): the animation is put on the mean head" in err
    glb = Glb(path.read_bytes())
    (animation,) = glb.document["animations"]
    channels = {
        (glb.document["nodes"][c["target"]["node"]]["name"], c["target"]["path"]): animation[
            "samplers"
        ][c["sampler"]]
        for c in animation["channels"]
    }
    assert set(channels) == {
        ("head", "weights"),
        ("Head", "rotation"),
        ("LeftEye", "rotation"),
        ("RightEye", "rotation"),
        ("Neck", "translation"),
    }
    rows = rows_of(table)
    times = glb.read(channels["head", "weights"]["input"])[:, 0]
    assert len(times) == len(rows) == 20
    assert times[0] == 0.0
    assert np.diff(times) == pytest.approx(1 / 30, abs=1e-4)
    weights = glb.read(channels["head", "weights"]["output"]).reshape(20, 52)
    for k, row in enumerate(rows):
        shapes = [float(row[name[0].upper() + name[1:]]) for name in ARKIT_NAMES]
        np.testing.assert_allclose(weights[k], shapes, atol=1e-6)
    q = glb.read(channels["Head", "rotation"]["output"])
    yaw = 2 * (q[:, 3] * q[:, 1] + q[:, 0] * q[:, 2])  # of small turns its sine; own left
    own_left = [float(row["HeadYaw"]) for row in rows]
    assert np.corrcoef(yaw, own_left)[0, 1] > 0.99


def test_the_head_is_the_persons(tmp_path: Path, dome_model: Path, run_cli: Cli) -> None:
    """A dome gives no coefficients and a poor head; but one with the picture's colours."""
    take, path = tmp_path / "take", tmp_path / "a.glb"
    code, _, err = run_cli(
        "run", "demo", "--view", "none", "--out", f"take:{take}", "--model", dome_model,
        "--max-frames", "3",
    )  # fmt: skip
    assert code == 0, err
    code, _, err = run_cli("take", take, "--to", path, "--model", dome_model)
    assert code == 0, err
    assert "the head is that of picture" in err
    assert len(Glb(path.read_bytes()).document["animations"]) == 1


def test_files_that_are_there(take: Path, tmp_path: Path, run_cli: Cli) -> None:
    path = tmp_path / "a.csv"
    path.write_text("mine")
    code, _, err = run_cli("take", take, "--to", path)
    assert (code, path.read_text()) == (1, "mine")
    assert "use --overwrite" in err
    assert run_cli("take", take, "--to", path, "--overwrite")[0] == 0
    assert path.read_text().startswith("Timecode")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--to", "a.fbx"), "becomes .csv, .bvh or .glb"),
        (("--to", "a.csv", "--fps", "0"), "--fps must be 1 to 240"),
        (("--to", "a.csv", "--gain", "9"), "--gain must be 0.1 to 5"),
    ],
)
def test_what_cannot_be(take: Path, run_cli: Cli, options: tuple[str, ...], words: str) -> None:
    code, _, err = run_cli("take", take, *options)
    assert code == 2
    assert words in err


def test_nobody_in_it(tmp_path: Path, run_cli: Cli) -> None:
    take = record(tmp_path / "take", results(3, gone=(0, 1, 2)))
    code, _, err = run_cli("take", take, "--to", tmp_path / "a.bvh")
    assert code == 2
    assert "there is no face in the take" in err
