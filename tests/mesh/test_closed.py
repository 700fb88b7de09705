from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from rtrecon.errors import DataError
from rtrecon.geometry.mesh import Mesh, vertex_normals
from rtrecon.mesh.closed import check_closed, is_closed, largest_body, weld, without_slivers
from rtrecon.mesh.mesh_files import write_mesh


def ball(radius: float = 0.1, shift: float = 0.0) -> Mesh:
    made = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return of(made.vertices + shift, made.faces)


def of(vertices: np.ndarray, triangles: np.ndarray) -> Mesh:
    points, faces = vertices.astype(np.float32), triangles.astype(np.int32)
    colors = np.full(points.shape, 200, dtype=np.uint8)
    return Mesh(points, faces, vertex_normals(points, faces), colors)


def with_slivers(mesh: Mesh) -> Mesh:
    """Vertices pulled onto a neighbour: an edge of no length, and triangles of no area."""
    vertices = mesh.vertices.copy()
    for k, apart in ((10, 0.0), (200, 1e-7), (400, 1e-6), (401, 3e-6)):
        one, other, _ = mesh.triangles[k]
        vertices[one] = vertices[other] + apart
    return replace(mesh, vertices=vertices)


def joined(*meshes: Mesh) -> Mesh:
    offsets = np.cumsum([0, *(len(m.vertices) for m in meshes[:-1])])
    return of(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.triangles + o for m, o in zip(meshes, offsets, strict=True)]),
    )


def as_another_reads(mesh: Mesh, path: Path) -> trimesh.Trimesh:
    write_mesh(mesh, path)
    read = trimesh.load_mesh(path, process=False)
    bare = trimesh.Trimesh(read.vertices, read.faces, process=False)
    bare.merge_vertices(merge_tex=True, merge_norm=True)
    return bare


@pytest.mark.parametrize("suffix", [".glb", ".ply", ".obj"])
def test_slivers_go_and_the_body_stays(tmp_path: Path, suffix: str) -> None:
    tidy = without_slivers(with_slivers(ball()))
    assert is_closed(tidy.triangles)
    read = as_another_reads(tidy, tmp_path / f"ball{suffix}")
    assert read.is_watertight
    assert read.is_winding_consistent
    assert read.body_count == 1
    assert read.euler_number == 2
    assert read.area_faces.min() > 1e-12
    assert read.volume == pytest.approx(trimesh.creation.icosphere(3, 0.1).volume, rel=0.01)


def test_a_clean_body_is_left_as_it_is() -> None:
    mesh = ball()
    np.testing.assert_array_equal(without_slivers(mesh).vertices, mesh.vertices)
    assert weld(mesh) is mesh


def test_only_the_largest_body_stays() -> None:
    both = joined(ball(0.01, shift=1.0), ball(0.1))
    assert len(largest_body(both).triangles) == len(ball().triangles)
    both = joined(of(*octahedron(0.01, 1.0)), ball(0.1))
    with pytest.raises(DataError, match="2 bodies"):
        check_closed(both)
    assert len(check_closed(largest_body(both)).triangles) == len(ball().triangles)


def octahedron(size: float, shift: float) -> tuple[np.ndarray, np.ndarray]:
    made = trimesh.creation.icosahedron()
    return made.vertices * size + shift, made.faces


def test_seams_of_equal_points_are_welded() -> None:
    mesh = ball()
    apart = of(
        mesh.vertices[mesh.triangles].reshape(-1, 3), np.arange(mesh.triangles.size).reshape(-1, 3)
    )
    assert not is_closed(apart.triangles)
    assert is_closed(weld(apart).triangles)
    assert check_closed(apart) is apart


def test_what_is_open_or_flat_is_refused() -> None:
    mesh = ball()
    with pytest.raises(DataError, match="could not be closed"):
        check_closed(replace(mesh, triangles=mesh.triangles[1:]))
    with pytest.raises(DataError, match="without area"):
        check_closed(with_slivers(mesh))
