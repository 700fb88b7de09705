from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rtrecon.errors import ModelError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mean_head import mean_head
from rtrecon.head.model import head_model, load_head_model

FOLDER = Path(__file__).parents[2] / "models" / "head"


def test_landmarks_are_those_of_the_head_that_is_placed() -> None:
    model = head_model()
    np.testing.assert_allclose(model.vertices[model.landmarks], mean_head().points[:68], atol=1e-6)
    assert model.ipd_m == pytest.approx(mean_head().ipd_m)


def test_left_is_the_persons_own() -> None:
    model = head_model()
    left, right = model.eye_centers(model.vertices)
    assert left[0] > 0.025
    assert right[0] < -0.025
    blink = model.expression[model.expression_names.index("eyeBlinkLeft")]
    moved = np.linalg.norm(blink, axis=1) > 0.002
    assert (model.vertices[moved, 0] > 0.0).all()


def test_jaw_opens_downward_with_the_lower_teeth_alone() -> None:
    model = head_model()
    jaw = model.expression[model.expression_names.index("jawOpen")]
    teeth = jaw[model.parts["teeth"]]
    assert teeth[:, 1].max() > 0.02
    assert (np.linalg.norm(teeth, axis=1) < 0.001).mean() > 0.3


def test_names_are_arkits_but_the_tongue() -> None:
    assert head_model().expression_names == ARKIT_NAMES[:-1]


def test_mirror_leads_to_the_other_side_and_back() -> None:
    model = head_model()
    skin = np.arange(model.parts["head_neck"].stop)
    there = model.mirror[skin]
    apart = model.vertices[there] * (-1.0, 1.0, 1.0) - model.vertices[skin]
    assert np.median(np.linalg.norm(apart, axis=1)) < 0.0005
    assert (model.mirror[there] == skin).mean() > 0.95


def test_triangles_face_outward() -> None:
    model = head_model()
    skin = model.triangles[model.triangles.max(axis=1) < model.parts["face"].stop]
    a, b, c = (model.vertices[skin[:, k]] for k in range(3))
    outward = np.cross(b - a, c - a)
    middle = np.array([0.0, 0.03, 0.06])
    agrees = np.einsum("ij,ij->i", outward, (a + b + c) / 3 - middle) > 0
    assert agrees.mean() > 0.8


def test_places_in_the_texture_do_not_overlap() -> None:
    model = head_model()
    part = model.part_of_triangles()
    uv = model.uv[model.uv_triangles]
    assert uv.min() >= 0.0
    assert uv.max() <= 1.0
    left, right = uv[part == 6].reshape(-1, 2), uv[part == 7].reshape(-1, 2)
    assert left[:, 0].max() < right[:, 0].min()


def test_one_that_was_damaged_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "head")
    path = folder / "head.npz"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        load_head_model(folder)
    path.unlink()
    with pytest.raises(ModelError, match=r"head\.npz"):
        load_head_model(folder)
