"""Faces that stand on their head or lie on their side: never a wrong mesh with a high score."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rtrecon.commands.image import ImageConfig, run_image
from rtrecon.pipeline import Reconstructor
from rtrecon.types import Frame
from rtrecon.upright import disagreement
from tests.faults.pictures import portrait

FACES = Path(__file__).parents[1] / "data" / "faces"


@pytest.fixture(scope="module")
def recon() -> Iterator[Reconstructor]:
    with Reconstructor(provider="cpu", threads=1, temporal=False, faces=5, min_face_px=48) as made:
        yield made


def turned(image: Any, clockwise: int) -> Any:
    return np.ascontiguousarray(np.rot90(image, -clockwise))


@pytest.mark.parametrize("clockwise", [1, 2, 3])
@pytest.mark.parametrize("name", ["rotated", "several", "clip"])
def test_a_turned_picture_gives_no_face_but_the_way_to_turn_it(
    recon: Reconstructor, caplog: pytest.LogCaptureFixture, name: str, clockwise: int
) -> None:
    image = portrait() if name == "clip" else cv2.imread(str(FACES / f"{name}.jpg"))
    upright = recon(image)
    assert recon.turn_deg == 0
    assert all((disagreement(face) or 0) < 0.03 for face in upright)
    with caplog.at_level(logging.WARNING, "rtrecon"):
        found = recon(turned(image, clockwise))
    assert found == []
    assert recon.turn_deg == 360 - 90 * clockwise
    assert any("is the picture upright?" in message for message in caplog.messages)


def test_one_who_stands_on_their_head_among_others_is_left_out(
    recon: Reconstructor, caplog: pytest.LogCaptureFixture
) -> None:
    rotated = cv2.imread(str(FACES / "rotated.jpg"))
    image = np.hstack([rotated, turned(rotated, 2), rotated])
    with caplog.at_level(logging.WARNING, "rtrecon"):
        faces = recon(image)
    width = rotated.shape[1]
    assert sorted(int(np.mean(face.box_px[::2]) // width) for face in faces) == [0, 2]
    assert recon.turn_deg == 0
    assert any("left out" in message for message in caplog.messages)


@pytest.mark.parametrize("clockwise", [1, 2, 3])
def test_image_turns_the_picture_and_says_so(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    clockwise: int,
) -> None:
    image = portrait()
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cv2.imwrite(str(tmp_path / "b.png"), turned(image, clockwise))
    config = ImageConfig(
        paths=[str(tmp_path)], out=tmp_path / "out", formats="npz", provider="cpu", threads=1
    )
    with caplog.at_level(logging.INFO, "rtrecon"):
        assert run_image(config) == 0
    upright, lying = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (upright["turned_deg"], lying["turned_deg"]) == (0, 360 - 90 * clockwise)
    assert lying["distance_m"] == pytest.approx(upright["distance_m"], rel=1e-3)
    assert lying["box_px"] == upright["box_px"]  # of the picture as it was turned
    assert any("b.png is turned by" in message for message in caplog.messages)
    with np.load(tmp_path / "out" / "b.face0.npz") as data:
        assert data["depth_m"].shape == image.shape[:2]


def test_a_camera_upside_down_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Followed from an upright start, as when a phone is turned while it films."""
    image = cv2.imread(str(FACES / "border.jpg"))
    with (
        caplog.at_level(logging.WARNING, "rtrecon"),
        Reconstructor(provider="cpu", threads=1, min_face_px=48) as recon,
    ):
        for k in range(70):
            recon(Frame(image, k, k * 33_000_000))
    assert sum("is the camera upright" in message for message in caplog.messages) == 1
