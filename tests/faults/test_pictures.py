"""Pictures that are damaged, huge or no files: refused by name, before they cost anything."""

from __future__ import annotations

import os
import resource
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rtrecon.capture.pictures import find_pictures, pictures_in, read_picture
from rtrecon.capture.sources import open_source
from rtrecon.errors import DataError, RtreconError
from tests.faults.pictures import corner_marked, encoded, gif_of, portrait


def refused(tmp_path: Path, content: bytes, name: str = "a.jpg") -> str:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_picture(path)
    assert name in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("at", [0.3, 0.5, 0.8])
def test_a_jpeg_damaged_inside_is_not_whole(tmp_path: Path, at: float, progressive: bool) -> None:
    data = bytearray(encoded(portrait(), "JPEG", quality=90, progressive=progressive))
    start = int(at * len(data))
    noise = np.random.default_rng(3).integers(0, 255, 800, dtype=np.uint8)  # no marker in it
    data[start : start + 800] = noise.tobytes()
    assert "damaged" in refused(tmp_path, bytes(data))


def test_zeros_before_the_end_of_a_jpeg_are_no_damage(tmp_path: Path) -> None:
    data = encoded(portrait(), "JPEG", quality=95)
    (tmp_path / "a.jpg").write_bytes(data)
    (tmp_path / "b.jpg").write_bytes(data[:-2] + bytes(37) + data[-2:])
    (tmp_path / "c.jpg").write_bytes(data + b"a camera's own data behind it")
    whole = read_picture(tmp_path / "a.jpg").image
    np.testing.assert_array_equal(read_picture(tmp_path / "b.jpg").image, whole)
    np.testing.assert_array_equal(read_picture(tmp_path / "c.jpg").image, whole)


@pytest.mark.parametrize("at", [0.2, 0.6, 0.9])
def test_a_png_damaged_inside_is_not_whole(tmp_path: Path, at: float) -> None:
    data = bytearray(encoded(portrait(), "PNG"))
    data[int(at * len(data))] ^= 0x10
    assert "damaged" in refused(tmp_path, bytes(data), "a.png")


def png_of(width: int, height: int) -> bytes:
    """A header, and nothing behind it."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def bmp_of(width: int, height: int) -> bytes:
    return b"BM" + struct.pack(
        "<IHHI IiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0
    )


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(encoded(corner_marked(), "JPEG"))
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_of(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + sides
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "gif": gif_of(65535, 65535),
    "gif-frame": gif_of(64, 64)[:24] + gif_of(65535, 65535)[24:],
    "png": png_of(60_000, 60_000),
    "bmp": bmp_of(60_000, 60_000),
    "jpeg": jpeg_of(65_000, 65_000),
    "webp": webp_of(16_000, 16_000),
    "ppm": b"P6 60000 60000 255\n" + bytes(60),
}


@pytest.mark.skipif(sys.platform == "win32", reason="counts memory as Unix does")
@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb.picture"
    path.write_bytes(BOMBS[kind])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in (read_picture, open_source):
        with pytest.raises(RtreconError, match=r"bomb\.picture.*(too many|whole|damaged)"):
            read(path)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mb < 100


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")  # nobody writes to it: opening must not wait
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    for name, said in (("folder.jpg", "folder"), ("pipe.jpg", "pipe"), ("gone.jpg", "No such")):
        with pytest.raises(DataError, match=rf"{name}.*{said}"):
            read_picture(tmp_path / name)
    with pytest.raises(DataError, match="device"):
        read_picture(Path("/dev/null"))
    with pytest.raises(DataError, match="null"):
        read_picture(Path("a\0.jpg"))
    assert len(pictures_in(tmp_path)) == 3


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("x" * 5000, "a\0b", "[", "**" * 30):
        with pytest.raises(DataError):
            find_pictures([str(tmp_path / name)])


def test_a_folder_gives_what_is_a_picture_inside(tmp_path: Path) -> None:
    jpeg = encoded(corner_marked(), "JPEG")
    for name in ("2.jpg", "10", "notes", "._2.jpg", "b.JFIF", "²3.jpg"):
        (tmp_path / name).write_bytes(b"hello" if name in ("notes", "._2.jpg") else jpeg)
    assert [path.name for path in pictures_in(tmp_path)] == ["2.jpg", "10", "b.JFIF", "²3.jpg"]


@pytest.mark.parametrize(
    "thrown",
    [MemoryError(), RecursionError("deep"), SyntaxError("x"), struct.error("y"), OSError("z")],
)
def test_whatever_a_decoder_throws_is_said_of_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thrown: Exception
) -> None:
    def fail(*_: object) -> None:
        raise thrown

    content = encoded(corner_marked(), "PNG")
    monkeypatch.setattr(Image.Image, "load", fail)
    said = refused(tmp_path, content, "a.png")
    assert (str(thrown) or type(thrown).__name__) in said
