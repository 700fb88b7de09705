"""STL and 3MF, read by others' readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from rtrecon.geometry.mesh import Mesh
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.closed import weld
from rtrecon.mesh.face_mesh import MeshOptions, file_mesh
from rtrecon.mesh.mesh_files import encode_mesh, write_mesh


@pytest.fixture
def closed(face: FaceReconstruction) -> Mesh:
    return file_mesh(face, MeshOptions(back=True))


@pytest.mark.parametrize("suffix", [".stl", ".3mf"])
def test_printed_head_is_watertight_in_millimetres(
    closed: Mesh, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"head{suffix}"
    assert write_mesh(closed, path) == [path]
    read = trimesh.load_mesh(path)
    assert read.is_watertight
    assert read.volume > 0
    size = closed.vertices.max(axis=0) - closed.vertices.min(axis=0)
    np.testing.assert_allclose(read.extents, 1e3 * size[[0, 2, 1]], rtol=1e-4)
    # It stands up and looks at the one before it.
    top = read.vertices[:, 2].argmax()
    np.testing.assert_allclose(read.vertices[top, 2], 1e3 * closed.vertices[:, 1].max(), rtol=1e-4)


def test_3mf_has_the_colours_in_its_makers_reader(closed: Mesh, tmp_path: Path) -> None:
    lib3mf = pytest.importorskip("lib3mf")
    path = tmp_path / "head.3mf"
    write_mesh(closed, path)
    wrapper = lib3mf.get_wrapper()
    model = wrapper.CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromFile(str(path))
    assert reader.GetWarningCount() == 0
    objects = model.GetMeshObjects()
    assert objects.MoveNext()
    mesh = objects.GetCurrentMeshObject()
    assert mesh.IsManifoldAndOriented()
    assert mesh.GetTriangleCount() == len(weld(closed).triangles)
    groups = model.GetColorGroups()
    assert groups.MoveNext()
    colors = groups.GetCurrentColorGroup()
    tones = {(c.Red, c.Green, c.Blue) for c in map(colors.GetColor, colors.GetAllPropertyIDs())}
    assert tones == {tuple(row) for row in weld(closed).colors.tolist()}


def test_an_open_face_is_a_surface(face: FaceReconstruction, tmp_path: Path) -> None:
    path = tmp_path / "face.3mf"
    write_mesh(file_mesh(face), path)
    read = trimesh.load_mesh(path)
    assert not read.is_watertight
    assert len(read.faces) > 1000


def test_same_bytes_again(closed: Mesh) -> None:
    for name in ("a.stl", "a.3mf"):
        assert encode_mesh(closed, Path(name)) == encode_mesh(closed, Path(name))
