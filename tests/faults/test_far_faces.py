"""How far a face is never changes how large it is, and a distance that is odd is said."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np
import pytest

from rtrecon.pipeline import Reconstructor
from rtrecon.types import Frame, Intrinsics
from tests.faults.pictures import portrait


@pytest.fixture(scope="module")
def recon() -> Iterator[Reconstructor]:
    with Reconstructor(provider="cpu", threads=1, temporal=False) as made:
        yield made


def eyes_apart_mm(recon: Reconstructor, fov_deg: float) -> tuple[float, float]:
    """Between the outer corners of the eyes, and the distance in metres."""
    image = portrait()
    camera = Intrinsics.from_fov(640, 480, fov_deg)
    (face,) = recon(Frame(image, 0, 0, camera))
    marks = face.landmarks68_camera
    assert marks is not None
    return 1000.0 * float(np.linalg.norm(marks[36] - marks[45])), face.z_ref_m


@pytest.mark.parametrize("fov_deg", [5.0, 2.0, 1.0])
def test_behind_a_telephoto_lens_a_face_keeps_its_size(
    recon: Reconstructor, caplog: pytest.LogCaptureFixture, fov_deg: float
) -> None:
    usual_mm, near_m = eyes_apart_mm(recon, 20.0)
    with caplog.at_level(logging.WARNING, "rtrecon"):
        far_mm, far_m = eyes_apart_mm(recon, fov_deg)
    assert far_m == pytest.approx(near_m * 20.0 / fov_deg, rel=0.05)
    assert far_mm == pytest.approx(usual_mm, rel=0.02)


def test_a_distance_that_is_odd_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.WARNING, "rtrecon"),
        Reconstructor(provider="cpu", threads=1, temporal=False) as recon,
    ):
        _, far_m = eyes_apart_mm(recon, 1.0)
    assert far_m > 10.0
    assert any("m away: is the field of view right (--fov)?" in m for m in caplog.messages)
