from __future__ import annotations

import numpy as np
import pytest

from rtrecon.errors import ArgumentError, DataError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.head.model import HeadModel
from rtrecon.head.rig import RiggedHead
from rtrecon.head.rigging import rig_head


def moved_by(rigged: RiggedHead, name: str) -> np.ndarray:
    return np.linalg.norm(rigged.shapes[rigged.shape_names.index(name)], axis=1)


def part(model: HeadModel, *names: str) -> np.ndarray:
    return np.concatenate([np.arange(model.parts[n].start, model.parts[n].stop) for n in names])


def test_skin_is_closed(model: HeadModel, rigged: RiggedHead) -> None:
    skin = next(piece for piece in rigged.pieces if piece.name == "skin").triangles
    mouth = next(piece for piece in rigged.pieces if piece.name == "mouth").triangles
    triangles = rigged.triangles[np.concatenate([skin, mouth])]
    socket = model.parts["gums_tongue"].start
    triangles = triangles[((triangles < socket) | (triangles >= len(model.vertices))).all(axis=1)]
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    )
    edges = np.sort(edges, axis=1)
    kinds, counts = np.unique(edges, axis=0, return_counts=True)
    open_edges = kinds[counts == 1]
    # What is left is within the mouth, where the gums begin.
    assert (np.abs(rigged.vertices[open_edges.ravel(), 0]) < 0.045).all()
    assert (rigged.vertices[open_edges.ravel(), 1] < 0.12).all()


def test_cap_faces_down(model: HeadModel, rigged: RiggedHead) -> None:
    cap = rigged.triangles[(rigged.triangles == len(model.vertices)).any(axis=1)]
    a, b, c = (rigged.vertices[cap[:, k]] for k in range(3))
    assert np.cross(b - a, c - a).sum(axis=0)[1] > 0.0
    assert rigged.normals[-1, 1] > 0.5


def test_every_triangle_is_in_one_piece(rigged: RiggedHead) -> None:
    chosen = np.concatenate([piece.triangles for piece in rigged.pieces])
    np.testing.assert_array_equal(np.sort(chosen), np.arange(len(rigged.triangles)))
    assert [piece.name for piece in rigged.pieces] == ["skin", "mouth", "teeth", "eyes", "lashes"]


def test_weights_sum_to_one_and_go_over_along_the_neck(
    model: HeadModel, rigged: RiggedHead
) -> None:
    np.testing.assert_allclose(rigged.weights.sum(axis=1), 1.0, atol=1e-6)
    assert rigged.weights.min() >= 0.0
    names = [joint.name for joint in rigged.joints]
    assert names == ["Neck", "Head", "LeftEye", "RightEye"]
    assert (rigged.weights[model.landmarks, 1] > 0.999).all()  # the whole face, chin and all
    lowest = np.argsort(rigged.vertices[:, 1])[-20:]
    assert (rigged.weights[lowest, 0] > 0.9).all()
    assert (rigged.weights[part(model, "eye_left"), 2] == 1.0).all()
    assert (rigged.weights[part(model, "eye_right"), 3] == 1.0).all()


def test_joints_are_within_the_head(model: HeadModel, rigged: RiggedHead) -> None:
    place = {joint.name: joint.position_m for joint in rigged.joints}
    assert place["LeftEye"][0] > 0.025
    assert place["RightEye"][0] < -0.025
    assert abs(place["Head"][0]) < 0.005
    assert 0.02 < place["Head"][1] < 0.08 < place["Neck"][1] < 0.21
    for name in ("LeftEye", "RightEye"):
        own = rigged.vertices[part(model, "eye_left" if name == "LeftEye" else "eye_right")]
        assert np.ptp(np.linalg.norm(own - place[name], axis=1)) < 0.004  # it turns in itself


def test_shapes_are_arkits_on_their_own_side(model: HeadModel, rigged: RiggedHead) -> None:
    assert rigged.shape_names == ARKIT_NAMES
    assert len(rigged.shapes) == 52
    for name in ARKIT_NAMES:
        moved = moved_by(rigged, name)
        assert moved.max() > 0.001, name
        side = rigged.vertices[moved > 0.5 * moved.max(), 0].mean()
        if name.endswith("Left") and name not in ("jawLeft", "mouthLeft"):
            assert side > 0.0, name
        if name.endswith("Right") and name not in ("jawRight", "mouthRight"):
            assert side < 0.0, name


@pytest.mark.parametrize("name", ["jawLeft", "mouthLeft"])
def test_left_is_the_persons_own(rigged: RiggedHead, name: str) -> None:
    assert rigged.shapes[ARKIT_NAMES.index(name), :, 0].max() > 0.004


def test_tongue_out_moves_the_tongue_alone(model: HeadModel, rigged: RiggedHead) -> None:
    moved = moved_by(rigged, "tongueOut")
    others = np.setdiff1d(np.arange(len(moved)), part(model, "gums_tongue"))
    assert moved[others].max() == 0.0
    out = rigged.shapes[ARKIT_NAMES.index("tongueOut")]
    assert 0.02 < -out[:, 2].min() < 0.04
    jaw = rigged.shapes[ARKIT_NAMES.index("jawOpen")]
    open_mouth = rigged.vertices + jaw
    tip = (open_mouth + out)[moved.argmax()]
    lower_lip = open_mouth[model.landmarks[66]]
    assert tip[2] < lower_lip[2]  # out of the mouth
    gums_of_the_upper_jaw = np.linalg.norm(jaw, axis=1) < 0.001
    assert moved[gums_of_the_upper_jaw].max() == 0.0


def test_eyes_and_brows_leave_the_mouth_alone(model: HeadModel, rigged: RiggedHead) -> None:
    mouth = part(model, "mouth_socket", "gums_tongue", "teeth")
    for name in ARKIT_NAMES:
        if name.startswith(("eye", "brow")):
            assert moved_by(rigged, name)[mouth].max() == 0.0, name


def test_shapes_grow_with_the_head(model: HeadModel) -> None:
    texture = np.zeros((8, 8, 3), dtype=np.uint8)
    one = rig_head(model, model.vertices, texture)
    other = rig_head(model, model.vertices * np.float32(1.1), texture)
    index = ARKIT_NAMES.index("jawOpen")
    ratio = np.linalg.norm(other.shapes[index]) / np.linalg.norm(one.shapes[index])
    assert ratio == pytest.approx(1.1, rel=0.01)
    np.testing.assert_allclose(one.shapes[index, :-1], model.expression[index], atol=6e-5)


def test_wrong_input_is_refused(model: HeadModel) -> None:
    texture = np.zeros((8, 8, 3), dtype=np.uint8)
    with pytest.raises(ArgumentError, match="vertices"):
        rig_head(model, model.vertices[:-1], texture)
    with pytest.raises(ArgumentError, match="texture"):
        rig_head(model, model.vertices, texture[:4])
    bad = model.vertices.copy()
    bad[3] = np.nan
    with pytest.raises(DataError, match="finite"):
        rig_head(model, bad, texture)
