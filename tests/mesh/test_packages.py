"""A face as the meshes of trimesh and Open3D: same points, and the picture where it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtrecon.errors import MissingExtraError
from rtrecon.geometry.reconstruction import FaceReconstruction
from tests.mesh.faces import make_face


@pytest.fixture(scope="module")
def face() -> FaceReconstruction:
    return make_face()


def test_trimesh_has_the_same_mesh(face: FaceReconstruction) -> None:
    pytest.importorskip("trimesh")
    made, mesh = face.to_trimesh(), face.mesh()
    np.testing.assert_array_equal(made.vertices, mesh.vertices)
    np.testing.assert_array_equal(made.faces, mesh.triangles)
    np.testing.assert_allclose(made.vertex_normals, mesh.normals, atol=1e-6)
    _has_colors(made, face)


def test_trimesh_without_a_texture_has_colors(face: FaceReconstruction) -> None:
    pytest.importorskip("trimesh")
    mesh = face.mesh()
    bare = type(mesh)(mesh.vertices, mesh.triangles, mesh.normals, mesh.colors)
    made = bare.to_trimesh()
    np.testing.assert_array_equal(made.visual.vertex_colors[:, :3], mesh.colors)


def test_open3d_has_the_same_mesh(face: FaceReconstruction, tmp_path: Path) -> None:
    o3d = pytest.importorskip("open3d")
    trimesh = pytest.importorskip("trimesh")
    made, mesh = face.to_open3d(), face.mesh()
    np.testing.assert_array_equal(np.asarray(made.vertices), mesh.vertices)
    np.testing.assert_array_equal(np.asarray(made.triangles), mesh.triangles)
    np.testing.assert_allclose(np.asarray(made.vertex_colors), mesh.colors / 255.0)
    # Its texture lies the right way up: another reader of its own file sees the colours.
    o3d.io.write_triangle_mesh(str(tmp_path / "face.obj"), made)
    _has_colors(trimesh.load(tmp_path / "face.obj", force="mesh", process=False), face)


def _has_colors(made: Any, face: FaceReconstruction) -> None:
    seen = made.visual.to_color().vertex_colors[:, :3].astype(int)
    mesh = face.mesh()
    assert len(made.faces) == len(mesh.triangles)
    # Red and green run over the whole picture; corner by corner, since some split vertices.
    off = np.abs(seen[made.faces] - mesh.colors[mesh.triangles])
    assert off.mean() < 4.0


@pytest.mark.parametrize(
    ("package", "call", "command"),
    [
        ("trimesh", "to_trimesh", r"pip install 'rtrecon\[trimesh\]'"),
        ("open3d", "to_open3d", r"pip install 'rtrecon\[window\]'"),
    ],
)
def test_without_the_package_the_command_is_named(
    face: FaceReconstruction,
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    call: str,
    command: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=command):
        getattr(face, call)()
