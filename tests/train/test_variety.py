import numpy as np
import pytest

from rtrecon.train.face_model import LANDMARKS_68, PARTS, FaceModel
from rtrecon.train.heads.mesh import vertex_normals
from rtrecon.train.heads.variety import ShapeVariety


@pytest.fixture(scope="module")
def head(face_model_path):
    model = FaceModel.load(face_model_path)
    return model, ShapeVariety(model), vertex_normals(model.vertices, model.triangles)


def test_same_seed_same_head_and_another_for_another(head):
    model, vary, normals = head
    first, again, other = (
        vary(np.random.default_rng(seed), model.vertices, normals) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.05


def test_changes_stay_those_of_a_person(head):
    model, vary, normals = head
    face = slice(*PARTS["face"])
    moved, uneven = [], []
    for seed in range(30):
        head_cm = vary(np.random.default_rng(seed), model.vertices, normals)
        centred = head_cm[face] - head_cm[face].mean(axis=0)
        mean = model.vertices[face] - model.vertices[face].mean(axis=0)
        moved.append(np.linalg.norm(centred - mean, axis=1).mean())
        marks = head_cm[LANDMARKS_68]
        uneven.append(abs(marks[36] + marks[45])[0])
    assert 0.05 < np.median(moved) < 0.6  # centimetres
    assert max(moved) < 1.6
    assert np.median(uneven) > 0.01  # faces are not symmetric


def test_eyes_stay_behind_their_lids(head):
    model, vary, normals = head
    for seed in range(10):
        head_cm = vary(np.random.default_rng(seed), model.vertices, normals)
        for lid, ball in ((LANDMARKS_68[37:42], "eye_right"), (LANDMARKS_68[43:48], "eye_left")):
            front = head_cm[slice(*PARTS[ball])][:, 2].max()
            before = model.vertices[slice(*PARTS[ball])][:, 2].max()
            gap = head_cm[lid][:, 2].max() - front
            assert gap == pytest.approx(model.vertices[lid][:, 2].max() - before, abs=0.15)


def test_the_tongue_alone_comes_forward(head):
    model, vary, _ = head
    out = vary.put_tongue_forward(model.vertices, 2.0, 0.0)
    moved = np.flatnonzero(np.abs(out - model.vertices).max(axis=1) > 0)
    first, end = PARTS["gums_tongue"]
    assert len(moved) > 50
    assert moved.min() >= first
    assert moved.max() < end
    assert 1.0 < (out - model.vertices)[:, 2].max() <= 2.0
