"""What a picture costs is bounded by the work that is done on it, not by its size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rtrecon.draw.sheet import draw_preview
from rtrecon.faces import mtcnn
from rtrecon.faces.mtcnn import Mtcnn, _bands
from rtrecon.pipeline import Reconstructor
from tests.faults.pictures import portrait

MEASURED = """
import json, sys
from rtrecon.cli import main
code = main(sys.argv[1:])
# Not ru_maxrss, which begins with that of the process that started this one.
with open("/proc/self/status") as status:
    peak_mb = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
print(json.dumps({"code": code, "peak_mb": peak_mb}))
"""


def image_command(*arguments: str) -> list[dict[str, Any]]:
    """The JSON lines of ``rtrecon image``, and one with its exit code and peak of memory."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "image", *arguments, "--provider", "cpu"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_a_hundred_million_pixels_in_a_gigabyte_and_a_half(tmp_path: Path) -> None:
    image = portrait()
    cv2.imwrite(str(tmp_path / "small.png"), image)
    large = cv2.resize(image, (11600, 8700), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "large.jpg"), large)
    del large
    out = ("--out", str(tmp_path / "out"), "--all")
    small, _ = image_command(str(tmp_path / "small.png"), *out)
    face, end = image_command(str(tmp_path / "large.jpg"), *out)
    assert end["code"] == 0
    assert end["peak_mb"] < 1500
    assert face["distance_m"] == pytest.approx(small["distance_m"], rel=0.02)
    scale = 11600 / 640
    np.testing.assert_allclose(
        np.array(face["landmarks_px"]) / scale, small["landmarks_px"], atol=5.0
    )


def test_a_large_picture_is_searched_shrunk_for_the_same_faces(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    image = cv2.resize(portrait(), None, fx=2.0, fy=2.0, interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(portrait(), (160, 120), interpolation=cv2.INTER_AREA)
    image[:120, :160] = small  # one face that the shrunken picture hardly shows
    detector = Mtcnn()
    whole = detector.detect(image, min_face_px=32)
    monkeypatch.setattr(mtcnn, "_MOST_SEARCHED_PX", 400_000)
    shrunk = detector.detect(image, min_face_px=32)
    assert len(whole) == len(shrunk) == 2
    for one, other in zip(whole, shrunk, strict=True):
        size = float(np.ptp(one.box_px[::2]))
        np.testing.assert_allclose(other.landmarks_px, one.landmarks_px, atol=0.08 * size)
        assert other.score > 0.9
    with caplog.at_level("INFO", "rtrecon"):
        detector.detect(image, min_face_px=20)
    assert any("are looked for from 24 px on" in message for message in caplog.messages)


@pytest.mark.parametrize("most_px", [3_000, 10_000, 40_000])
def test_networks_see_bands_and_find_the_same(
    monkeypatch: pytest.MonkeyPatch, most_px: int
) -> None:
    image = cv2.imread(str(Path(__file__).parents[1] / "data" / "faces" / "several.jpg"))
    detector = Mtcnn()
    at_once = detector.detect(image)
    monkeypatch.setattr(mtcnn, "_BAND_PX", most_px)
    monkeypatch.setattr(mtcnn, "_AT_ONCE", 7)
    in_bands = detector.detect(image)
    assert len(at_once) == len(in_bands) > 1
    for one, other in zip(at_once, in_bands, strict=True):
        np.testing.assert_allclose(other.box_px, one.box_px, atol=0.05)
        np.testing.assert_allclose(other.landmarks_px, one.landmarks_px, atol=0.05)


@pytest.mark.parametrize("rows", [12, 13, 29, 100, 101, 999])
@pytest.mark.parametrize("most", [2, 12, 40, 61])
def test_bands_have_every_cell_once(rows: int, most: int) -> None:
    cells = [
        first // 2 + k
        for first, end in _bands(rows, most)
        for k in range((end - first - 12) // 2 + 1)
    ]
    assert cells == list(range((rows - 12) // 2 + 1))


def test_a_preview_costs_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    image = portrait()
    with Reconstructor(provider="cpu", threads=1, temporal=False) as recon:
        (face,) = recon(image)
    monkeypatch.setattr(type(face), "depth_in_frame", lambda *_: pytest.fail("the whole picture"))
    assert draw_preview(image, face).shape[0] < 800


def test_threads_are_bounded_by_cores(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, dome_model: Path
) -> None:
    monkeypatch.setattr("rtrecon.depth.session.usable_cores", lambda: 2)
    with Reconstructor(dome_model, provider="cpu", threads=64) as recon:
        assert recon.depth_model.threads == 2
    assert any("64 threads" in message for message in caplog.messages)
