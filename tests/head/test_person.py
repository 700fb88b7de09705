"""A whole head of a person, of one picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtrecon.errors import DataError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.fit import fit_head
from rtrecon.head.person import PersonHead, person_head
from rtrecon.head.view import project
from rtrecon.pipeline import reconstruct


@pytest.fixture(scope="module")
def face(shared_data: Path) -> FaceReconstruction:
    return reconstruct(shared_data / "faces" / "astronaut.png", passes=1)[0]


@pytest.fixture(scope="module")
def head(face: FaceReconstruction) -> PersonHead:
    return person_head(face, fit_head(face), texture_px=512)


def test_head_is_near_the_depth_where_it_is_seen(
    face: FaceReconstruction, head: PersonHead
) -> None:
    narrow = head.vertices_camera[:6706]
    pixels = face.crop.to_crop(project(narrow, face.intrinsics).astype(np.float32))
    x, y = np.rint(pixels).astype(int).T
    apart = np.abs(face.grid.points_camera[y, x, 2] - narrow[:, 2])[face.grid.valid[y, x]]
    assert np.median(apart) < 0.002


def test_same_again(face: FaceReconstruction, head: PersonHead) -> None:
    again = person_head(face, fit_head(face), texture_px=512)
    np.testing.assert_array_equal(again.vertices, head.vertices)
    np.testing.assert_array_equal(again.texture, head.texture)


def test_counts_that_do_not_fit_are_refused(face: FaceReconstruction) -> None:
    with pytest.raises(DataError, match="as many"):
        person_head([face, face], fit_head(face))
    with pytest.raises(DataError, match="4096"):
        person_head(face, fit_head(face), texture_px=10_000)
