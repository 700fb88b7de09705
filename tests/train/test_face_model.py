from pathlib import Path

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.train.face_model import (
    ARKIT_NAMES,
    FACE_MODEL_VARIABLE,
    LANDMARKS_68,
    FaceModel,
    default_face_model,
)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.npz does not exist.*ICT-FaceKit"):
        FaceModel.load(tmp_path / "nothing.npz")


def test_other_file_is_refused(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, V=np.zeros((3, 3)))
    with pytest.raises(DataError, match="is not an ICT-FaceKit file"):
        FaceModel.load(path)
    path.write_text("not a zip")
    with pytest.raises(DataError, match="is not an ICT-FaceKit file"):
        FaceModel.load(path)


def test_other_topology_is_refused(tmp_path):
    path = tmp_path / "small.npz"
    fields = {name: np.zeros((3, 3), np.float32) for name in ("V", "I", "E", "F", "uv", "FT")}
    np.savez(path, names=np.array(["a"]), **fields)
    with pytest.raises(DataError, match="topology"):
        FaceModel.load(path)


def test_checkout_without_meshes(tmp_path):
    with pytest.raises(DataError, match="generic_neutral_mesh"):
        FaceModel.load(tmp_path)


def test_checkout_with_a_mesh_missing(tmp_path):
    mesh = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nvt 0 0\nf 1/1 2/1 4/1 3/1\n"
    (tmp_path / "generic_neutral_mesh.obj").write_text(mesh)
    with pytest.raises(DataError, match=r"identity000\.obj is missing"):
        FaceModel.load(tmp_path)


def test_landmarks_lie_where_they_should(face_model_path):
    marks = FaceModel.load(face_model_path).vertices[LANDMARKS_68]
    assert marks[30, 2] == marks[:, 2].max()  # the tip of the nose is foremost
    assert marks[8, 1] == marks[:, 1].min()  # the chin is lowest
    assert marks[36:42, 0].max() < 0 < marks[42:48, 0].min()  # the face's left is +x
    np.testing.assert_allclose(marks[39, 0], -marks[42, 0], atol=0.1)


def test_arkit_there_and_back(face_model_path):
    model = FaceModel.load(face_model_path)
    wanted = np.linspace(0.1, 0.9, len(ARKIT_NAMES)).astype(np.float32)
    weights = model.from_arkit(wanted)
    assert np.count_nonzero(weights) >= len(ARKIT_NAMES)
    np.testing.assert_allclose(model.to_arkit(weights), wanted, atol=1e-6)


def test_jaw_opens_downward(face_model_path):
    model = FaceModel.load(face_model_path)
    coefficients = np.zeros(len(ARKIT_NAMES), np.float32)
    coefficients[ARKIT_NAMES.index("jawOpen")] = 1
    moved = model.shape(np.zeros(100, np.float32), model.from_arkit(coefficients))
    fall = (moved - model.vertices)[LANDMARKS_68][8]
    assert fall[1] < -1.0


def test_the_path_comes_from_a_variable(monkeypatch, tmp_path):
    monkeypatch.setenv(FACE_MODEL_VARIABLE, str(tmp_path / "mine.npz"))
    assert default_face_model() == tmp_path / "mine.npz"
    with pytest.raises(DataError, match=r"does not exist; it is ICT-FaceKit.*RTRECON_ICT_FACEKIT"):
        FaceModel.load(default_face_model())
    monkeypatch.delenv(FACE_MODEL_VARIABLE)
    assert default_face_model() == Path("ICT-FaceKit")
