"""Small picture files that say something of their geometry, and faces to put into them."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

CLIP = Path(__file__).parents[2] / "rtrecon" / "data" / "demo.mp4"


def portrait() -> Any:
    """(480, 640, 3) uint8 BGR: a frame of the bundled clip, one head."""
    capture = cv2.VideoCapture(str(CLIP))
    done, image = capture.read()
    capture.release()
    assert done
    return image


def corner_marked(width: int = 64, height: int = 48) -> Any:
    """(height, width, 3) uint8 BGR: black with a white top left quarter."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[: height // 2, : width // 2] = 255
    return image


def exif(
    orientation: int = 1,
    *,
    focal_35mm: float | None = None,
    focal_mm: float | None = None,
    per_cm: float | None = None,
    size: tuple[int, int] | None = None,
) -> Image.Exif:
    """EXIF data; ``per_cm`` is the pixels a centimetre of the sensor."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    inner = tags.get_ifd(0x8769)
    for tag, value in (
        (0xA405, focal_35mm),
        (0x920A, focal_mm),
        (0xA20E, per_cm),
        (0xA20F, per_cm),
    ):
        if value is not None:
            inner[tag] = value
    if per_cm is not None:
        inner[0xA210] = 3
    if size is not None:
        inner[0xA002], inner[0xA003] = size
    return tags


def encoded(image_bgr: Any, kind: str, **options: Any) -> bytes:
    """The file's contents, as Pillow writes ``kind``."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image_bgr[..., ::-1]))
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def gif_of(width: int, height: int) -> bytes:
    """35 bytes that say that they are so large."""
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
        + b"\0\0\0\xff\xff\xff,"
        + struct.pack("<HHHHB", 0, 0, width, height, 0)
        + b"\x02\x02\x44\x01\0;"
    )
