from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rtrecon
from rtrecon.errors import DataError, RtreconError


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    with rtrecon.open_source("demo") as source:
        return next(iter(source)).image


def test_a_picture_and_its_file_give_the_same(
    dome_model: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), picture)
    (from_array,) = rtrecon.reconstruct(picture, model=dome_model)
    (from_file,) = rtrecon.reconstruct(path, model=dome_model)
    np.testing.assert_array_equal(from_array.points_camera, from_file.points_camera)


def test_a_reconstructor_takes_arrays_files_and_pillows_pictures(
    dome_model: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), picture)
    recon = rtrecon.Reconstructor(dome_model, temporal=False)
    with Image.open(path) as pillow:
        given = (picture, path, str(path), pillow)
        first, *others = [recon(one)[0].points_camera for one in given]
    for other in others:
        np.testing.assert_array_equal(first, other)
    with pytest.raises(DataError, match=r"missing\.png"):
        recon("missing.png")
    with pytest.raises(DataError, match="not list"):
        recon([picture])  # type: ignore[arg-type]


def test_tiny_faces_are_found_when_asked_for(dome_model: Path, picture: np.ndarray) -> None:
    (face,) = rtrecon.detect_faces(picture)
    scale = 16.0 / float((face.box_px[2:] - face.box_px[:2]).min())
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert rtrecon.reconstruct(small, model=dome_model) == []
    assert len(rtrecon.reconstruct(small, model=dome_model, min_face_px=20)) == 1


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".glb", ".npz"])
def test_saving_goes_by_the_suffix(
    dome_model: Path, picture: np.ndarray, tmp_path: Path, suffix: str
) -> None:
    (face,) = rtrecon.reconstruct(picture, model=dome_model)
    path = tmp_path / f"face{suffix}"
    rtrecon.save(face, path)
    assert path.stat().st_size > 1000


def test_what_imread_answers_for_a_missing_file_is_refused(dome_model: Path) -> None:
    with pytest.raises(DataError, match="not NoneType"):
        rtrecon.reconstruct(cv2.imread("missing.png"), model=dome_model)  # type: ignore[arg-type]


def test_another_suffix_is_refused(dome_model: Path, picture: np.ndarray, tmp_path: Path) -> None:
    (face,) = rtrecon.reconstruct(picture, model=dome_model)
    with pytest.raises(DataError, match="fbx"):
        rtrecon.save(face, tmp_path / "face.fbx")


def test_show_without_a_display_names_the_remedy(
    dome_model: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr("rtrecon.outputs.window.display.sys.platform", "linux")
    (face,) = rtrecon.reconstruct(picture, model=dome_model)
    with pytest.raises(RtreconError, match="save"):
        rtrecon.show(face)
