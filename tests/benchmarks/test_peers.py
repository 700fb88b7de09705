"""What the comparisons with other programs conclude; the programs themselves do not run here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mediapipe_depth import EYES, FaceMeshPredictor, draw_depth
from peers.report import AIMS, Aim, Row, markdown, ratio, verdict

from rtrecon.evaluate.dataset import DepthSample
from rtrecon.types import Intrinsics


def slices(*rounds_ms: list[float], cpu_s: float = 0.02) -> list[dict[str, Any]]:
    return [
        {"ms": ms, "cpu_s": cpu_s * len(ms), "faces": len(ms), "detections": None}
        for ms in rounds_ms
    ]


def test_a_ratio_is_of_each_round() -> None:
    """The machine is twice as slow in the second round, for both: the ratio is the same."""
    upper = Row("a", "x", "A").figures(slices([30.0] * 5, [60.0] * 5, cpu_s=0.06))
    lower = Row("b", "y", "B").figures(slices([10.0] * 5, [20.0] * 5, cpu_s=0.02))
    aim = Aim("A in times of B", "a: x", "b: y", 3.0, at_least=True)
    found = ratio(aim, {"a: x": upper, "b: y": lower})
    assert (found["low"], found["ratio"], found["high"]) == (3.0, 3.0, 3.0)
    assert found["cpu_ratio"] == pytest.approx(3.0)
    assert found["verdict"] == "reached"
    assert upper["cpu_ms"] == pytest.approx(60.0)
    assert upper["with_face"] == 1.0


@pytest.mark.parametrize(
    ("at_least", "low", "high", "said"),
    [
        (True, 3.0, 4.0, "reached"),
        (True, 2.9, 4.0, "reached in some rounds"),
        (True, 2.0, 2.9, "missed"),
        (False, 2.0, 3.0, "reached"),
        (False, 2.9, 3.1, "reached in some rounds"),
        (False, 3.1, 4.0, "missed"),
    ],
)
def test_verdicts(at_least: bool, low: float, high: float, said: str) -> None:
    assert verdict(Aim("", "", "", 3.0, at_least), low, high) == said


def whole_report() -> dict[str, Any]:
    rows = {}
    for k, key in enumerate(dict.fromkeys(key for aim in AIMS for key in (aim.upper, aim.lower))):
        program, job = key.split(": ")
        rows[key] = Row(program, job, f"title of {key}").figures(
            slices([k + 1.0] * 5, [k + 1.0] * 5)
        )
    alike = {"faces": 6, "pictures": 6}
    part = {
        "cores": 1,
        "versions": {"mediapipe": {"python": "3.11", "mediapipe": "0.10.21"}},
        "rows": rows,
        "same_faces": {
            "detect 80": {**alike, "same": True, "least_iou": 0.9999, "landmarks_off_px": 0.01},
            "detect 20": {**alike, "same": False, "least_iou": None, "landmarks_off_px": None},
        },
        "ratios": [ratio(aim, rows) for aim in AIMS],
    }
    return {
        "command": "python benchmarks/compare_peers.py",
        "source": {"name": "demo", "pictures": 300, "size_px": [640, 480]},
        "machine_line": "a machine",
        "rounds": 2,
        "seconds": 0.5,
        "aims": [vars(aim) for aim in AIMS],
        "cores": [part],
    }


def test_the_page_says_all_of_it() -> None:
    whole = whole_report()
    text = markdown(whole)
    for row in whole["cores"][0]["rows"].values():
        assert f"| {row['title']} | {row['median_ms']:.2f} |" in text
    for aim, found in zip(AIMS, whole["cores"][0]["ratios"], strict=True):
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {aim.title} |")]
        assert f"**{found['ratio']:.2f}**" in line
        assert line.endswith(f"{found['verdict']} |")
    assert "300 pictures of 640x480" in text
    assert "the same 6 faces in 6 pictures" in text
    assert "from 20 px: NOT the same faces" in text
    assert "mediapipe 0.10.21" in text
    assert "Noisy" not in text
    # Tables of Markdown: as many cells in each line as in its head.
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_the_page_says_what_to_distrust() -> None:
    whole = whole_report()
    rows = whole["cores"][0]["rows"]
    (first, second), rest = list(rows)[:2], list(rows)[2:]
    assert rest
    rows[first] = Row("x", "y", "uneven").figures(slices([1.0] * 5, [1.5] * 5))
    blind = slices([1.0] * 5, [1.0] * 5)
    blind[0]["faces"] = 0
    for part in blind:
        part["detections"] = 2
    rows[second] = Row("x", "y", "blind").figures(blind)
    text = markdown(whole)
    assert "Noisy" in text
    assert "(uneven)" in text
    assert "blind: a face in 50.0% of the pictures only" in text
    assert "blind: 4 full detections in 10 pictures" in text


def test_depth_between_points_is_linear_and_the_nearest_counts() -> None:
    at = np.array([[2.0, 2], [12, 2], [2, 12], [-5, -5], [30, -5], [-5, 30]])
    near = np.array([0.5, 0.6, 0.7])
    triangles = np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int32)
    drawn = draw_depth(at, np.array([*near, 0.9, 0.9, 0.9]), triangles, (16, 20))
    assert drawn.shape == (16, 20)
    for (x, y), depth in zip(at[:3].astype(int), near, strict=True):
        assert drawn[y, x] == pytest.approx(depth)
    assert drawn[2, 7] == pytest.approx(0.55)
    assert drawn[0, 0] == pytest.approx(0.9)
    assert np.isnan(drawn[15, 19])
    assert np.isfinite(drawn).sum() > 150


def test_a_mesh_is_put_where_its_eyes_say() -> None:
    """Both eyes 63 px apart across the picture: a millimetre is a pixel."""
    points = np.zeros((468, 3), dtype=np.float32)
    points[list(EYES[0])], points[list(EYES[1])] = (20, 30, 7), (83, 30, 7)
    points[1] = (50, 60, -13)
    triangles = np.array([[EYES[0][0], EYES[1][0], 1]], dtype=np.int32)
    image = np.zeros((100, 100, 3), dtype=np.uint8)
    depth = np.ones((100, 100), dtype=np.float32)
    sample = DepthSample("a", image, depth, depth > 0, Intrinsics(500, 500, 50, 50, 100, 100), 0.0)
    mesh = FaceMeshPredictor("mesh", {"a": points}, triangles, 63.0)
    predicted = mesh.predict(sample)
    assert predicted is not None
    assert predicted.depth_m[30, 50] == pytest.approx(0.500, abs=1e-6)
    assert predicted.depth_m[60, 50] == pytest.approx(0.480, abs=1e-6)
    lost = FaceMeshPredictor("mesh", {"a": np.full_like(points, np.nan)}, triangles, 63.0)
    assert lost.predict(sample) is None
