"""Calibration files as other programs write them: used as meant, or refused with a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtrecon.errors import DataError
from rtrecon.types import Intrinsics

PIXELS = {"fx": 640, "fy": 641, "cx": 320, "cy": 240, "width": 640, "height": 480}
DIST = [-0.05, 0.01, 0.001, -0.002, 0.003]


def load(tmp_path: Path, content: Any, name: str = "camera.json") -> Intrinsics:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return Intrinsics.load(path)


@pytest.mark.parametrize(
    "content",
    [
        {**PIXELS, "dist": DIST, "model": "OPENCV"},
        {**PIXELS, "dist": DIST, "camera_model": "pinhole", "distortion_model": "radtan"},
        {**PIXELS, "D": DIST, "distortion_model": "plumb_bob"},
        {**PIXELS, **dict(zip(("k1", "k2", "p1", "p2", "k3"), DIST, strict=True))},
        {**PIXELS, "distortion": dict(zip(("k1", "k2", "p1", "p2", "k3"), DIST, strict=True))},
        {  # OpenCV's FileStorage
            "camera_matrix": {"rows": 3, "cols": 3, "data": [640, 0, 320, 0, 641, 240, 0, 0, 1]},
            "distortion_coefficients": {"rows": 1, "cols": 5, "data": DIST},
            "image_width": 640,
            "image_height": 480,
            "avg_reprojection_error": 0.2,
        },
        {  # calibrateCamera's answers, as people dump them
            "K": [[640, 0, 320], [0, 641, 240], [0, 0, 1]],
            "dist": [DIST],
            "image_size": [640, 480],
        },
        {  # nerfstudio
            "fl_x": 640,
            "fl_y": 641,
            "cx": 320,
            "cy": 240,
            "w": 640,
            "h": 480,
            "camera_model": "OPENCV",
            "k1": DIST[0],
            "k2": DIST[1],
            "p1": DIST[2],
            "p2": DIST[3],
            "k3": DIST[4],
            "frames": [],
        },
        {  # RealSense
            "fx": 640,
            "fy": 641,
            "ppx": 320,
            "ppy": 240,
            "width": 640,
            "height": 480,
            "model": "distortion.brown_conrady",
            "coeffs": DIST,
        },
        {  # Kalibr, as JSON
            "cam0": {
                "camera_model": "pinhole",
                "distortion_model": "radtan",
                "intrinsics": [640, 641, 320, 240],
                "resolution": [640, 480],
                "distortion_coeffs": DIST,
            }
        },
    ],
)
def test_one_camera_in_many_spellings(tmp_path: Path, content: Any) -> None:
    camera = load(tmp_path, content)
    assert camera == Intrinsics(640, 641, 320, 240, 640, 480, tuple(DIST))


def test_colmaps_own_file_counts_from_the_corner_of_a_pixel(tmp_path: Path) -> None:
    text = "# Camera list\n#   CAMERA_ID, MODEL\n1 OPENCV 640 480 640 641 320.5 240.5 {}\n"
    camera = load(tmp_path, text.format("-0.05 0.01 0.001 -0.002"), "cameras.txt")
    assert camera == Intrinsics(640, 641, 320, 240, 640, 480, tuple(DIST[:4]))
    camera = load(tmp_path, "1 SIMPLE_RADIAL 640 480 640 320.5 240.5 -0.05\n", "cameras.txt")
    assert camera == Intrinsics(640, 640, 320, 240, 640, 480, (-0.05, 0, 0, 0))
    with pytest.raises(DataError, match="2 cameras"):
        load(tmp_path, "1 PINHOLE 9 9 9 9 4 4\n2 PINHOLE 9 9 9 9 4 4\n", "cameras.txt")
    with pytest.raises(DataError, match="8 parameters"):
        load(tmp_path, "1 OPENCV 640 480 640 641 320.5 240.5\n", "cameras.txt")


@pytest.mark.parametrize(
    ("key", "model"),
    [
        ("model", "OPENCV_FISHEYE"),
        ("camera_model", "fisheye"),
        ("distortion_model", "equidistant"),
        ("distortion_model", "equi"),
        ("camera_model", "omni"),
        ("model", "KANNALA_BRANDT"),
        ("camera_model", "ds"),
        ("camera_model", "FOV"),
        ("projection", "frame"),  # Metashape counts from the middle, in another order
        ("model", "distortion.inverse_brown_conrady"),
        ("lens_model", "ptlens"),
    ],
)
def test_other_lens_models_are_refused(tmp_path: Path, key: str, model: str) -> None:
    with pytest.raises(DataError, match=r"camera\.json: the lens model .* cannot be used"):
        load(tmp_path, {**PIXELS, "dist": DIST[:4], key: model})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"fisheye": True}, "lens model"),
        ({"skew": 3.0}, "skew"),
        ({"b1": -2.0}, "b1"),
        ({"xi": 1.2}, "xi"),
        ({"dist": DIST, "k1": 0.2}, "twice"),
        ({"FX": 900}, "twice"),
        ({"model": "none", "dist": DIST}, "which is right"),
        ({"model": 3}, "must name a lens model"),
        ({"dist": {"k1": 0.1, "radial9": 2}}, "radial9"),
        ({"dist": ["a", "b"]}, "not a number"),
        ({"dist": True}, "not a number"),
        ({"width": 640.5}, "whole pixels"),
        ({"width": "1e400"}, "whole pixels"),
        ({"cx": 12.0}, "in pixels"),  # from the middle of the picture
        ({"camera_matrix": [[640, 3, 320], [0, 640, 240], [0, 0, 1]]}, "skew"),
        ({"camera_matrix": [640, 0, 320]}, "row by row"),
    ],
)
def test_what_contradicts_or_cannot_be_is_refused(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(DataError, match=rf"camera\.json: .*{said}"):
        load(tmp_path, {**PIXELS, **more})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n", "YAML"),
        ("cam0:\n  camera_model: pinhole\n", "YAML"),
        ("<?xml version='1.0'?><calibration><f>3000</f></calibration>", "XML"),
        ({"cam0": dict(PIXELS), "cam1": dict(PIXELS)}, "2 cameras"),
        ([1, 2], "list"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        load(tmp_path, content)


def test_shares_are_no_pixels_in_the_library_either() -> None:
    with pytest.raises(DataError, match="in pixels"):
        Intrinsics(0.8, 1.0667, 0.5, 0.5, 640, 480)
