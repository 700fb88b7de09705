"""Value types that travel between the stages.

Frames of reference: *picture* is pixels, x right, y down, the centre of the top left
pixel at (0, 0). *camera* is OpenCV's: x right, y down, z forward, metres.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.intrinsics_file import parse_intrinsics
from rtrecon.json_text import read_text

__all__ = [
    "DEFAULT_FOV_DEG",
    "BgrImage",
    "EulerAngles",
    "Expression",
    "EyeAngles",
    "Face",
    "Float32Array",
    "Float64Array",
    "Frame",
    "Gaze",
    "Intrinsics",
    "PilImage",
    "TrackedFace",
    "rounded",
]

BgrImage = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


class PilImage(Protocol):
    """As much of a ``PIL.Image.Image`` as is needed here, where Pillow is not imported."""

    @property
    def mode(self) -> str:
        """Of its pixels, such as RGB."""

    def convert(self, mode: str, /) -> Any:
        """The same in another mode."""

    def getexif(self) -> Any:
        """What the file said of the camera."""


DEFAULT_FOV_DEG = 60.0
"""Diagonal field of view assumed when nothing better is known."""


def rounded(values: npt.NDArray[Any]) -> str:
    """A few numbers as people read them, to the unit: ``(12, 40, 96, 150)``."""
    return f"({', '.join(f'{v:.0f}' for v in values.ravel().tolist())})"


_DIST_ORDER = "k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 tx ty"
_DIST_COUNTS = (4, 5, 8, 12, 14)
_EDGE = 0.05  # of a side: no principal point is nearer to it
_LEAST_FOCAL = 0.1  # of the picture's side: 157 degrees from side to side


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """Pinhole intrinsics in pixels, for pictures of ``width`` x ``height``.

    ``dist`` are OpenCV's distortion coefficients in its order, k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3
    s4 tx ty: the first 4, 5, 8, 12 or 14 of them; fewer than 4 are filled up with zeros, none
    are none.

    Raises:
        DataError: numbers that no camera has.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    dist: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        values = (self.fx, self.fy, self.cx, self.cy, *self.dist)
        if not all(math.isfinite(v) for v in values):
            raise DataError("intrinsics must be finite numbers")
        if self.fx <= 0 or self.fy <= 0 or self.width <= 0 or self.height <= 0:
            raise DataError("intrinsics need fx, fy, width and height above zero")
        if max(self.cx, self.cy) <= 1.0 and max(self.fx, self.fy) < 5.0 and self.width > 100:
            raise DataError(
                f"fx {self.fx:g}, cx {self.cx:g} are shares of a picture {self.width} wide: "
                "intrinsics must be in pixels"
            )
        if 0 < len(self.dist) < _DIST_COUNTS[0]:
            filled = (*self.dist, *[0.0] * (_DIST_COUNTS[0] - len(self.dist)))
            object.__setattr__(self, "dist", filled)
        if self.dist and len(self.dist) not in _DIST_COUNTS:
            raise DataError(
                f"{len(self.dist)} distortion coefficients are not understood: give the first 4, "
                f"5, 8, 12 or 14 in OpenCV's order, {_DIST_ORDER}, with 0 for those you lack"
            )

    @classmethod
    def from_fov(cls, width: int, height: int, fov_deg: float = DEFAULT_FOV_DEG) -> Intrinsics:
        """Square pixels, centred, with ``fov_deg`` across the diagonal."""
        if not 1.0 <= fov_deg < 179.0:
            raise DataError(f"a field of view of {fov_deg} degrees is not possible: give 1 to 178")
        diagonal_px = math.hypot(width, height)
        focal_px = 0.5 * diagonal_px / math.tan(math.radians(fov_deg) / 2.0)
        return cls(focal_px, focal_px, (width - 1) / 2.0, (height - 1) / 2.0, width, height)

    @classmethod
    def load(cls, path: str | Path) -> Intrinsics:
        """Read a calibration file: JSON (docs/formats.md) or of `rtrecon.intrinsics_file`'s kinds.

        Raises:
            DataError: the file is missing, is not JSON, lacks a field, or its numbers cannot be.
        """
        path = Path(path)
        try:
            loaded = cls(*parse_intrinsics(read_text(path)))
            loaded._check_pixels()
            return loaded
        except OSError as error:
            raise DataError(f"cannot read intrinsics {path}: {error.strerror}") from error
        except DataError as error:
            raise DataError(f"intrinsics {path}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"intrinsics {path} is not what it should be ({type(error).__name__}: {error}): "
                'it must be JSON with numbers "fx", "fy", "cx", "cy", "width", "height" and '
                'optional "dist"'
            ) from error

    def _check_pixels(self) -> None:
        """Some tools write shares of the picture's size instead of pixels."""
        short = self.fx < _LEAST_FOCAL * self.width or self.fy < _LEAST_FOCAL * self.height
        # Some count from the middle, where the principal point is about nothing.
        outside = not (
            _EDGE < self.cx / self.width < 1.0 - _EDGE
            and _EDGE < self.cy / self.height < 1.0 - _EDGE
        )
        if short or outside:
            raise DataError(
                f"fx {self.fx:g}, fy {self.fy:g}, cx {self.cx:g}, cy {self.cy:g} cannot be those "
                f"of pictures of {self.width}x{self.height}: they must be in pixels, from the top "
                "left corner"
            )

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera for pictures of another size of the same shape.

        Raises:
            DataError: the shapes differ by more than one percent.
        """
        if (width, height) == (self.width, self.height):
            return self
        scale_x, scale_y = width / self.width, height / self.height
        if abs(scale_x / scale_y - 1.0) > 0.01:
            raise DataError(
                f"intrinsics are for {self.width}x{self.height}, the pictures are "
                f"{width}x{height}, another shape: calibrate at that size"
            )
        return Intrinsics(
            self.fx * scale_x,
            self.fy * scale_y,
            (self.cx + 0.5) * scale_x - 0.5,
            (self.cy + 0.5) * scale_y - 0.5,
            width,
            height,
            self.dist,
        )

    def matrix(self) -> Float64Array:
        """The 3 x 3 camera matrix."""
        return np.array(
            [[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]], dtype=np.float64
        )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source.

    ``image`` is (H, W, 3) uint8 BGR and read-only for consumers. ``t_capture_ns`` is
    monotonic time at the grab, before decoding. ``intrinsics`` is None when the source
    does not know them. ``t_media_ns`` is the picture's time within its file, from the first
    picture on; None: it has none, as a camera's.
    """

    image: BgrImage
    index: int
    t_capture_ns: int
    intrinsics: Intrinsics | None = None
    t_media_ns: int | None = None

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        media = "" if self.t_media_ns is None else f", t_media_s={self.t_media_ns / 1e9:.3f}"
        known = "known" if self.intrinsics is not None else "not known"
        return (
            f"Frame({width}x{height}, index={self.index}, t_capture_s="
            f"{self.t_capture_ns / 1e9:.3f}{media}, intrinsics {known})"
        )

    @property
    def t_ns(self) -> int:
        """When it was taken: what drives filters. The file's own time, else of the capture."""
        return self.t_capture_ns if self.t_media_ns is None else self.t_media_ns


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detected face.

    ``box_px`` (4,) float32 x0 y0 x1 y1; ``landmarks_px`` (5, 2) float32: left eye, right
    eye, nose, left and right mouth corner as seen in the picture; ``score`` in [0, 1].
    """

    box_px: Float32Array
    landmarks_px: Float32Array
    score: float

    def __repr__(self) -> str:
        return f"Face(box_px={rounded(self.box_px)}, score={self.score:.3f})"


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFace:
    """A face with an identity over time; ``face`` is filtered, ``age_frames`` counts from 0."""

    id: int
    face: Face
    age_frames: int


class Expression(Mapping[str, float]):
    """Coefficients of a face's expression by name, 0 to 1; also an array. Immutable.

    ``expression["jawOpen"]`` is one of them, ``np.asarray(expression)`` all in the order of
    ``names``. The names are the model's own: ARKit's for the shipped one, whose Left and Right
    are the person's own.

    Args:
        names: each once.
        values: (k,) one for each name; copied.
    """

    __slots__ = ("_place", "_values")

    def __init__(self, names: Sequence[str], values: npt.ArrayLike) -> None:
        self._values = np.array(values, dtype=np.float32)
        self._values.flags.writeable = False
        self._place = {name: k for k, name in enumerate(names)}
        if self._values.shape != (len(self._place),) or len(names) != len(self._place):
            raise DataError(
                f"an expression of {len(names)} names, each once, has as many values, not an "
                f"array of {self._values.shape}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coefficients, in the order of the array."""
        return tuple(self._place)

    def __getitem__(self, name: str) -> float:
        try:
            return float(self._values[self._place[name]])
        except KeyError:
            raise KeyError(
                f"there is no coefficient {name!r}: it has {', '.join(self._place)}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        # Read-only as it is, or a copy of the caller's own.
        return np.array(self._values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        strongest = sorted(self._place, key=lambda name: -self[name])[:4]
        said = ", ".join(f"{name}={self[name]:.2f}" for name in strongest)
        more = len(self) - len(strongest)
        return f"Expression({said}{f', and {more} lower' if more > 0 else ''})"


class EulerAngles(NamedTuple):
    """A head's turn in degrees; R = Ry(yaw) Rx(pitch) Rz(roll), so roll comes first.

    ``yaw`` is positive toward the person's own right, which is left in the picture; ``pitch``
    nose down; ``roll`` toward the person's own left shoulder, clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class EyeAngles:
    """Where one eye looks, in the face frame: radians from straight ahead.

    ``yaw_rad`` is positive toward the person's own right, ``pitch_rad`` positive down: the
    signs of a head's turns about the face frame's y and x.
    """

    yaw_rad: float
    pitch_rad: float

    @property
    def direction_face(self) -> Float64Array:
        """(3,) unit vector in the face frame; straight ahead is (0, 0, -1)."""
        cos_pitch = math.cos(self.pitch_rad)
        return np.array(
            [
                -math.sin(self.yaw_rad) * cos_pitch,
                math.sin(self.pitch_rad),
                -math.cos(self.yaw_rad) * cos_pitch,
            ]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Gaze:
    """Where both eyes look. ``left`` and ``right`` are the person's own.

    ``R_camera_face`` (3, 3) is the head's rotation at that time.
    """

    left: EyeAngles
    right: EyeAngles
    R_camera_face: Float64Array

    @property
    def both(self) -> EyeAngles:
        """The mean of the two."""
        return EyeAngles(
            0.5 * (self.left.yaw_rad + self.right.yaw_rad),
            0.5 * (self.left.pitch_rad + self.right.pitch_rad),
        )

    @property
    def directions_camera(self) -> Float64Array:
        """(2, 3) unit vectors of the left and the right eye in the camera frame."""
        directions = np.stack([self.left.direction_face, self.right.direction_face])
        return np.asarray(directions @ self.R_camera_face.T)
