from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import rtrecon
from rtrecon.commands.image import FORMATS, ImageConfig, run_image
from rtrecon.errors import DataError, OutputError, UserError
from rtrecon.files import Draft


@pytest.fixture(scope="module")
def portrait() -> Any:
    """A frame of the bundled clip: one head."""
    clip = Path(__file__).parents[2] / "rtrecon" / "data" / "demo.mp4"
    capture = cv2.VideoCapture(str(clip))
    done, image = capture.read()
    capture.release()
    assert done
    return image


@pytest.fixture
def pictures(tmp_path: Path, portrait: Any) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "anna.png"), portrait)
    return folder


@pytest.fixture
def image_command(
    dome_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Any]:
    def command(*paths: Path, **options: Any) -> tuple[int, list[dict[str, Any]], Path]:
        out = options.pop("out", tmp_path / "out")
        config = ImageConfig(
            paths=[str(p) for p in paths],
            out=out,
            model=str(dome_model),
            provider="cpu",
            threads=1,
            **options,
        )
        code = run_image(config)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return code, [line for line in lines if "error" not in line], out

    return command


def test_writes_every_format(image_command: Any, pictures: Path) -> None:
    code, lines, out = image_command(pictures, all=True)
    assert code == 0
    names = {p.name for p in out.iterdir()}
    assert names == {
        *(f"anna.face0.{suffix}" for suffix in FORMATS),
        "anna.face0.mtl",
        "anna.face0.texture.png",
    }
    assert len(lines) == 1
    line = lines[0]
    assert {Path(f).name for f in line["files"]} == names
    assert line["picture"].endswith("anna.png")
    assert line["face"] == 0
    assert 0.1 < line["distance_m"] < 3
    assert line["intrinsics"] == "assumed"
    with np.load(out / "anna.face0.npz", allow_pickle=False) as data:
        assert data["depth_m"].shape == (480, 640)
        np.testing.assert_allclose(data["box_px"], line["box_px"], atol=0.01)
    assert cv2.imread(str(out / "anna.face0.png")) is not None


