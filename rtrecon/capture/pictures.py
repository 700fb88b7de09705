"""Pictures from files: whole or refused, upright, with the camera's focal length if it says so.

The one reader of every command. Pillow opens, libjpeg-turbo decodes JPEG; HEIC through pillow-heif.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtrecon.capture.picture_geometry import PictureGeometry, bring_upright, read_geometry
from rtrecon.capture.picture_kinds import (
    HEAD_BYTES,
    is_picture,
    is_video,
    open_regular,
    picture_kind,
    what_else,
)
from rtrecon.capture.picture_pixels import decode_pixels
from rtrecon.errors import DataError, MissingExtraError
from rtrecon.types import BgrImage, Intrinsics

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "PICTURE_SUFFIXES",
    "Picture",
    "find_pictures",
    "is_picture_file",
    "natural_key",
    "picture_size",
    "pictures_in",
    "read_picture",
]

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".avif", ".heic", ".heif"),
)

MAX_SIDE_PX = 20_000
MAX_PIXELS = 150_000_000
_MIN_SIDE_PX = 16
_BOXES_BYTES = 1 << 16  # of a HEIC file: the boxes that say how it lies

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

    def turned(self, turn_deg: int) -> Picture:
        """Turned clockwise by 90, 180 or 270 degrees."""
        orientation = {90: 6, 180: 3, 270: 8}[turn_deg]
        return replace(self, image=bring_upright(self.image, orientation))


def find_pictures(patterns: Sequence[str]) -> list[Path]:
    """Files, folders' pictures and globs as paths: in order, each once.

    Raises:
        DataError: a path is not there, or a folder or glob has no picture.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        if _holds(path.is_dir):
            inside = pictures_in(path)
            if not inside:
                raise DataError(f"folder {path} has no picture ({', '.join(PICTURE_SUFFIXES)})")
            found.update(dict.fromkeys(inside))
        elif _holds(path.exists) or _holds(path.is_symlink):
            found[path] = None
        else:
            found.update(dict.fromkeys(_glob(pattern)))
    return list(found)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order, 2 before 10: by their suffixes, or without one
    by their contents.

    Raises:
        DataError: the folder cannot be read.
    """
    try:
        inside = list(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror}") from error
    return sorted((path for path in inside if _looks_like_one(path)), key=natural_key)


def is_picture_file(path: Path) -> bool:
    """Whether ``path`` is to be read as a picture: by its contents, and by its name where these
    are not a video's either, so that what is wrong with it is said of a picture."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        return is_picture(path)
    return not is_video(path)


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture, upright, without decoding it.

    Raises:
        DataError: as `read_picture`.
    """
    return _read(path, decode=False)[1].size


def read_picture(path: Path) -> Picture:
    """Read one picture, turned upright as its EXIF orientation says, with square pixels.

    Grey, 16 bit, palettes and CMYK become 8 bit BGR; what is transparent becomes white. Of an
    animation the first picture is read. The field of view comes from the EXIF focal length, for
    35 mm film or with the sensor's size, unless the picture was cropped since. What is not used
    is said.

    Raises:
        DataError: not a picture, cut short or damaged, smaller than 16 pixels a side, or larger
            than 20,000 a side or 150 million, which is refused before it is decoded.
        MissingExtraError: a HEIC file, and no library that reads it.
    """
    image, geometry, count = _read(path, decode=True)
    assert image is not None
    for note in geometry.notes:
        logger.info("%s: %s", path, note)
    if count > 1:
        logger.info("%s has %d pictures: the first is used", path, count)
    return Picture(path, geometry.apply(image), geometry.fov_deg)


def _read(path: Path, *, decode: bool) -> tuple[BgrImage | None, PictureGeometry, int]:
    """Pixels as they lie in the file if ``decode``, what it says of them, how many pictures."""
    with open_regular(path) as file:
        try:
            head = file.read(_BOXES_BYTES)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        if not head:
            raise DataError(f"{path} is empty (0 bytes)")
        kind = picture_kind(head[:HEAD_BYTES])
        if kind is None:
            other = what_else(head[:HEAD_BYTES])
            raise DataError(f"{path} is {other or 'not a picture that can be read'}")
        if kind == "HEIF":
            _add_heif(path)
        # Loaded by those who read pictures: a camera needs none of it.
        from PIL import Image, UnidentifiedImageError

        _load_plugins()
        file.seek(0)
        try:
            with _own_limits(), Image.open(file, formats=_formats(kind)) as opened:
                _check_size(*opened.size)
                geometry = read_geometry(opened, head)
                _check_size(*geometry.size)
                count = _count(opened)
                image = decode_pixels(opened, file) if decode else None
        except UnidentifiedImageError as error:
            name = "HEIC" if kind == "HEIF" else kind
            raise DataError(f"{path} is not a whole {name} picture") from error
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except Exception as error:  # whatever a decoder throws is this picture's failure alone
            said = str(error) or type(error).__name__
            raise DataError(f"{path} is cut short or damaged ({said})") from error
    return image, geometry, count


def _count(picture: Image.Image) -> int:
    """How many pictures are in the file; 1 if that cannot be told."""
    if picture.format == "MPO":  # a phone's photo and its preview
        return 1
    try:
        return int(getattr(picture, "n_frames", 1))
    except Exception:  # what comes behind the first is not needed
        return 1


def _looks_like_one(path: Path) -> bool:
    if path.name.startswith("._"):  # what macOS leaves beside each file on other disks
        return False
    return path.suffix.lower() in PICTURE_SUFFIXES or is_picture(path)


def _holds(question: Callable[[], bool]) -> bool:
    """Its answer; False for a name that no file can have."""
    try:
        return question()
    except (OSError, ValueError):
        return False


def _glob(pattern: str) -> list[Path]:
    import glob

    try:
        paths = sorted((Path(p) for p in glob.glob(pattern, recursive=True)), key=natural_key)  # noqa: PTH207
    except (OSError, ValueError, re.error):
        paths = []
    pictures = [p for p in paths if _looks_like_one(p)]
    if not pictures:
        raise DataError(f"there is no picture {pattern}")
    return pictures


def natural_key(path: Path) -> list[list[tuple[int, str]]]:
    """What sorts names as people do, 2 before 10."""
    return [
        [
            (int(word), "") if word.isdecimal() else (-1, word.lower())
            for word in re.split(r"(\d+)", part)
        ]
        for part in path.parts
    ]


def _formats(kind: str) -> tuple[str, ...]:
    return ("JPEG", "MPO") if kind == "JPEG" else (kind,)


def _load_plugins() -> None:
    """Those of Pillow's readers that we use, and no other: each more is one more to be fooled."""
    from PIL import (  # noqa: F401
        AvifImagePlugin,
        BmpImagePlugin,
        GifImagePlugin,
        JpegImagePlugin,
        MpoImagePlugin,
        PngImagePlugin,
        PpmImagePlugin,
        TiffImagePlugin,
        WebPImagePlugin,
    )


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


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise DataError(
            f"{width}x{height} pixels are too many: rtrecon reads up to {MAX_SIDE_PX} a side and "
            f"{MAX_PIXELS // 1_000_000} million; scale it down first"
        )
    if min(width, height) < _MIN_SIDE_PX:
        raise DataError(f"{width}x{height} pixels are too few for a face")
