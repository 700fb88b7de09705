from __future__ import annotations

import builtins
import math
import struct
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from rtrecon.capture import picture_pixels, pictures
from rtrecon.capture.pictures import find_pictures, read_picture
from rtrecon.errors import DataError, MissingExtraError


def gradient(width: int = 64, height: int = 48) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Blue grows to the right, green downward."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[:, :, 0] = np.linspace(0, 255, width).astype(np.uint8)[None]
    image[:, :, 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return image


def encoded(suffix: str, image: np.ndarray[Any, Any] | None = None) -> bytes:
    return cv2.imencode(suffix, gradient() if image is None else image)[1].tobytes()


def exif_block(order: str, orientation: int, focal: int, size: tuple[int, int]) -> bytes:
    """A TIFF structure with one directory and its EXIF directory."""
    mark = b"II" if order == "<" else b"MM"

    def entry(tag: int, kind: int, value: int) -> bytes:
        packed = struct.pack(
            order + ("HH" if kind == 3 else "I"), *([value, 0] if kind == 3 else [value])
        )
        return struct.pack(order + "HHI", tag, kind, 1) + packed

    main = [entry(0x0112, 3, orientation), entry(0x8769, 4, 8 + 2 + 24 + 4)]
    inner = [entry(0xA002, 4, size[0]), entry(0xA003, 4, size[1]), entry(0xA405, 3, focal)]
    block = mark + struct.pack(order + "HI", 42, 8)
    for entries in (main, inner):
        block += struct.pack(order + "H", len(entries)) + b"".join(entries)
        block += struct.pack(order + "I", 0)
    return block


def jpeg_with_exif(block: bytes) -> bytes:
    data = encoded(".jpg")
    payload = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp"])
def test_reads_usual_formats(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix))
    picture = read_picture(path)
    assert picture.image.shape == (48, 64, 3)
    assert np.abs(picture.image.astype(int) - gradient()).mean() < 6
    assert picture.fov_deg is None
    assert picture.intrinsics is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_turns_upright_and_gives_the_angle(tmp_path: Path, order: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_exif(exif_block(order, 6, 26, (4000, 3000))))
    picture = read_picture(path)
    assert picture.image.shape == (64, 48, 3)  # turned by a quarter
    assert picture.fov_deg == pytest.approx(2 * math.degrees(math.atan(21.633 / 26)), abs=0.01)
    camera = picture.intrinsics
    assert camera is not None
    assert (camera.width, camera.height) == (48, 64)
    assert camera.fx == pytest.approx(40 * 26 / 21.633, rel=1e-3)  # half the diagonal is 40 px


def test_cropped_picture_has_no_angle(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_exif(exif_block("<", 1, 26, (4000, 2000))))
    assert read_picture(path).fov_deg is None


@pytest.mark.parametrize("cut", [9, 20, 31, 45, 60])
def test_damaged_exif_counts_as_none(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_exif(exif_block("<", 1, 26, (4000, 3000))[:cut]))
    assert read_picture(path).fov_deg is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_cut_short(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(suffix, noise)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=r"a\.\w+ is cut short"):
        read_picture(path)


def test_empty_and_not_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        read_picture(path)
    path.write_bytes(b"hello")
    with pytest.raises(DataError, match="not a picture"):
        read_picture(path)


def test_too_wide_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png", np.zeros((20, 50000, 3), np.uint8)))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="50000x20"):
        read_picture(path)


def test_a_limit_of_pixels_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png", np.zeros((300, 400, 3), np.uint8)))
    limit = Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(pictures, "MAX_PIXELS", 119_999)
    with pytest.raises(DataError, match="400x300"):
        read_picture(path)
    monkeypatch.setattr(pictures, "MAX_PIXELS", 120_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own does not get in the way
    assert read_picture(path).image.shape == (300, 400, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000
    assert limit is not None


def levels(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """A picture that grows to the right from 0 to the type's most."""
    most = np.iinfo(dtype).max
    ramp = np.linspace(0, most, shape[1]).astype(dtype)
    return np.broadcast_to(ramp.reshape(1, -1, *[1] * (len(shape) - 2)), shape).copy()


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_alpha_and_sixteen_bit(
    tmp_path: Path, suffix: str, channels: int, dtype: npt.DTypeLike
) -> None:
    shape = (40, 64) if channels == 1 else (40, 64, channels)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix, levels(shape, dtype)))
    image = read_picture(path).image
    assert image.shape == (40, 64, 3)
    wanted = levels((40, 64, 3), np.uint8).astype(int)
    if channels == 4:  # as clear as it is dark, and white behind
        wanted = wanted * wanted // 255 + 255 - wanted
    assert np.abs(image.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I", "F"])
def test_every_mode_of_pillow(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode in ("CMYK", "I", "F") else "a.png")
    white = 65535 if mode == "I" else 1.0 if mode == "F" else None
    picture = Image.new("RGB", (32, 20), (255, 255, 255)).convert("L" if white else mode)
    if white is not None:
        picture = Image.new(mode, (32, 20), white)
    picture.save(path)
    image = read_picture(path).image
    assert image.shape == (20, 32, 3)
    assert image.min() >= 254


def test_large_pictures_come_together_from_their_strips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png", gradient(640, 481)))
    monkeypatch.setattr(picture_pixels, "_STRIP_PX", 640 * 7)
    np.testing.assert_array_equal(read_picture(path).image, gradient(640, 481))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_brought_upright(tmp_path: Path, orientation: int) -> None:
    """As OpenCV does it, which reads orientations of its own accord."""
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with_exif(exif_block("<", orientation, 26, (64, 48))))
    expected = cv2.imread(str(path))
    image = read_picture(path).image
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= 3


def test_whatever_a_decoder_throws_is_that_pictures_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png"))

    def fail(*_: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr(Image.Image, "load", fail)
    with pytest.raises(DataError, match=r"a\.png is cut short or damaged \(deep inside\)"):
        read_picture(path)


def test_too_small(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(".png", np.zeros((8, 8, 3), np.uint8)))
    with pytest.raises(DataError, match="too few"):
        read_picture(path)


def test_heic_without_a_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(b"....ftypheic")
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "pillow_heif", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"rtrecon\[heic\]"):
        read_picture(path)


def test_heic_with_the_library(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "a.heic"
    image = gradient(128, 96)
    pillow_heif.from_bytes("RGB", (128, 96), image[:, :, ::-1].tobytes()).save(path, quality=90)
    assert np.abs(read_picture(path).image.astype(int) - image).mean() < 6
    for length in (200, len(path.read_bytes()) - 300):
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(DataError, match=r"HEIC|cut short"):
            read_picture(path)


def test_grey_heic_and_its_exif(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    path = tmp_path / "a.heic"
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 26
    Image.radial_gradient("L").resize((96, 64)).save(path, quality=90, exif=exif)
    picture = read_picture(path)
    assert picture.image.shape == (64, 96, 3)
    assert (picture.image == picture.image[..., :1]).all()
    assert picture.fov_deg is not None


def test_find_pictures(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.txt", "deep/d.webp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    found = find_pictures([str(tmp_path), str(tmp_path / "**/*.webp"), str(tmp_path / "b.jpg")])
    assert [p.name for p in found] == ["a.PNG", "b.jpg", "d.webp"]
    # A file that is named is taken at its word; whether it is a picture shows later.
    assert find_pictures([str(tmp_path / "c.txt")])[0].name == "c.txt"
    with pytest.raises(DataError, match="no picture"):
        find_pictures([str(tmp_path / "*.gif")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture"):
        find_pictures([str(tmp_path / "empty")])
