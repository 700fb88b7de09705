"""What a picture says of its geometry is used, in every format, or not used with a word."""

from __future__ import annotations

import logging
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from rtrecon.capture.pictures import Picture, picture_size, read_picture
from rtrecon.capture.sources import open_source
from rtrecon.errors import DataError
from tests.faults.pictures import corner_marked, encoded, exif

FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"]


def needs(kind: str) -> None:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")


def read(tmp_path: Path, content: bytes, name: str = "a.picture") -> Picture:
    path = tmp_path / name
    path.write_bytes(content)
    picture = read_picture(path)
    assert picture_size(path) == picture.image.shape[1::-1]
    return picture


def tiff_with_exif(orientation: int, focal_35mm: int) -> bytes:
    """A grey TIFF with an EXIF directory, as cameras and raw developers write them."""
    width, height = 64, 48
    pixels = np.ascontiguousarray(corner_marked(width, height)[..., 0]).tobytes()
    entries = [
        (256, 3, width),
        (257, 3, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (274, 3, orientation),
        (277, 3, 1),
        (278, 3, height),
        (279, 4, len(pixels)),
        (34665, 4, 8 + len(pixels) + 2 + 12 * 11 + 4),
    ]

    def directory(rows: list[tuple[int, int, int]]) -> bytes:
        packed = [struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in rows]
        return struct.pack("<H", len(rows)) + b"".join(packed) + bytes(4)

    inner = directory([(0xA405, 3, focal_35mm)])
    return struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels + directory(entries) + inner


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_turned_upright_and_once(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    needs(kind)
    image = corner_marked()
    turned = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, -1),
        7: np.rot90(image, 2).transpose(1, 0, 2),
        8: np.rot90(image),
    }[orientation]
    upright = read(tmp_path, encoded(image, kind, exif=exif(orientation))).image
    assert upright.shape == turned.shape
    assert np.abs(upright.astype(int) - turned).mean() < 8


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("TIFF", "AVIF")])
def test_every_format_gives_its_lens(tmp_path: Path, kind: str) -> None:
    needs(kind)
    picture = read(tmp_path, encoded(corner_marked(), kind, exif=exif(6, focal_35mm=26)))
    assert picture.fov_deg == pytest.approx(2 * math.degrees(math.atan(21.633 / 26)), abs=0.01)
    assert picture.intrinsics is not None
    assert (picture.intrinsics.width, picture.intrinsics.height) == (48, 64)


def test_a_tiff_gives_its_lens_and_is_turned_once(tmp_path: Path) -> None:
    picture = read(tmp_path, tiff_with_exif(6, 26))
    assert picture.image.shape == (64, 48, 3)
    assert picture.image[:30, 26:].min() > 250
    assert picture.fov_deg == pytest.approx(2 * math.degrees(math.atan(21.633 / 26)), abs=0.01)


def test_a_lens_by_the_size_of_its_sensor(tmp_path: Path) -> None:
    """35 mm on a sensor of 24 by 18 mm, scaled down since: 40 px of half diagonal are 15 mm."""
    tags = exif(focal_mm=35.0, per_cm=4000 / 2.4, size=(4000, 3000))
    picture = read(tmp_path, encoded(corner_marked(), "JPEG", exif=tags))
    assert picture.intrinsics is not None
    assert picture.intrinsics.fx == pytest.approx(40 * 35.0 / 15.0, rel=1e-3)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (exif(focal_mm=4.2), "not for which size of sensor"),
        (exif(focal_35mm=26, size=(4000, 2000)), "cropped"),
        (exif(focal_35mm=3), "3 mm"),
        (exif(9), "orientation of 9"),
    ],
)
def test_what_is_not_used_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tags: Image.Exif, said: str
) -> None:
    with caplog.at_level(logging.INFO, "rtrecon"):
        picture = read(tmp_path, encoded(corner_marked(), "JPEG", exif=tags))
    assert picture.fov_deg is None
    assert any(said in message and "a.picture" in message for message in caplog.messages)


