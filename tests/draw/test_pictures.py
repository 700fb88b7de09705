"""`rtrecon.draw`: what it gives is a picture, and nothing heavy comes with its import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import rtrecon
from rtrecon.geometry.reconstruction import FaceReconstruction


def test_an_overlay_leaves_the_picture_as_it_is(face: FaceReconstruction) -> None:
    image = np.full((96, 96, 3), 90, np.uint8)
    drawn = rtrecon.draw.overlay(image, [face])
    assert (image == 90).all()
    assert drawn.shape == image.shape
    assert (drawn != 90).any()


def test_near_is_bright_and_no_depth_is_dark() -> None:
    depth_m = np.array([[0.5, 0.6, np.nan]], np.float32)
    near, far, off = rtrecon.draw.depth_colors(depth_m)[0].astype(int).sum(axis=1)
    assert near > far > 0
    assert off == 96
    same = rtrecon.draw.depth_colors(depth_m, near_m=0.0, far_m=10.0)[0]
    assert np.abs(same[0].astype(int) - same[1]).max() < 10  # on a scale where they are alike


def test_depth_without_a_face_is_a_picture_too() -> None:
    nothing = rtrecon.draw.depth_colors(np.full((4, 5), np.nan, np.float32))
    assert nothing.shape == (4, 5, 3)
    assert (nothing == 32).all()


def test_a_head_is_seen_from_where_one_looks() -> None:
    with rtrecon.open_source("demo") as source:
        (face,) = rtrecon.Reconstructor(temporal=False)(next(iter(source)))
    front = rtrecon.draw.head(face, size_px=(120, 160))
    side = rtrecon.draw.head(face, 60.0, size_px=(120, 160))
    assert front.shape == side.shape == (160, 120, 3)
    assert np.abs(front.astype(int) - side).mean() > 5.0


def test_import_brings_nothing_heavy() -> None:
    script = (
        "import sys, rtrecon, rtrecon.draw; dir(rtrecon.draw); "
        "print([m for m in ('cv2', 'rtrecon.draw.live_head', 'rtrecon.pipeline') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'circle'"):
        rtrecon.draw.circle  # noqa: B018
