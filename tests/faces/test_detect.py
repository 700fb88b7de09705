"""`detect_faces` and `crop_faces`: what facenet-pytorch's callers give, and what it answers."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rtrecon
from rtrecon.errors import DataError
from rtrecon.faces import picture_input
from rtrecon.types import Face
from tests.faces.scenes import DATA

SHARED = Path(__file__).parents[3] / "shared/data/faces"


def test_the_page_for_facenet_pytorch_is_true(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ``python`` block of it runs, one after the other."""
    text = (repository / "docs/coming-from-facenet-pytorch.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(blocks) == 5
    monkeypatch.chdir(DATA)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "coming-from-facenet-pytorch.md", "exec"), names)
    golden = json.loads((DATA / "mtcnn_golden.json").read_text(encoding="utf-8"))
    due = {entry["file"]: entry["faces"] for entry in golden["images"]}
    np.testing.assert_allclose(names["boxes"], [f["box"] for f in due["portrait.jpg"]], atol=0.5)
    np.testing.assert_allclose(
        names["points"], [f["landmarks"] for f in due["portrait.jpg"]], atol=0.5
    )
    assert len(names["of_second"]) == len(due["several.jpg"])
    assert names["values"].shape == (len(due["portrait.jpg"]), 3, 160, 160)
    assert -1.0 <= names["values"].min() < names["values"].max() <= 1.0


def test_defaults_of_old_are_kept() -> None:
    image = cv2.imread(str(DATA / "several.jpg"))
    first, *_ = rtrecon.detect_faces(image, 20)
    assert isinstance(first, Face)


@pytest.mark.parametrize("name", ["biden.jpg", "obama.jpg", "astronaut.png"])
def test_pictures_of_pillow_have_facenet_pytorchs_faces(name: str) -> None:
    if not (SHARED / name).is_file():
        pytest.skip(f"no {SHARED / name}")
    golden = json.loads((SHARED / "mtcnn_golden.json").read_text(encoding="utf-8"))
    due = next(entry["faces"] for entry in golden["images"] if entry["file"] == name)
    with Image.open(SHARED / name) as picture:
        faces = rtrecon.detect_faces(picture, evens_dark=False)
    assert len(faces) == len(due)
    for face, truth in zip(faces, due, strict=True):
        # Pillow's and OpenCV's JPEGs differ by a grey level here and there.
        np.testing.assert_allclose(face.box_px, truth["box"], atol=2.0)
        assert face.score == pytest.approx(truth["prob"], abs=0.002)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1"])
def test_pillows_modes_become_bgr(mode: str) -> None:
    colored = np.zeros((8, 8, 3), np.uint8)
    colored[:, :, 0] = 255
    picture = Image.fromarray(colored).convert(mode)
    found = picture_input.as_picture(picture)
    assert found.shape == (8, 8, 3)
    np.testing.assert_array_equal(found, np.asarray(picture.convert("RGB"))[:, :, ::-1])


def test_lists_give_lists_and_may_differ_in_size() -> None:
    image = cv2.imread(str(DATA / "several.jpg"))
    small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    alone = rtrecon.detect_faces(image)
    whole, half, pillow = rtrecon.detect_faces(
        [image, small, Image.fromarray(image[:, :, ::-1].copy())]
    )
    assert len(half) >= 1
    for faces in (whole, pillow):
        np.testing.assert_array_equal([f.box_px for f in faces], [f.box_px for f in alone])
    stacked = rtrecon.detect_faces(np.stack([image, image]))
    assert [len(faces) for faces in stacked] == [len(alone)] * 2
    assert rtrecon.detect_faces([]) == []


def test_thresholds_and_keep_all() -> None:
    image = cv2.imread(str(DATA / "several.jpg"))
    faces = rtrecon.detect_faces(image)
    assert len(faces) > 1
    (largest,) = rtrecon.detect_faces(image, keep_all=False)
    np.testing.assert_array_equal(largest.box_px, faces[0].box_px)
    strict = rtrecon.detect_faces(image, thresholds=(0.6, 0.7, 0.9999))
    assert [f.score for f in strict] == [f.score for f in faces if f.score > 0.9999]
    assert rtrecon.detect_faces(np.zeros((40, 40, 3), np.uint8), keep_all=False) == []


@pytest.mark.parametrize("thresholds", [(0.6, 0.7), (0.6, 0.7, 1.0), (0.6, -0.1, 0.7)])
def test_thresholds_out_of_range_are_refused(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="three numbers from 0 to 1"):
        rtrecon.detect_faces(np.zeros((40, 40, 3), np.uint8), thresholds=thresholds)


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_pillows_wide_modes_are_refused(mode: str) -> None:
    with pytest.raises(DataError, match="more than eight bits"):
        rtrecon.detect_faces(Image.new(mode, (64, 64)))


def test_a_picture_that_lies_turned_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_input, "_said", set())
    picture = Image.new("RGB", (64, 64))
    picture.getexif()[0x0112] = 6
    rtrecon.detect_faces([picture, picture])
    assert [r.message for r in caplog.records if "exif_transpose" in r.message] == [
        caplog.records[0].message
    ]


def test_crops_are_those_of_facenet_pytorch() -> None:
    """Its arithmetic of box, margin and rounding, written out for one face."""
    image = cv2.imread(str(DATA / "portrait.jpg"))
    (face,) = rtrecon.detect_faces(image, keep_all=False)
    x0, y0, x1, y1 = (float(v) for v in face.box_px)
    mx, my = 20 * (x1 - x0) / 140, 20 * (y1 - y0) / 140
    part = image[int(y0 - my / 2) : int(y1 + my / 2), int(x0 - mx / 2) : int(x1 + mx / 2)]
    (crop,) = rtrecon.crop_faces(image, [face], 160, 20)
    np.testing.assert_array_equal(crop, cv2.resize(part, (160, 160), interpolation=cv2.INTER_AREA))


def test_crops_at_the_edge_and_beyond() -> None:
    image = np.full((50, 60, 3), 200, np.uint8)
    marks = np.zeros((5, 2), np.float32)
    boxes = [[-10, -10, 30, 30], [70, 10, 90, 30]]
    faces = [Face(np.array(box, np.float32), marks, 1.0) for box in boxes]
    inside, outside = rtrecon.crop_faces(image, faces, 32)
    assert (inside == 200).all()
    assert (outside == 0).all()
    assert rtrecon.crop_faces(image, [], 32).shape == (0, 32, 32, 3)
    with pytest.raises(DataError, match="margin_px"):
        rtrecon.crop_faces(image, faces, 32, 32)
