"""The pixels of an opened picture as BGR: all of them, or an error."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np

from rtrecon.capture.pixels import to_bgr
from rtrecon.errors import DataError
from rtrecon.types import BgrImage

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["decode_pixels"]

_STRIP_PX = 1 << 22  # decoded pixels that are copied at once
_MOST_BYTES = 1 << 29
_PAPER = 255  # what a viewer shows behind a transparent picture
_UNSEEN = "it is wholly transparent: save it without its alpha channel"
_GREY = ("L", "F", "I", "I;16", "I;16B", "I;16L", "I;16N")


def decode_pixels(picture: Image.Image, file: BinaryIO) -> BgrImage:
    """(H, W, 3) uint8 BGR of the whole ``picture``, opened from ``file``, as it lies there.

    Grey, 16 bit, palettes and CMYK become 8 bit BGR. What is transparent becomes white, as far
    as it is.

    Raises:
        DataError: it is wholly transparent.
        Exception: whatever a decoder throws: it is cut short or damaged.
    """
    if picture.format in ("JPEG", "MPO") and picture.mode in ("L", "RGB"):
        return _whole_jpeg(file, picture.size)
    if picture.format == "WEBP" and not getattr(picture, "is_animated", False):
        return _still_webp(file, picture.size)
    if picture.format == "PNG":
        _check_png(file)
    picture.load()
    return _copied(picture)


def _whole_jpeg(file: BinaryIO, size: tuple[int, int]) -> BgrImage:
    """Straight to BGR, and unlike Pillow not content with what is damaged inside."""
    import simplejpeg

    file.seek(0)
    data = file.read(_MOST_BYTES)
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    if (width, height) != size:
        raise ValueError(f"two sizes, {size[0]}x{size[1]} and {width}x{height}")
    try:
        image = simplejpeg.decode_jpeg(data, "BGR")
    except ValueError as error:
        if not _only_padded(data, str(error)):
            raise
        image = simplejpeg.decode_jpeg(data, "BGR", strict=False)
    return np.asarray(image, dtype=np.uint8)


def _still_webp(file: BinaryIO, size: tuple[int, int]) -> BgrImage:
    """By OpenCV: Pillow reads it as an animation, in four times the memory."""
    file.seek(0)
    data = np.frombuffer(file.read(_MOST_BYTES), dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None or image.shape[1::-1] != size:
        raise ValueError("it cannot be decoded to its end")
    if image.shape[2] == 3:
        return np.asarray(image, dtype=np.uint8)
    out = np.empty((*image.shape[:2], 3), dtype=np.uint8)
    rows = max(1, _STRIP_PX // size[0])
    for top in range(0, len(out), rows):
        strip = np.asarray(image[top : top + rows], dtype=np.uint8)
        _over_paper(strip[..., [2, 1, 0, 3]], out[top : top + rows])
    if not image[..., 3].any():
        raise DataError(_UNSEEN)
    return out


def _only_padded(data: bytes, error: str) -> bool:
    """Whether all that libjpeg minds are zeros before the end, as some cameras write them."""
    found = re.search(r"(\d+) extraneous bytes before marker 0xd9", error)
    if found is None:
        return False
    end = data.rfind(b"\xff\xd9")
    return end > 0 and not any(data[max(0, end - int(found[1])) : end])


def _check_png(file: BinaryIO) -> None:
    """Pillow does not look at the checksums of the pixels."""
    file.seek(8)
    while len(start := file.read(8)) == 8:
        left, kind = int.from_bytes(start[:4], "big"), start[4:]
        check = zlib.crc32(kind)
        while left:
            part = file.read(min(left, 1 << 20))
            if not part:
                raise ValueError("it ends within a chunk")
            check = zlib.crc32(part, check)
            left -= len(part)
        if int.from_bytes(file.read(4), "big") != check:
            raise ValueError(f"the checksum of a chunk {kind!r} is wrong")
        if kind == b"IEND":
            return


def _copied(picture: Image.Image) -> BgrImage:
    """Strip by strip, so that a large one is in memory twice, not thrice."""
    width, height = picture.size
    out = np.empty((height, width, 3), dtype=np.uint8)
    rows = max(1, _STRIP_PX // width)
    clear = picture.has_transparency_data
    shows = False
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = picture.crop((0, top, width, bottom))
        if clear:
            colours = np.asarray(strip.convert("RGBA"))
            shows = shows or bool(colours[..., 3].any())
            _over_paper(colours, out[top:bottom])
        elif strip.mode == "RGB":
            cv2.cvtColor(np.asarray(strip), cv2.COLOR_RGB2BGR, dst=out[top:bottom])
        elif strip.mode in _GREY:
            out[top:bottom] = _grey(strip)
        else:
            out[top:bottom] = np.asarray(strip.convert("RGB"))[..., ::-1]
    if clear and not shows:
        raise DataError(_UNSEEN)
    return out


def _over_paper(colours: BgrImage, out: BgrImage) -> None:
    """(h, w, 4) uint8 RGBA onto white, as (h, w, 3) BGR."""
    alpha = colours[..., 3:].astype(np.uint16)
    mixed = colours[..., 2::-1] * alpha + _PAPER * (255 - alpha)
    out[:] = (mixed + 127) // 255


def _grey(strip: Image.Image) -> BgrImage:
    levels = np.asarray(strip)
    if strip.mode == "I":  # 16 bit in 32
        levels = np.clip(levels, 0, 65535).astype(np.uint16)
    image = to_bgr(levels.astype(levels.dtype.newbyteorder("=")))
    assert image is not None
    return image
