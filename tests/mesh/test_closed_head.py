"""A person's whole head as one closed body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.capture.pictures import read_picture
from rtrecon.geometry.mesh import Mesh
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.closed import is_closed, weld
from rtrecon.mesh.face_mesh import MeshOptions, face_mesh
from rtrecon.pipeline import reconstruct
from rtrecon.types import BgrImage


@pytest.fixture(scope="module")
def picture(shared_data: Path) -> BgrImage:
    return read_picture(shared_data / "faces" / "astronaut.png").image


@pytest.fixture(scope="module")
def face(picture: BgrImage) -> FaceReconstruction:
    return reconstruct(picture, passes=1)[0]


@pytest.fixture(scope="module")
def mesh(face: FaceReconstruction, picture: BgrImage) -> Mesh:
    return face_mesh(face, MeshOptions(back=True), picture)


def test_head_is_closed_once_its_seams_are_welded(mesh: Mesh) -> None:
    assert is_closed(weld(mesh).triangles)


def test_head_is_as_large_as_a_head_with_its_neck(mesh: Mesh) -> None:
    a, b, c = (mesh.vertices[mesh.triangles[:, k]].astype(np.float64) for k in range(3))
    volume_m3 = float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6.0
    assert 0.003 < volume_m3 < 0.012


def test_front_has_the_pictures_colours(
    mesh: Mesh, face: FaceReconstruction, picture: BgrImage
) -> None:
    marks = face.landmarks68_camera
    assert marks is not None
    for mark in (27, 28, 29, 30):  # down the nose
        nearest = np.linalg.norm(mesh.vertices - marks[mark], axis=1).argmin()
        column, row = np.rint(face.landmarks68_px[mark]).astype(int)
        patch = picture[row - 1 : row + 2, column - 1 : column + 2, ::-1].mean(axis=(0, 1))
        assert np.abs(patch - mesh.colors[nearest]).max() < 60


def test_back_of_the_head_is_hair(mesh: Mesh) -> None:
    behind = mesh.vertices[:, 2] > np.quantile(mesh.vertices[:, 2], 0.98)
    high = mesh.vertices[:, 1] < np.median(mesh.vertices[:, 1])
    hair = mesh.colors[behind & high].mean(axis=0)
    assert (hair < 150).all()
    assert hair[0] > hair[2]  # brown


def test_smoothed_head_stays_closed(face: FaceReconstruction, picture: BgrImage) -> None:
    mesh = face_mesh(face, MeshOptions(back=True, smooth=5), picture)
    assert mesh.texture is not None
    assert is_closed(weld(mesh).triangles)


def test_decimated_head_stays_closed(face: FaceReconstruction, picture: BgrImage) -> None:
    pytest.importorskip("open3d")
    mesh = face_mesh(face, MeshOptions(back=True, decimate=4000), picture)
    assert len(mesh.triangles) <= 4000
    assert is_closed(weld(mesh).triangles)