def test_many_faces_in_one_picture(image_command: Any, portrait: Any, tmp_path: Path) -> None:
    path = tmp_path / "two.png"
    small = cv2.resize(portrait, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    small = cv2.copyMakeBorder(small, 0, portrait.shape[0] - small.shape[0], 0, 0, 0)
    cv2.imwrite(str(path), np.hstack([small, portrait]))
    code, lines, out = image_command(path, formats="ply")
    assert code == 0
    assert [line["face"] for line in lines] == [0, 1]
    assert lines[0]["box_px"][0] > lines[1]["box_px"][0]  # the larger first
    assert {p.name for p in out.iterdir()} == {"two.face0.ply", "two.face1.ply"}
    _, lines, _ = image_command(path, formats="none", faces=1)
    assert len(lines) == 1


def test_goes_on_past_what_fails(
    image_command: Any, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "aaa.jpg").write_bytes(b"hello")
    (pictures / "bbb.png").write_bytes(b"")
    cv2.imwrite(str(pictures / "nobody.png"), np.full((200, 200, 3), 128, np.uint8))
    code, lines, out = image_command(pictures, formats="ply")
    assert code == 1
    assert [Path(line["picture"]).name for line in lines] == ["anna.png"]
    assert [p.name for p in out.iterdir()] == ["anna.face0.ply"]
    for name, reason in (("aaa", "not a picture"), ("bbb", "empty"), ("nobody", "no face")):
        assert any(name in m and reason in m for m in caplog.messages), name


def test_nothing_is_replaced_without_overwrite(
    image_command: Any, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = pictures.parent / "out"
    out.mkdir()
    there = out / "anna.face0.glb"
    there.write_text("mine")
    code, lines, _ = image_command(pictures, formats="ply,glb")
    assert (code, lines) == (1, [])
    assert there.read_text() == "mine"
    assert [p.name for p in out.iterdir()] == ["anna.face0.glb"]
    assert "--overwrite" in caplog.text
    code, lines, _ = image_command(pictures, formats="ply,glb", overwrite=True)
    assert code == 0
    assert there.read_bytes().startswith(b"glTF")


def test_two_pictures_of_one_stem(
    image_command: Any, pictures: Path, portrait: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(pictures / "Anna.webp"), portrait)
    code, lines, out = image_command(pictures, formats="ply", overwrite=True)
    assert code == 1
    assert len(lines) == 1
    assert "rename" in caplog.text
    assert len(list(out.iterdir())) == 1


def test_formats_none_writes_nothing(image_command: Any, pictures: Path) -> None:
    code, lines, out = image_command(pictures, formats="none")
    assert code == 0
    assert lines[0]["files"] == []
    assert not out.exists()


def test_full_disk_leaves_nothing_half_written(
    image_command: Any,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = Draft.open

    def full(self: Draft) -> Any:
        if self.path.suffix == ".npz":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self)

    monkeypatch.setattr(Draft, "open", full)
    code, lines, out = image_command(pictures, formats="ply,npz")
    assert (code, lines) == (1, [])
    assert list(out.iterdir()) == []
    assert "No space left" in caplog.text


def test_folder_that_cannot_be(image_command: Any, pictures: Path) -> None:
    with pytest.raises(OutputError, match="cannot make folder"):
        image_command(pictures, out=pictures / "anna.png")


def test_given_and_found_cameras(image_command: Any, pictures: Path) -> None:
    _, wide, _ = image_command(pictures, formats="none", fov=80.0)
    _, narrow, _ = image_command(pictures, formats="none", fov=40.0)
    assert wide[0]["intrinsics"] == "fov"
    assert narrow[0]["distance_m"] > 1.8 * wide[0]["distance_m"]


def test_every_command_reads_the_cameras_focal_length(
    image_command: Any, tmp_path: Path, portrait: Any, dome_model: Path, run_cli: Any
) -> None:
    """`run` and `image`, and the library, put one picture at one distance."""
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    Image.fromarray(portrait[..., ::-1]).save(path, quality=97, exif=exif)
    _, (line,), _ = image_command(path, formats="none", passes=1)
    assert line["intrinsics"] == "exif"
    folder = tmp_path / "take"
    code, _, err = run_cli(
        *("run", path, "--model", dome_model, "--view", "none"),
        *("--record", folder, "--every-frame"),
    )
    assert code == 0, err
    assert "assumed" not in err
    pose = json.loads((folder / "poses.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (face,) = pose["faces"]
    assert face["z_ref_m"] == pytest.approx(line["distance_m"], rel=0.03)
    (face,) = rtrecon.reconstruct(path, model=dome_model, passes=1)
    assert face.z_ref_m == pytest.approx(line["distance_m"], rel=0.01)
    (face,) = rtrecon.reconstruct(path, model=dome_model, passes=1, fov_deg=40)
    assert face.z_ref_m > 1.8 * line["distance_m"]


def test_stats(image_command: Any, pictures: Path, tmp_path: Path) -> None:
    (pictures / "aaa.jpg").write_bytes(b"hello")
    image_command(pictures, formats="none", stats=tmp_path / "stats.json")
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert (stats["pictures"], stats["failed"], stats["faces"]) == (2, 1, 1)
    assert stats["model"] == "dome"
    assert stats["stage_ms"]["depth"]["p50"] > 0


@pytest.mark.parametrize(
    "options",
    [
        {"formats": "fbx"},
        {"passes": 0},
        {"passes": 99},
        {"min_face_px": 3},
        {"smooth": -1},
        {"decimate": 3},
        {"faces": 0},
    ],
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        ImageConfig(paths=["a.jpg"], **options)


def test_missing_path(image_command: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no picture .*gone\.jpg"):
        image_command(tmp_path / "gone.jpg")