def test_the_contents_decide_not_the_suffix(tmp_path: Path) -> None:
    jpeg = encoded(corner_marked(), "JPEG", exif=exif(6))
    for name in ("a.heic", "a.png", "a.mp4", "a"):
        assert read(tmp_path, jpeg, name).image.shape == (64, 48, 3)
        source = open_source(tmp_path / name)
        assert (source.width, source.height, source.frame_count) == (48, 64, 1)
        source.close()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\0\0\0\x18ftypisom" + bytes(90), "video"),
        (b"\x1aE\xdf\xa3" + bytes(90), "video"),
        (b"<!DOCTYPE html><html>404", "web page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),  # Pillow would run Ghostscript on it
        (b"8BPS" + bytes(60), "Photoshop"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60), "JPEG 2000"),
    ],
)
def test_other_kinds_are_named(tmp_path: Path, head: bytes, said: str) -> None:
    (tmp_path / "a.jpg").write_bytes(head)
    with pytest.raises(DataError, match=rf"a\.jpg is an? .*{said}"):
        read_picture(tmp_path / "a.jpg")


def jfif_of(unit: int, x: int, y: int) -> bytes:
    data = bytearray(encoded(corner_marked(), "JPEG"))
    at = data.find(b"JFIF\0") + 7
    data[at : at + 5] = struct.pack(">BHH", unit, x, y)
    return bytes(data)


def gif_with_aspect(code: int) -> bytes:
    data = bytearray(encoded(corner_marked(), "GIF"))
    data[12] = code
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (jfif_of(0, 2, 1), (128, 48)),  # pixels twice as wide as high
        (jfif_of(0, 1, 2), (64, 96)),
        (jfif_of(1, 150, 300), (128, 48)),  # half as many to the inch across
        (jfif_of(1, 300, 300), (64, 48)),
        (jfif_of(0, 0, 0), (64, 48)),
        (encoded(corner_marked(), "PNG", dpi=(150, 300)), (128, 48)),
        (encoded(corner_marked(), "TIFF", dpi=(204, 102)), (64, 96)),
        (encoded(corner_marked(), "BMP", dpi=(150, 300)), (128, 48)),
        (gif_with_aspect(113), (128, 48)),
        (gif_with_aspect(49), (64, 48)),
    ],
)
def test_pixels_that_are_not_square_become_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, size: tuple[int, int]
) -> None:
    with caplog.at_level(logging.INFO, "rtrecon"):
        image = read(tmp_path, content).image
    assert image.shape[1::-1] == size
    assert image[: size[1] // 2 - 2, : size[0] // 2 - 2].min() > 240
    said = any("pixels" in m and f"stretched to {size[0]}x{size[1]}" in m for m in caplog.messages)
    assert said == (size != (64, 48))


def test_shapes_of_pixels_that_cannot_be_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rtrecon"):
        assert read(tmp_path, jfif_of(0, 1000, 1)).image.shape == (48, 64, 3)
    assert any("taken for square" in message for message in caplog.messages)


def rgba(alpha: Any) -> Any:
    image = Image.fromarray(np.full((32, 40, 3), 100, np.uint8)).convert("RGBA")
    image.putalpha(Image.fromarray(np.asarray(alpha, np.uint8)))
    return image


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_is_not_seen(tmp_path: Path, kind: str) -> None:
    alpha = np.zeros((32, 40))
    alpha[:, 20:] = 255
    path = tmp_path / "a"
    rgba(alpha).save(path, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    image = read_picture(path).image
    assert (image[:, :20] == 255).all()  # whatever lies under it
    assert (image[:, 20:] == 100).all()


def test_a_wholly_transparent_picture_says_so(tmp_path: Path) -> None:
    rgba(np.zeros((32, 40))).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: .*transparent"):
        read_picture(tmp_path / "a.png")


def test_of_an_animation_the_first_is_read_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = [Image.new("RGB", (40, 32), colour) for colour in ("red", "green", "blue")]
    more[0].save(tmp_path / "a.gif", save_all=True, append_images=more[1:])
    with caplog.at_level(logging.INFO, "rtrecon"):
        image = read_picture(tmp_path / "a.gif").image
    assert (image[0, 0] == (0, 0, 255)).all()
    assert any("has 3 pictures" in message for message in caplog.messages)
