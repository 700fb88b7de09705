"""Pictures and EXIF data with any bytes changed: a picture or an error, in bounded memory."""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import pytest
from PIL import features

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtrecon.capture.pictures import MAX_PIXELS, read_picture
from rtrecon.errors import RtreconError
from tests.faults.pictures import corner_marked, encoded, exif, gif_of

TAGS = exif(6, focal_35mm=26, focal_mm=4.2, per_cm=1000.0, size=(64, 48))
WITH_EXIF = ("JPEG", "PNG", "WEBP", "TIFF")
SEEDS = {
    kind: encoded(corner_marked(), kind, **({"exif": TAGS} if kind in WITH_EXIF else {}))
    for kind in (*WITH_EXIF, "BMP", "GIF", "PPM")
}
if features.check("avif"):
    SEEDS["AVIF"] = encoded(corner_marked(), "AVIF", exif=TAGS)
SEEDS["GIF35"] = gif_of(64, 64)
MOST_MB = 700  # the largest picture that is read has 450 MB

changes = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8)), max_size=6
)


def changed(data: bytes, edits: list[tuple[int, bytes]], cut: int) -> bytes:
    edited = bytearray(data)
    for place, new in edits:
        at = place % len(edited)
        edited[at : at + len(new)] = new
    return bytes(edited[: max(1, len(edited) - cut)])


def outcome(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.picture"
        path.write_bytes(content)
        try:
            picture = read_picture(path)
        except RtreconError:
            return
    height, width = picture.image.shape[:2]
    assert height * width <= MAX_PIXELS
    assert picture.fov_deg is None or 0.0 < picture.fov_deg < 180.0


@pytest.mark.parametrize("kind", SEEDS)
def test_any_bytes_of_a_picture(kind: str) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(changes, st.sampled_from([0, 0, 0, 1, 7, 60]))
    def check(edits: list[tuple[int, bytes]], cut: int) -> None:
        outcome(changed(SEEDS[kind], edits, cut))

    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    check()
    grown_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    if sys.platform == "linux":  # elsewhere it is counted in bytes
        assert grown_mb < MOST_MB


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_bytes_of_exif_data(data: st.DataObject) -> None:
    block = TAGS.tobytes()
    edited = changed(block, data.draw(changes), data.draw(st.sampled_from([0, 0, 3, 20])))
    if not edited.startswith(b"Exif\0\0"):
        edited = b"Exif\0\0" + edited
    jpeg = encoded(corner_marked(), "JPEG")
    outcome(jpeg[:2] + b"\xff\xe1" + (len(edited) + 2).to_bytes(2, "big") + edited + jpeg[2:])
