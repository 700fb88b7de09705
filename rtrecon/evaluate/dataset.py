"""Pictures with measured depth, from a folder of the fixed format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.capture.pictures import read_picture
from rtrecon.errors import DataError
from rtrecon.json_text import read_json
from rtrecon.types import BgrImage, Float32Array, Float64Array, Intrinsics

__all__ = ["DepthDataset", "DepthSample", "FaceTruth"]

BoolArray = npt.NDArray[np.bool_]

_CAMERA = ("fx", "fy", "cx", "cy")


@dataclass(frozen=True, slots=True, eq=False)
class FaceTruth:
    """What is known of a face beside its depth; None where it is not.

    ``expression``: coefficients by name. ``R_camera_face`` (3, 3) float64: the identity for a
    face that looks along the camera's axis. ``landmarks68_px`` (68, 2) float32: iBUG's points in
    the picture. ``person``: who it is, where several frames are of one.
    """

    expression: Mapping[str, float] | None = None
    R_camera_face: Float64Array | None = None
    landmarks68_px: Float32Array | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DepthSample:
    """One frame: ``image`` (H, W, 3) uint8 BGR; ``depth_m`` (H, W) float32 metres, NaN where
    nothing was measured; ``scored`` (H, W) bool, measured and (if the dataset says) face;
    ``truth`` what else it says."""

    id: str
    image: BgrImage
    depth_m: Float32Array
    scored: BoolArray
    intrinsics: Intrinsics
    t_s: float
    truth: FaceTruth = FaceTruth()


class DepthDataset:
    """A folder with ``rgb/ID.png``, ``depth/ID.png`` (16 bit, times ``depth_unit_mm``, 0 is
    nothing), optional ``face/ID.png`` (above 127: score here) and ``meta.json`` (``fx, fy, cx,
    cy, depth_unit_mm, frames: [{id, ...}]``, optional ``fps``; a frame may have ``fx, fy, cx,
    cy`` and ``t_s`` of its own). A frame may also have what `FaceTruth` holds: ``expression``, a
    number for each of the dataset's ``expression_names``; ``R_camera_face``, three rows of
    three; ``landmarks68_px``, 68 pairs x, y; ``person``, a name.

    Raises:
        DataError: ``meta.json`` is missing or wrong, or there is no frame.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "meta.json"
        try:
            meta: dict[str, Any] = read_json(path)
            self._camera = {name: float(meta[name]) for name in _CAMERA}
            self._unit_m = float(meta["depth_unit_mm"]) * 1e-3
            self._fps = float(meta.get("fps", 30.0))
            self._frames: list[dict[str, Any]] = [dict(frame) for frame in meta["frames"]]
            self.ids = [str(frame["id"]) for frame in self._frames]
            self._names = tuple(str(name) for name in meta.get("expression_names", ()))
        except OSError as error:
            raise DataError(
                f"cannot read {path}: {error.strerror}; a dataset is a folder with meta.json, "
                "rgb/ and depth/"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise DataError(
                f"{path} is not what it should be ({type(error).__name__}: {error}): it must have "
                'numbers fx, fy, cx, cy, depth_unit_mm and "frames": [{"id": ...}, ...]'
            ) from error
        outside = [
            name for name in self.ids if ".." in Path(name).parts or Path(name).is_absolute()
        ]
        if outside:
            raise DataError(f"{path}: the id {outside[0]!r} leads out of the folder")
        if not self.ids:
            raise DataError(f"{path} names no frame")
        known = (*self._camera.values(), self._unit_m, self._fps)
        if not all(map(math.isfinite, known)) or self._unit_m <= 0 or self._fps <= 0:
            raise DataError(f"{path}: numbers must be finite, depth_unit_mm and fps above zero")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_people(self) -> bool:
        """Whether it says who any frame is of."""
        return any(frame.get("person") is not None for frame in self._frames)

    def __iter__(self) -> Iterator[DepthSample]:
        for number in range(len(self.ids)):
            yield self[number]

    def __getitem__(self, number: int) -> DepthSample:
        """Frame ``number``.

        Raises:
            DataError: a file is missing, of another size or type.
        """
        name, frame = self.ids[number], self._frames[number]
        image = read_picture(self._path("rgb", name)).image
        raw = self._read("depth", name, cv2.IMREAD_UNCHANGED)
        if raw.dtype != np.uint16 or raw.ndim != 2:
            raise DataError(f"{self.folder}/depth/{name}.png must be 16 bit with one channel")
        height, width = image.shape[:2]
        if raw.shape != (height, width):
            raise DataError(f"{self.folder}: depth and rgb of {name} differ in size")
        depth_m = np.where(raw > 0, raw * np.float32(self._unit_m), np.float32(np.nan))
        scored: BoolArray = raw > 0
        if (self.folder / "face" / f"{name}.png").exists():
            face = self._read("face", name, cv2.IMREAD_GRAYSCALE)
            if face.shape != (height, width):
                raise DataError(f"{self.folder}: face and rgb of {name} differ in size")
            scored = scored & (face > 127)
        if not scored.any():
            raise DataError(f"{self.folder}: frame {name} has no measured depth on the face")
        try:
            fx, fy, cx, cy = (float(frame.get(key, self._camera[key])) for key in _CAMERA)
            t_s = float(frame.get("t_s", number / self._fps))
            truth = FaceTruth(
                expression=self._expression(frame),
                R_camera_face=_array(frame, "R_camera_face", (3, 3)),
                landmarks68_px=_array(frame, "landmarks68_px", (68, 2)),
                person=None if frame.get("person") is None else str(frame["person"]),
            )
            if not math.isfinite(t_s):
                raise ValueError("t_s must be a time in seconds")
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{self.folder}/meta.json: frame {name}: {error}") from error
        intrinsics = Intrinsics(fx, fy, cx, cy, width, height)
        return DepthSample(name, image, depth_m.astype(np.float32), scored, intrinsics, t_s, truth)

    def _expression(self, frame: dict[str, Any]) -> Mapping[str, float] | None:
        values = _array(frame, "expression", (len(self._names),))
        if values is None:
            return None
        return dict(zip(self._names, values.tolist(), strict=True))

    def _path(self, kind: str, name: str) -> Path:
        path = self.folder / kind / f"{name}.png"
        if not path.is_file():
            raise DataError(f"{path} is missing (meta.json names frame {name})")
        return path

    def _read(self, kind: str, name: str, flags: int) -> npt.NDArray[Any]:
        """A map of numbers, which is no picture: as it is in the file."""
        path = self._path(kind, name)
        image = cv2.imread(str(path), flags)
        if image is None:
            raise DataError(f"{path} is not a picture")
        return image


def _array(frame: dict[str, Any], key: str, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
    """The numbers under ``key``; None where the frame has none.

    Raises:
        ValueError: there are others than ``shape``.
    """
    if frame.get(key) is None:
        return None
    array = np.array(frame[key], dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f'"{key}" must be {shape} numbers, not {array.shape}')
    return array.astype(np.float32) if key == "landmarks68_px" else array
