from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from rtrecon.errors import DataError
from rtrecon.types import Intrinsics


def test_fov_spans_the_diagonal() -> None:
    k = Intrinsics.from_fov(640, 480, 60.0)
    assert math.degrees(2 * math.atan(400.0 / k.fx)) == pytest.approx(60.0)
    assert (k.cx, k.cy) == (319.5, 239.5)


def test_scaling_keeps_rays() -> None:
    k = Intrinsics(800.0, 810.0, 330.0, 250.0, 640, 480)
    double = k.scaled(1280, 960)
    # The same ray hits the centre of the same (larger) pixel block.
    assert (double.cx + 0.5) / 2 - 0.5 == pytest.approx(k.cx)
    assert double.fx == 1600.0
    assert k.scaled(640, 480) is k


def test_scaling_to_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match="another shape"):
        Intrinsics.from_fov(640, 480).scaled(1280, 720)


@pytest.mark.parametrize(
    "content",
    ["", "[1, 2]", '{"fx": 1}', '{"fx": "a", "fy": 1, "cx": 1, "cy": 1, "width": 2, "height": 2}'],
)
def test_bad_calibration_files_name_the_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"calibration\.json"):
        Intrinsics.load(path)


def test_calibration_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    values = {"fx": 500, "fy": 501, "cx": 320, "cy": 240, "width": 640, "height": 480}
    path.write_text(json.dumps({**values, "dist": [0.1, -0.2]}), encoding="utf-8")
    k = Intrinsics.load(path)
    assert (k.fx, k.fy, k.dist) == (500.0, 501.0, (0.1, -0.2, 0.0, 0.0))
    with pytest.raises(DataError, match="cannot read"):
        Intrinsics.load(tmp_path / "missing.json")


CALIBRATION = {"fx": 500, "fy": 501, "cx": 320, "cy": 240, "width": 640, "height": 480}


def load(tmp_path: Path, **values: object) -> Intrinsics:
    path = tmp_path / "k.json"
    path.write_text(json.dumps({**CALIBRATION, **values}), encoding="utf-8")
    return Intrinsics.load(path)


@pytest.mark.parametrize(
    ("written", "dist"),
    [
        ([], ()),
        ([-0.05], (-0.05, 0, 0, 0)),
        ([-0.05, 0.01, 0.002], (-0.05, 0.01, 0.002, 0)),
        ([1, 2, 3, 4], (1, 2, 3, 4)),
        ([[0.1, 0.2, 0, 0, 0.3]], (0.1, 0.2, 0, 0, 0.3)),  # OpenCV's row
        ([[1], [2], [3], [4], [5], [6], [7], [8]], (1, 2, 3, 4, 5, 6, 7, 8)),  # its column
        ([0.0] * 12, (0.0,) * 12),
        ([0.0] * 14, (0.0,) * 14),
    ],
)
def test_distortion_as_tools_write_it(
    tmp_path: Path, written: object, dist: tuple[float, ...]
) -> None:
    assert load(tmp_path, dist=written).dist == dist


@pytest.mark.parametrize("count", [6, 7, 9, 13, 15])
def test_other_counts_of_coefficients_name_the_order(tmp_path: Path, count: int) -> None:
    with pytest.raises(DataError, match=r"k\.json: .*k1 k2 p1 p2 k3"):
        load(tmp_path, dist=[0.0] * count)
    with pytest.raises(DataError, match="k1 k2 p1 p2 k3"):
        Intrinsics(500, 500, 320, 240, 640, 480, (0.0,) * count)


@pytest.mark.parametrize(
    "values",
    [
        {"fx": 0.8, "fy": 1.0667, "cx": 0.5, "cy": 0.5},
        {"fx": 0.8, "fy": 1.0667},
        {"cx": -3.0},  # from the middle
        {"cy": 900},
    ],
)
def test_numbers_that_are_no_pixels_are_refused(tmp_path: Path, values: dict[str, float]) -> None:
    with pytest.raises(DataError, match=r"k\.json: .*in pixels"):
        load(tmp_path, **values)
