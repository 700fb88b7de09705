"""Pictures from files: whole or refused, upright, with the camera's focal length if it says so."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rtrecon.errors import DataError, MissingExtraError
from rtrecon.types import BgrImage, Intrinsics

__all__ = ["PICTURE_SUFFIXES", "Picture", "find_pictures", "read_picture"]

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif")

MAX_SIDE_PX = 20_000
MAX_PIXELS = 150_000_000

_HEIF_SUFFIXES = (".heic", ".heif")
_FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
_TAG_EXIF, _TAG_WIDTH, _TAG_HEIGHT, _TAG_FOCAL_35MM = 0x8769, 0xA002, 0xA003, 0xA405


class _Exif(NamedTuple):
    """35 mm equivalent focal length and the picture's size as the camera wrote it; 0: unsaid."""

    focal_35mm: int = 0
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """``image`` (H, W, 3) uint8 BGR, upright; ``fov_deg`` across the diagonal if it is known."""

    path: Path
    image: BgrImage
    fov_deg: float | None

    @property
    def intrinsics(self) -> Intrinsics | None:
        """From the file's focal length; None if it has none."""
        height, width = self.image.shape[:2]
        return None if self.fov_deg is None else Intrinsics.from_fov(width, height, self.fov_deg)


def find_pictures(patterns: list[str]) -> list[Path]:
    """Files, folders' pictures and globs as paths: in order, each once.

    Raises:
        DataError: a path is not there, or a folder or glob has no picture.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
            if not inside:
                raise DataError(f"folder {path} has no picture ({', '.join(PICTURE_SUFFIXES)})")
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            found.update(dict.fromkeys(_glob(pattern)))
    return list(found)


def read_picture(path: Path) -> Picture:
    """Read one picture, turned upright as its EXIF orientation says.

    The field of view comes from the EXIF focal length for 35 mm film, unless the picture
    was cropped since.

    Raises:
        DataError: not a picture, cut short, or larger than 20,000 pixels a side.
        MissingExtraError: a HEIC file, and no library that reads it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if not data:
        raise DataError(f"{path} is empty (0 bytes)")
    if path.suffix.lower() in _HEIF_SUFFIXES:
        image, exif = _decode_heif(path, data)
    else:
        _check_whole(path, data)
        size = _size_px(data)
        if size is not None:
            _check_size(path, *size)
        image, exif = _decode(path, data), _read_exif(_exif_block(data))
    height, width = image.shape[:2]
    _check_size(path, width, height)
    return Picture(path, image, _fov_deg(exif, width, height))


def _glob(pattern: str) -> list[Path]:
    import glob

    paths = sorted(Path(p) for p in glob.glob(pattern, recursive=True))  # noqa: PTH207
    pictures = [p for p in paths if p.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise DataError(f"there is no picture {pattern}")
    return pictures


def _decode(path: Path, data: bytes) -> BgrImage:
    try:
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"{path} is not a picture that OpenCV reads ({error.err})") from error
    if image is None:
        raise DataError(f"{path} is not a picture that OpenCV reads")
    return np.asarray(image, dtype=np.uint8)


def _decode_heif(path: Path, data: bytes) -> tuple[BgrImage, _Exif]:
    try:
        import pillow_heif  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise MissingExtraError(f"{path}: pillow-heif, which reads HEIC,", "heic") from error
    try:
        picture = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
        _check_size(path, *picture.size)
        pixels = np.asarray(picture)
    except (ValueError, RuntimeError, OSError, SyntaxError, EOFError) as error:
        raise DataError(f"{path} is not a whole HEIC picture ({error})") from error
    conversion = cv2.COLOR_RGBA2BGR if pixels.shape[2] == 4 else cv2.COLOR_RGB2BGR
    block = picture.info.get("exif") or b""
    exif = _read_exif(block.removeprefix(b"Exif\0\0"))
    return np.asarray(cv2.cvtColor(pixels, conversion), dtype=np.uint8), exif


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise DataError(
            f"{path} has {width}x{height} pixels: rtrecon reads up to {MAX_SIDE_PX} a side and "
            f"{MAX_PIXELS // 1_000_000} million; scale it down first"
        )
    if min(width, height) < 16:
        raise DataError(f"{path} has {width}x{height} pixels: too few for a face")


