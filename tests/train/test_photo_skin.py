"""Heads in the skin of a portrait: the texture sits where the face is, the depth is the head's."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("moderngl")

from make_photo_skin_set import PhotoSkinRenderer, fit_skin, landmarks_of

from rtrecon.errors import RtreconError
from rtrecon.evaluate.dataset import DepthDataset
from rtrecon.train.face_model import LANDMARKS_68, PARTS, FaceModel

PORTRAIT = Path(__file__).parents[1] / "data/faces/portrait.jpg"


@pytest.fixture(scope="module")
def head(face_model_path):
    model, image = FaceModel.load(face_model_path), cv2.imread(str(PORTRAIT))
    return model, image, fit_skin(model, image)


def test_landmarks_fall_on_the_portraits(head):
    model, image, skin = head
    marks_px = landmarks_of(image)
    eyes_px = np.linalg.norm(marks_px[45] - marks_px[36])
    found_px = skin.uv[LANDMARKS_68] * image.shape[1::-1] - 0.5
    assert np.linalg.norm(found_px - marks_px, axis=1).max() < 0.06 * eyes_px
    assert skin.seen[slice(*PARTS["face"])].mean() > 0.5
    behind = model.vertices[:, 2] < -5
    assert skin.seen[behind].max() == 0
    assert (skin.expression >= 0).all()
    assert (skin.expression <= 1).all()


def test_stills_can_be_scored(head, tmp_path):
    from make_eval_sets import write

    model, _, skin = head
    try:
        renderer = PhotoSkinRenderer(model, 192)
    except RtreconError as error:
        pytest.skip(str(error))
    renderer.skin = skin
    first, again = renderer.photo_still(3), renderer.photo_still(3)
    renderer.close()
    np.testing.assert_array_equal(first.image, again.image)
    write(tmp_path, [first], None)
    assert json.loads((tmp_path / "meta.json").read_text())["frames"][0]["id"] == "0000"
    (sample,) = DepthDataset(tmp_path)
    assert sample.scored.sum() > 300
    assert 0.25 < np.nanmedian(sample.depth_m[sample.scored]) < 1.1
    # The skin is lit: neither black nor burnt out as a whole.
    assert 15 < sample.image[sample.scored].mean() < 245
