"""What the file of a picture says of its camera and its pixels: way up, lens, shape of pixels.

Orientation and lens are EXIF's, in whatever format they come; the shape of pixels is in each
format's own place.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from rtrecon.types import BgrImage

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PictureGeometry", "bring_upright", "read_geometry"]

_FULL_FRAME_DIAGONAL_MM = math.hypot(36.0, 24.0)
_LEAST_35MM, _MOST_35MM = 8.0, 4000.0  # shorter ones are fisheyes, which are no pinhole cameras
_SQUARE, _WIDEST = 1.02, 4.0  # ratio of a pixel's sides: taken for square below, for wrong above

_TAG_ORIENTATION, _TAG_EXIF = 0x0112, 0x8769
_TAG_X_DENSITY, _TAG_Y_DENSITY = 0x011A, 0x011B
_TAG_FOCAL_MM, _TAG_FOCAL_35MM = 0x920A, 0xA405
_TAG_WIDTH, _TAG_HEIGHT = 0xA002, 0xA003
_TAG_PLANE_X, _TAG_PLANE_Y, _TAG_PLANE_UNIT = 0xA20E, 0xA20F, 0xA210
_UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}

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


@dataclass(frozen=True, slots=True)
class PictureGeometry:
    """``size`` (width, height) of the picture upright and with square pixels; ``fov_deg`` across
    its diagonal, None if that is not known; ``notes`` what was not used, and why."""

    size: tuple[int, int]
    fov_deg: float | None
    orientation: int
    stretched: tuple[int, int]
    notes: tuple[str, ...]

    def apply(self, image: BgrImage) -> BgrImage:
        """(H, W, 3) uint8 as the file has it, upright and with square pixels."""
        if self.stretched != (image.shape[1], image.shape[0]):
            image = np.asarray(
                cv2.resize(image, self.stretched, interpolation=cv2.INTER_LINEAR), dtype=np.uint8
            )
        return bring_upright(image, self.orientation)


def bring_upright(image: BgrImage, orientation: int) -> BgrImage:
    """``image`` turned and mirrored as EXIF's ``orientation`` (1 to 8) says it is to be shown."""
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else np.asarray(turn(image), dtype=np.uint8)


def read_geometry(picture: Image.Image, head: bytes) -> PictureGeometry:
    """What an opened, not yet decoded ``picture`` says; ``head`` are the file's first kilobytes.

    Damaged tags count as none, which is noted.
    """
    notes: list[str] = []
    try:
        tags: Any = picture.getexif()
        inner: Any = tags.get_ifd(_TAG_EXIF)
        orientation = int(_number(tags.get(_TAG_ORIENTATION)))
    except Exception as error:  # its parser throws what it will
        notes.append(f"its EXIF data is damaged and not used ({type(error).__name__})")
        tags, inner, orientation = {}, {}, 1
    width, height = picture.size
    if picture.format == "HEIF" and b"irot" not in head and b"imir" not in head:
        # pillow-heif takes the tag away, as if the file had a turn of its own beside it.
        orientation = int(_number(picture.info.get("original_orientation"))) or orientation
    elif picture.format in ("TIFF", "HEIF"):
        orientation = 1  # turned by the decoder, in the size that it gives too
    if orientation > 8:
        notes.append(f"an orientation of {orientation} does not exist: not turned")
    aspect = _pixel_aspect(picture, tags, head)
    stretched = (width, height)
    if max(aspect, 1.0 / aspect) > _WIDEST:
        notes.append(f"pixels of {aspect:.3g}:1 cannot be: taken for square")
    elif max(aspect, 1.0 / aspect) > _SQUARE:
        if aspect > 1.0:
            stretched = (round(width * aspect), height)
        else:
            stretched = (width, round(height / aspect))
        notes.append(f"its pixels are {aspect:.3g}:1: stretched to {stretched[0]}x{stretched[1]}")
    size = stretched[::-1] if orientation in (5, 6, 7, 8) else stretched
    fov_deg = _fov_deg(inner, size, notes)
    return PictureGeometry(size, fov_deg, orientation, stretched, tuple(notes))


