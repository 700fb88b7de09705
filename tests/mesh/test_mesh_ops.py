from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rtrecon.errors import DataError
from rtrecon.geometry.mesh import Mesh
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.face_mesh import MeshOptions, face_mesh
from rtrecon.mesh.mesh_ops import boundary_loops, close_back, smooth

AXIS = np.array([0.0, 0.0, 1.0])


def is_watertight(triangles: npt.NDArray[np.int32]) -> bool:
    """Each edge has two triangles, which run along it in opposite directions."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    forward, count = np.unique(edges, axis=0, return_counts=True)
    backward = np.unique(edges[:, ::-1], axis=0)
    return bool((count == 1).all() and np.array_equal(forward, backward))


def volume_m3(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.triangles[:, k]].astype(float) for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("decimate", [None, 2000, 40])
def test_back_is_watertight(face: FaceReconstruction, decimate: int | None) -> None:
    mesh = face_mesh(face, MeshOptions(back=True, decimate=decimate))
    assert is_watertight(mesh.triangles)
    # Outward: a positive volume, of the order of a head's.
    assert 0.0005 < volume_m3(mesh) < 0.01
    assert mesh.uv is not None
    assert mesh.uv.shape == (len(mesh.vertices), 2)
    assert mesh.colors.shape == mesh.vertices.shape
    deepest = face.grid.points_camera[face.grid.valid][:, 2].max()
    assert decimate == 40 or mesh.vertices[:, 2].max() > deepest + 0.04
    # The limit is that of the whole mesh, its back included.
    assert decimate is None or 0.6 * decimate < len(mesh.triangles) <= max(decimate, 60)
    assert np.isfinite(mesh.uv).all()


def test_back_closes_large_holes_too(face: FaceReconstruction) -> None:
    face.grid.valid[30:45, 40:52] = False
    mesh = face_mesh(face)
    assert len(boundary_loops(mesh.triangles)) == 2
    assert is_watertight(close_back(mesh, AXIS).triangles)


def test_loops_that_touch_are_cut_apart() -> None:
    # Two triangles that share a vertex alone: a bow tie.
    triangles = np.array([[0, 1, 2], [2, 3, 4]], dtype=np.int32)
    loops = boundary_loops(triangles)
    assert sorted(sorted(loop.tolist()) for loop in loops) == [[0, 1, 2], [2, 3, 4]]


def test_closed_mesh_has_no_back_to_close(face: FaceReconstruction) -> None:
    mesh = face_mesh(face, MeshOptions(back=True))
    with pytest.raises(DataError, match="closed already"):
        close_back(mesh, AXIS)


def test_decimate(face: FaceReconstruction) -> None:
    whole = face_mesh(face)
    small = face_mesh(face, MeshOptions(decimate=500))
    assert len(small.triangles) <= 500
    assert small.uv is not None
    assert small.texture is not None
    # The texture still fits: its red is the column, so is x over z.
    column = small.uv[:, 0] * 96 - 0.5
    x_px = small.vertices[:, 0] / small.vertices[:, 2] * 240 + 47.5
    np.testing.assert_allclose(column, x_px, atol=0.01)
    assert np.abs(small.vertices.min(axis=0) - whole.vertices.min(axis=0)).max() < 0.01


def test_decimate_to_more_than_there_is_changes_nothing(face: FaceReconstruction) -> None:
    whole = face_mesh(face)
    same = face_mesh(face, MeshOptions(decimate=10**7))
    np.testing.assert_array_equal(whole.triangles, same.triangles)


def test_smooth_takes_noise_and_keeps_shape(face: FaceReconstruction) -> None:
    clean = face_mesh(face)
    noise = np.random.default_rng(0).normal(0, 0.0005, len(clean.vertices))
    noisy = Mesh(
        (clean.vertices + clean.normals * noise[:, None]).astype(np.float32),
        clean.triangles,
        clean.normals,
        clean.colors,
    )
    smoothed = smooth(noisy, 10)
    inner = np.linalg.norm(clean.vertices[:, :2], axis=1) < 0.04
    before = np.abs(noisy.vertices - clean.vertices)[inner].mean()
    after = np.abs(smoothed.vertices - clean.vertices)[inner].mean()
    assert after < 0.6 * before
    assert smooth(noisy, 0) is noisy


@pytest.mark.slow
def test_poisson_is_closed(face: FaceReconstruction) -> None:
    mesh = face_mesh(face, MeshOptions(poisson=True))
    assert is_watertight(mesh.triangles)
    assert mesh.uv is None
    assert volume_m3(mesh) == pytest.approx(
        volume_m3(face_mesh(face, MeshOptions(back=True))), rel=0.05
    )
