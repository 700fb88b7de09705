from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import rtrecon
from rtrecon.commands.avatar import AvatarConfig, run_avatar
from rtrecon.errors import DataError, ModelError, OutputError, UserError
from rtrecon.head import model as head_model_module


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    clip = Path(__file__).parents[2] / "rtrecon" / "data" / "demo.mp4"
    capture = cv2.VideoCapture(str(clip))
    done, image = capture.read()
    capture.release()
    assert done
    return image


@pytest.fixture
def picture(tmp_path: Path, portrait: np.ndarray) -> Path:
    path = tmp_path / "anna.png"
    cv2.imwrite(str(path), portrait)
    return path


@pytest.fixture
def avatar(
    dome_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[dict[str, Any], Path]]]:
    def command(source: object, out: str = "me.glb", **options: Any) -> tuple[dict[str, Any], Path]:
        path = tmp_path / out
        config = AvatarConfig(
            source=str(source),
            out=[path],
            model=str(dome_model),
            provider="cpu",
            threads=1,
            texture_size=256,
            **options,
        )
        assert run_avatar(config) == 0
        return json.loads(capsys.readouterr().out), path

    return command


def document(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    size = struct.unpack_from("<I", content, 12)[0]
    return json.loads(content[20 : 20 + size])


def test_a_picture_becomes_a_rigged_head(avatar: Any, picture: Path) -> None:
    line, path = avatar(picture)
    assert line["faces"] == 1
    assert line["files"] == [str(path)]
    assert len(line["yaws_deg"]) == 1
    read = document(path)
    assert len(read["meshes"][0]["extras"]["targetNames"]) == 52
    own = read["scenes"][0]["extras"]["rtrecon"]
    assert own["views"] == 1
    assert "MIT" in own["head_model"]
    assert len(own["landmarks68_m"]) == 68


def test_vrm_has_the_names_that_were_given(avatar: Any, picture: Path) -> None:
    _, path = avatar(picture, "me.vrm", name="Anna", author="Anna B.", allow="use,modify")
    meta = document(path)["extensions"]["VRMC_vrm"]["meta"]
    assert (meta["name"], meta["authors"]) == ("Anna", ["Anna B."])
    assert meta["avatarPermission"] == "everyone"
    assert meta["modification"] == "allowModification"
    _, path = avatar(picture, "old.vrm", vrm=0)
    assert document(path)["extensions"]["VRM"]["meta"]["title"] == "old"


def test_obj_has_its_material_and_pictures(avatar: Any, picture: Path) -> None:
    line, path = avatar(picture, "me.obj")
    names = {Path(file).name for file in line["files"]}
    assert names == {"me.obj", "me.mtl", "me.texture.jpg", "me.lashes.png"}
    trimesh = pytest.importorskip("trimesh")
    read = trimesh.load(path, force="scene")
    low, high = read.bounds
    assert 0.25 < high[1] - low[1] < 0.45  # a head with its neck, in metres


def test_a_film_is_looked_at_for_a_while(avatar: Any) -> None:
    line, _ = avatar("demo", seconds=0.5)
    assert line["faces"] == 1
    assert abs(line["yaws_deg"][0]) < 30


def test_of_two_the_largest_unless_another_is_named(
    avatar: Any, portrait: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = cv2.resize(portrait, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    small = cv2.copyMakeBorder(small, 0, portrait.shape[0] - small.shape[0], 0, 0, 0)
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), np.hstack([small, portrait]))
    caplog.set_level("INFO", logger="rtrecon")
    line, _ = avatar(path)
    assert line["faces"] == 2
    assert line["box_px"][0] > small.shape[1]
    assert any("2 faces" in message and "largest" in message for message in caplog.messages)
    line, _ = avatar(path, "other.glb", face=1)
    assert line["box_px"][0] < small.shape[1]
    with pytest.raises(DataError, match="has 2 faces"):
        avatar(path, "third.glb", face=2)


def test_no_face_is_refused_and_leaves_nothing(avatar: Any, tmp_path: Path) -> None:
    path = tmp_path / "wall.png"
    cv2.imwrite(str(path), np.full((240, 320, 3), 128, np.uint8))
    with pytest.raises(DataError, match="no face"):
        avatar(path)
    assert not (tmp_path / "me.glb").exists()


def test_a_film_without_a_face_is_refused(avatar: Any, tmp_path: Path) -> None:
    folder = tmp_path / "walls"
    folder.mkdir()
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.png"), np.full((240, 320, 3), 128, np.uint8))
    with pytest.raises(DataError, match="no face"):
        avatar(folder)


def test_half_a_face_is_refused(avatar: Any, portrait: np.ndarray, tmp_path: Path) -> None:
    faces = rtrecon.detect_faces(portrait)
    x0, _, x1, _ = faces[0].box_px
    path = tmp_path / "half.png"
    cv2.imwrite(str(path), portrait[:, int(0.45 * x0 + 0.55 * x1) :])
    with pytest.raises(DataError, match=r"no face|in the picture"):
        avatar(path)


def test_nothing_is_replaced_unless_asked(avatar: Any, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "me.glb").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        avatar(picture)
    assert (tmp_path / "me.glb").read_text() == "mine"
    avatar(picture, overwrite=True)
    assert (tmp_path / "me.glb").read_bytes()[:4] == b"glTF"


def test_a_missing_folder_is_known_before_the_work(avatar: Any, picture: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        avatar(picture, "none/me.glb")


def test_a_damaged_head_model_is_said(
    avatar: Any, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "head"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text('{"files": {"head.npz": {"sha256": "0"}}}')
    (folder / "head.npz").write_bytes(b"nothing")
    monkeypatch.setattr(head_model_module, "model_folders", lambda: [tmp_path / "models"])
    head_model_module.head_model.cache_clear()
    try:
        with pytest.raises(ModelError, match="damaged"):
            avatar(picture)
    finally:
        head_model_module.head_model.cache_clear()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"out": [Path("me.fbx")]}, r"\.vrm"),
        ({"out": []}, "--out"),
        ({"out": [Path("me.glb")], "face": 10}, "--face"),
        ({"out": [Path("me.glb")], "seconds": 0.0}, "--seconds"),
        ({"out": [Path("me.glb")], "texture_size": 5000}, "--texture-size"),
        ({"out": [Path("me.vrm")], "allow": "all"}, "--allow"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        AvatarConfig(source="x.jpg", **options)


def test_the_library_saves_it_too(dome_model: Path, portrait: np.ndarray, tmp_path: Path) -> None:
    with rtrecon.Reconstructor(model=str(dome_model), provider="cpu", temporal=False) as recon:
        face = recon(portrait)[0]
    rtrecon.save_avatar(face, tmp_path / "me.glb", pictures=portrait, texture_px=256)
    assert document(tmp_path / "me.glb")["skins"]
    with pytest.raises(DataError, match=r"\.glb"):
        rtrecon.save_avatar(face, tmp_path / "me.stl")


@pytest.mark.parametrize("others", [["me.obj"], ["./me.obj"], ["sub/../me.obj"]])
def test_a_file_is_not_written_twice(tmp_path: Path, others: list[str]) -> None:
    with pytest.raises(UserError, match=r"me\.(obj|texture\.jpg) would be written twice"):
        AvatarConfig(source="demo", out=[tmp_path / name for name in ["me.obj", *others]])


def test_textures_of_an_obj_are_not_replaced_and_that_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "me.mtl").write_text("mine")
    config = AvatarConfig(source="no such thing", out=[tmp_path / "me.obj"])
    with pytest.raises(OutputError, match=r"me\.mtl is there already: use --overwrite"):
        run_avatar(config)
    assert (tmp_path / "me.mtl").read_text() == "mine"
