from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.bench.memory_source import MemorySource, forth_and_back
from rtrecon.bench.pictures import Footage, load_footage, tile_grid, write_pictures
from rtrecon.capture.sources import DEMO_CLIP
from rtrecon.errors import DataError
from rtrecon.faces.mtcnn import Mtcnn


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pictures of the clip as a folder."""
    folder = tmp_path_factory.mktemp("clip")
    video = cv2.VideoCapture(str(DEMO_CLIP))
    for k in range(6):
        _, image = video.read()
        cv2.imwrite(str(folder / f"{k}.png"), image)
    video.release()
    return folder


@pytest.fixture(scope="module")
def footage(clip: Path) -> Footage:
    return load_footage(str(clip))


def test_the_face_is_found_beforehand(footage: Footage) -> None:
    assert footage.size_px == (640, 480)
    assert len(footage.pictures) == 6
    assert footage.faces == 1
    x0, y0, x1, y1 = footage.face_box_px
    assert 100 < x0 < x1 < 540
    assert 50 < y0 < y1 < 430


def test_a_source_without_a_face_is_refused(tmp_path: Path) -> None:
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"{k}.png"), np.full((120, 160, 3), 40 * k, np.uint8))
    with pytest.raises(DataError, match="no face is found") as caught:
        load_footage(str(tmp_path))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("size_px", "faces"), [((640, 480), 1), ((960, 540), 1), ((640, 480), 3), ((1280, 720), 4)]
)
def test_so_many_faces_are_in_the_picture(
    footage: Footage, tmp_path: Path, size_px: tuple[int, int], faces: int
) -> None:
    path = tmp_path / "pictures.npy"
    shape = write_pictures(footage, size_px, faces, path)
    pictures = np.load(path, allow_pickle=False)
    assert pictures.shape == shape == (6, size_px[1], size_px[0], 3)
    found = Mtcnn().detect_live(pictures[2], 60)
    assert len(found) == faces
    eyes = np.stack([face.landmarks_px[:2] for face in found])
    spread = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)
    assert spread.min() > 0.8 * spread.max()  # all of one size


def test_the_native_size_is_not_touched(footage: Footage, tmp_path: Path) -> None:
    path = tmp_path / "pictures.npy"
    write_pictures(footage, (640, 480), 1, path)
    np.testing.assert_array_equal(np.load(path)[3], footage.pictures[3])


def test_faces_that_would_be_too_small_are_refused(footage: Footage, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="of 36 faces"):
        write_pictures(footage, (320, 240), 36, tmp_path / "pictures.npy")


@pytest.mark.parametrize(
    ("faces", "grid"), [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (6, (3, 2)), (5, (3, 2))]
)
def test_grids_hold_their_faces(faces: int, grid: tuple[int, int]) -> None:
    assert tile_grid(faces, (640, 480)) == grid


def test_a_memory_camera_goes_forth_and_back() -> None:
    assert [forth_and_back(k, 4) for k in range(9)] == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert [forth_and_back(k, 1) for k in range(3)] == [0, 0, 0]
    pictures = np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    with MemorySource(pictures, 30.0, 7) as source:
        values = [int(frame.image[0, 0, 0]) for frame in source]
    assert values == [0, 1, 2, 1, 0, 1, 2]