def _check_whole(path: Path, data: bytes) -> None:
    """OpenCV answers a truncated file with a picture that is grey at its end."""
    if data.startswith(b"\xff\xd8"):
        scan = next((start for marker, start, _ in _jpeg_segments(data) if marker == 0xDA), None)
        whole = scan is not None and data.rfind(b"\xff\xd9", scan) >= 0
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        whole = b"IEND" in data[-64:] or any(kind == b"IEND" for kind, _ in _png_chunks(data))
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        whole = len(data) >= 12 and len(data) >= struct.unpack_from("<I", data, 4)[0] + 8
    else:
        return
    if not whole:
        raise DataError(f"{path} is cut short: its end is missing")


def _size_px(data: bytes) -> tuple[int, int] | None:
    """Width and height from the header, before memory is taken for them."""
    if data.startswith(b"\xff\xd8"):
        for marker, start, _ in _jpeg_segments(data):
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                if start + 5 > len(data):
                    return None
                height, width = struct.unpack_from(">HH", data, start + 1)
                return width, height
        return None
    if data.startswith(b"\x89PNG") and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
        return width, height
    return None


def _exif_block(data: bytes) -> bytes:
    """The TIFF structure with the EXIF tags; empty if there is none."""
    if data.startswith(b"\xff\xd8"):
        for marker, start, end in _jpeg_segments(data):
            if marker == 0xE1 and data[start : start + 6] == b"Exif\0\0":
                return data[start + 6 : end]
    elif data.startswith(b"\x89PNG"):
        for kind, content in _png_chunks(data):
            if kind == b"eXIf":
                return content
    elif data.startswith(b"RIFF"):
        at = 12
        while at + 8 <= len(data):
            (length,) = struct.unpack_from("<I", data, at + 4)
            if data[at : at + 4] == b"EXIF":
                return data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
            at += 8 + length + length % 2
    return b""


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment's contents, up to the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without contents
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        yield marker, at + 4, at + 2 + length
        if marker == 0xDA or length < 2:
            return
        at += 2 + length


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _read_exif(block: bytes) -> _Exif:
    """The few tags that matter here; a damaged block counts as none."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return _Exif()
    (first,) = struct.unpack_from(f"{order}I", block, 4)
    pointer = _read_ifd(block, order, first).get(_TAG_EXIF, 0)
    tags = _read_ifd(block, order, pointer) if pointer else {}
    return _Exif(tags.get(_TAG_FOCAL_35MM, 0), tags.get(_TAG_WIDTH, 0), tags.get(_TAG_HEIGHT, 0))


def _read_ifd(block: bytes, order: str, at: int) -> dict[int, int]:
    """Tags with a single unsigned number of 16 or 32 bits."""
    tags: dict[int, int] = {}
    if at < 8 or at + 2 > len(block):
        return tags
    (count,) = struct.unpack_from(f"{order}H", block, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, number = struct.unpack_from(f"{order}HHI", block, entry)
        if number == 1 and kind in (3, 4):
            form = "H" if kind == 3 else "I"
            (tags[tag],) = struct.unpack_from(order + form, block, entry + 8)
    return tags


def _fov_deg(exif: _Exif, width: int, height: int) -> float | None:
    if not 8 <= exif.focal_35mm <= 800:
        return None
    if exif.width and exif.height:
        # A picture of another shape than the camera's was cropped: the angle is not known.
        was = max(exif.width, exif.height) / min(exif.width, exif.height)
        if abs(was / (max(width, height) / min(width, height)) - 1.0) > 0.02:
            return None
    return 2.0 * math.degrees(math.atan(_FULL_FRAME_DIAGONAL_MM / 2.0 / exif.focal_35mm))