def _number(value: Any) -> float:
    if isinstance(value, (tuple, list)) and value:
        value = value[0]
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _fov_deg(tags: Any, size: tuple[int, int], notes: list[str]) -> float | None:
    """Degrees across the diagonal, by the focal length for 35 mm film or by the sensor's size."""
    focal_35mm, focal_mm = _number(tags.get(_TAG_FOCAL_35MM)), _number(tags.get(_TAG_FOCAL_MM))
    if focal_35mm <= 0.0 and focal_mm <= 0.0:
        return None
    was = (_number(tags.get(_TAG_WIDTH)), _number(tags.get(_TAG_HEIGHT)))
    if min(was) > 0.0:
        # A picture of another shape than the camera's was cropped: the angle is not known.
        shapes = [max(sides) / min(sides) for sides in (was, size)]
        if abs(shapes[0] / shapes[1] - 1.0) > 0.02:
            notes.append("it was cropped since it was taken: its focal length is not used")
            return None
    if focal_35mm <= 0.0:
        focal_35mm = _focal_35mm(tags, focal_mm, was, size)
        if focal_35mm <= 0.0:
            notes.append(f"it says {focal_mm:.3g} mm, but not for which size of sensor: not used")
            return None
    if not _LEAST_35MM <= focal_35mm <= _MOST_35MM:
        notes.append(f"a focal length of {focal_35mm:.3g} mm (35 mm film) is not used")
        return None
    return 2.0 * math.degrees(math.atan(_FULL_FRAME_DIAGONAL_MM / 2.0 / focal_35mm))


def _focal_35mm(
    tags: Any, focal_mm: float, was: tuple[float, float], size: tuple[int, int]
) -> float:
    """From the pixels a millimetre on the sensor; 0 if they are not known."""
    unit_mm = _UNIT_MM.get(int(_number(tags.get(_TAG_PLANE_UNIT))), 25.4)
    per_mm = [_number(tags.get(tag)) / unit_mm for tag in (_TAG_PLANE_X, _TAG_PLANE_Y)]
    known = [value for value in per_mm if value > 0.0]
    if not known:
        return 0.0
    sensor_px = was if min(was) > 0.0 else size
    diagonal_mm = math.hypot(*sensor_px) / math.sqrt(known[0] * known[-1])
    return focal_mm * _FULL_FRAME_DIAGONAL_MM / diagonal_mm


def _pixel_aspect(picture: Image.Image, tags: Any, head: bytes) -> float:
    """Width of a pixel over its height."""
    info, kind = picture.info, picture.format
    wide, high = 0.0, 0.0
    if kind in ("JPEG", "MPO") and "jfif_density" in info:
        x, y = (_number(value) for value in info["jfif_density"])
        # Without a unit they are the shape of a pixel, as libjpeg has it, else dots a length.
        wide, high = (x, y) if info.get("jfif_unit") == 0 else (y, x)
    elif kind in ("PNG", "TIFF", "BMP"):
        densities = info.get("resolution") or info.get("dpi") or info.get("aspect") or (0, 0)
        high, wide = (_number(value) for value in densities)
    elif kind in ("JPEG", "MPO"):
        high, wide = (_number(tags.get(tag)) for tag in (_TAG_X_DENSITY, _TAG_Y_DENSITY))
    elif kind == "GIF" and len(head) > 12 and head[12]:
        wide, high = head[12] + 15.0, 64.0
    elif kind in ("HEIF", "AVIF"):
        at = head.find(b"\0\0\0\x10pasp")
        if 0 <= at <= len(head) - 16:
            wide, high = struct.unpack_from(">II", head, at + 8)
    return wide / high if wide > 0.0 and high > 0.0 else 1.0
