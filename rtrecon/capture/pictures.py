"""Pictures from files: whole or refused, upright, with the camera's focal length if it says so.

The one reader of every command. Pillow decodes; HEIC through pillow-heif.
"""

from __future__ import annotations

import io
import math
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from rtrecon.capture.pixels import to_bgr
from rtrecon.errors import DataError, MissingExtraError
from rtrecon.types import BgrImage, Intrinsics

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PICTURE_SUFFIXES", "Picture", "find_pictures", "pictures_in", "read_picture"]

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif")

MAX_SIDE_PX = 20_000
MAX_PIXELS = 150_000_000
_MIN_SIDE_PX = 16

_STRIP_PX = 1 << 22  # decoded pixels that are copied at once
_FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
_TAG_ORIENTATION, _TAG_EXIF = 0x0112, 0x8769
_TAG_WIDTH, _TAG_HEIGHT, _TAG_FOCAL_35MM = 0xA002, 0xA003, 0xA405

# What brings a picture upright, by EXIF's orientation; 1 is upright.
_UPRIGHT: dict[int, Callable[[BgrImage], Any]] = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: cv2.transpose,
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.flip(cv2.transpose(image), -1),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}

_reading = threading.Lock()


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


@dataclass(frozen=True, slots=True)
class _Exif:
    """The few tags that matter here; 0: unsaid. The size is as the camera wrote it."""

    orientation: int = 1
    focal_35mm: float = 0.0
    width: int = 0
    height: int = 0


def find_pictures(patterns: list[str]) -> list[Path]:
    """Files, folders' pictures and globs as paths: in order, each once.

    Raises:
        DataError: a path is not there, or a folder or glob has no picture.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            inside = pictures_in(path)
            if not inside:
                raise DataError(f"folder {path} has no picture ({', '.join(PICTURE_SUFFIXES)})")
            found.update(dict.fromkeys(inside))
        elif path.exists():
            found[path] = None
        else:
            found.update(dict.fromkeys(_glob(pattern)))
    return list(found)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by their suffixes, in natural order: 2 before 10."""
    return sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES), key=_natural
    )


def read_picture(path: Path) -> Picture:
    """Read one picture, turned upright as its EXIF orientation says.

    Grey, 16 bit, palettes and CMYK become 8 bit BGR; what lies under transparency shows. The
    field of view comes from the EXIF focal length for 35 mm film, unless the picture was
    cropped since.

    Raises:
        DataError: not a picture, cut short, smaller than 16 pixels a side, or larger than
            20,000 a side or 150 million, which is refused before it is decoded.
        MissingExtraError: a HEIC file, and no library that reads it.
    """
    # Loaded by those who read pictures: a camera needs none of it.
    from PIL import Image, UnidentifiedImageError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if not data:
        raise DataError(f"{path} is empty (0 bytes)")
    is_heif = _is_heif(path, data)
    if is_heif:
        _add_heif(path)
    try:
        with _own_limits(), Image.open(io.BytesIO(data)) as opened:
            _check_size(path, *opened.size)
            exif = _read_exif(opened)
            opened.load()
            image = _pixels(opened)
    except UnidentifiedImageError as error:
        kind = "whole HEIC picture" if is_heif else "picture that can be read"
        raise DataError(f"{path} is not a {kind}") from error
    except DataError:
        raise
    except Exception as error:  # whatever a decoder throws is this picture's failure alone
        raise DataError(f"{path} is cut short or damaged ({error})") from error
    turn = _UPRIGHT.get(exif.orientation)
    if turn is not None:
        image = np.asarray(turn(image), dtype=np.uint8)
    height, width = image.shape[:2]
    return Picture(path, image, _fov_deg(exif, width, height))


def _glob(pattern: str) -> list[Path]:
    import glob

    paths = sorted((Path(p) for p in glob.glob(pattern, recursive=True)), key=_natural)  # noqa: PTH207
    pictures = [p for p in paths if p.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise DataError(f"there is no picture {pattern}")
    return pictures


def _natural(path: Path) -> list[list[tuple[int, str]]]:
    return [
        [
            (int(word), "") if word.isdigit() else (-1, word.lower())
            for word in re.split(r"(\d+)", part)
        ]
        for part in path.parts
    ]


def _is_heif(path: Path, data: bytes) -> bool:
    return path.suffix.lower() in (".heic", ".heif") or data[4:12] in (b"ftypheic", b"ftypmif1")


def _add_heif(path: Path) -> None:
    """Teach Pillow HEIC; harmless when it knows it."""
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingExtraError(f"{path}: pillow-heif, which reads HEIC,", "heic") from error
    pillow_heif.register_heif_opener()


@contextmanager
def _own_limits() -> Iterator[None]:
    """Pillow without its own limit, which is lower than ours, and without its warnings.

    It warns of damaged tags, which count as none here. Both are settings of the process, so
    one picture is read at a time.
    """
    from PIL import Image

    with _reading, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise DataError(
            f"{path} has {width}x{height} pixels: rtrecon reads up to {MAX_SIDE_PX} a side and "
            f"{MAX_PIXELS // 1_000_000} million; scale it down first"
        )
    if min(width, height) < _MIN_SIDE_PX:
        raise DataError(f"{path} has {width}x{height} pixels: too few for a face")


def _pixels(picture: Image.Image) -> BgrImage:
    """(H, W, 3) uint8 BGR; strip by strip, so that a large one is in memory twice, not thrice."""
    width, height = picture.size
    out = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, _STRIP_PX // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = picture.crop((0, top, width, bottom))
        if strip.mode == "RGB":
            cv2.cvtColor(np.asarray(strip), cv2.COLOR_RGB2BGR, dst=out[top:bottom])
        elif strip.mode in ("L", "F", "I", "I;16", "I;16B", "I;16L", "I;16N"):
            out[top:bottom] = _grey(strip)
        else:
            colours = np.asarray(strip.convert("RGBA" if strip.mode in _CLEAR else "RGB"))
            out[top:bottom] = colours[..., 2::-1]
    return out


_CLEAR = ("RGBA", "LA", "PA", "RGBa", "La")  # modes with transparency


def _grey(strip: Image.Image) -> BgrImage:
    levels = np.asarray(strip)
    if strip.mode == "I":  # 16 bit in 32
        levels = np.clip(levels, 0, 65535).astype(np.uint16)
    image = to_bgr(levels.astype(levels.dtype.newbyteorder("=")))
    assert image is not None
    return image


def _read_exif(picture: Image.Image) -> _Exif:
    """Damaged tags count as none."""
    try:
        tags = picture.getexif()
        inner = tags.get_ifd(_TAG_EXIF)
    except Exception:  # its parser throws what it will
        return _Exif()
    return _Exif(
        int(_number(tags.get(_TAG_ORIENTATION))),
        _number(inner.get(_TAG_FOCAL_35MM)),
        int(_number(inner.get(_TAG_WIDTH))),
        int(_number(inner.get(_TAG_HEIGHT))),
    )


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _fov_deg(exif: _Exif, width: int, height: int) -> float | None:
    if not 8 <= exif.focal_35mm <= 800:
        return None
    if exif.width > 0 and exif.height > 0:
        # A picture of another shape than the camera's was cropped: the angle is not known.
        was = max(exif.width, exif.height) / min(exif.width, exif.height)
        if abs(was / (max(width, height) / min(width, height)) - 1.0) > 0.02:
            return None
    return 2.0 * math.degrees(math.atan(_FULL_FRAME_DIAGONAL_MM / 2.0 / exif.focal_35mm))
