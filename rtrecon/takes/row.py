"""One line of a take's ``frames.jsonl``: a result without its picture, every bit of it.

The fields, with units and frames of reference, are in docs/takes.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rtrecon.errors import RtreconError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.json_text import parse_json
from rtrecon.types import Expression, EyeAngles, Float32Array, Float64Array, Intrinsics

__all__ = ["TakeRow", "TakenFace"]

_LARGEST = 1e9  # of any number but times: nothing that was seen is so far off
_LATEST_NS = 1 << 62
_MOST_PIXELS = 1 << 26


@dataclass(frozen=True, slots=True, eq=False)
class TakenFace:
    """What a `FaceReconstruction` says of a face, but for its surface; fields as there.

    ``gaze`` are the left and the right eye's angles, the person's own.
    """

    id: int
    score: float
    box_px: Float32Array
    landmarks_px: Float32Array
    z_ref_m: float
    T_camera_face: Float64Array
    expression: Expression | None = None
    gaze: tuple[EyeAngles, EyeAngles] | None = None
    landmarks68_px: Float32Array | None = None
    landmarks68_camera: Float32Array | None = None

    @classmethod
    def of(cls, face: FaceReconstruction) -> TakenFace:
        """What is kept of ``face``."""
        return cls(
            id=face.id,
            score=float(face.score),
            box_px=face.box_px,
            landmarks_px=face.landmarks_px,
            z_ref_m=float(face.z_ref_m),
            T_camera_face=face.T_camera_face,
            expression=face.expression,
            gaze=None if face.gaze is None else (face.gaze.left, face.gaze.right),
            landmarks68_px=face.landmarks68_px,
            landmarks68_camera=face.landmarks68_camera,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TakeRow:
    """One result of a take.

    Attributes:
        index: of the picture in the run that was recorded.
        t_ns: a film's own time, or since the first picture of the take.
        t_capture_ns: when it was taken, by the monotonic clock of the machine that recorded.
        size_px: width and height of the picture.
        intrinsics: of the picture; None where there was no face in it.
        faces: in the order of the result.
    """

    index: int
    t_ns: int
    t_capture_ns: int
    size_px: tuple[int, int]
    intrinsics: Intrinsics | None
    faces: tuple[TakenFace, ...]

    def to_line(self) -> bytes:
        """The line, with its end. Reading it gives the same bits."""
        camera = None if self.intrinsics is None else asdict(self.intrinsics)
        start = {
            "frame": self.index,
            "t_ns": self.t_ns,
            "t_capture_ns": self.t_capture_ns,
            "size_px": self.size_px,
            "tracked": bool(self.faces),
            "intrinsics": camera,
        }
        faces = ", ".join(_face_text(face) for face in self.faces)
        # Not all of it by `json`: it would write 32 bits with the digits of 64.
        return f'{json.dumps(start)[:-1]}, "faces": [{faces}]}}\n'.encode("ascii")

    @classmethod
    def from_line(cls, line: bytes) -> TakeRow:
        """What a line holds.

        Raises:
            ValueError: it is no such line; says why.
        """
        data = parse_json(line)
        try:
            width, height = (_whole(side, 1 << 16) for side in data["size_px"])
            if min(width, height) < 1 or width * height > _MOST_PIXELS:
                raise ValueError(f"there are no pictures of {width}x{height}")
            camera = data["intrinsics"]
            return cls(
                index=_whole(data["frame"]),
                t_ns=_whole(data["t_ns"]),
                t_capture_ns=_whole(data["t_capture_ns"]),
                size_px=(width, height),
                intrinsics=None if camera is None else _intrinsics(camera),
                faces=tuple(_face(face) for face in data["faces"]),
            )
        except KeyError as error:
            raise ValueError(f"it has no {error}") from error
        except (TypeError, OverflowError, AttributeError) as error:
            raise ValueError(f"it is not what it should be ({error})") from error
        except RtreconError as error:
            raise ValueError(str(error)) from error


def _face_text(face: TakenFace) -> str:
    gaze = None
    if face.gaze is not None:
        left, right = face.gaze
        gaze = {
            "left_yaw_rad": _number(left.yaw_rad),
            "left_pitch_rad": _number(left.pitch_rad),
            "right_yaw_rad": _number(right.yaw_rad),
            "right_pitch_rad": _number(right.pitch_rad),
        }
    start = {"id": face.id, "score": _number(face.score), "z_ref_m": _number(face.z_ref_m)}
    parts = [
        json.dumps(start)[1:-1],
        f'"box_px": {_text(face.box_px)}',
        f'"landmarks_px": {_text(face.landmarks_px)}',
        f'"T_camera_face": {_text(face.T_camera_face)}',
        f'"gaze": {json.dumps(gaze)}',
        f'"coefficients": {_named_text(face.expression)}',
        f'"landmarks68_px": {_text(face.landmarks68_px)}',
        f'"landmarks68_camera": {_text(face.landmarks68_camera)}',
    ]
    return f"{{{', '.join(parts)}}}"


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _texts(values: npt.NDArray[Any]) -> list[str]:
    """Each number with as few digits as give it back; what is not finite, which JSON lacks, null.

    64 bits are as Python writes them; so are 32 bits, with their own fewer digits.
    """
    if values.dtype == np.float64:
        return [repr(v) if math.isfinite(v) else "null" for v in values.ravel().tolist()]
    texts: list[str] = values.ravel().astype("U32").tolist()
    if not np.isfinite(values).all():
        return [text if text[-1].isdigit() or text[-1] == "." else "null" for text in texts]
    return texts


def _text(values: npt.NDArray[Any] | None) -> str:
    if values is None:
        return "null"
    texts = _texts(values)
    if values.ndim == 1:
        return f"[{', '.join(texts)}]"
    wide = values.shape[1]
    rows = (", ".join(texts[k : k + wide]) for k in range(0, len(texts), wide))
    return f"[{', '.join(f'[{row}]' for row in rows)}]"


def _named_text(expression: Expression | None) -> str:
    if expression is None:
        return "null"
    texts = _texts(np.asarray(expression))
    pairs = zip(expression.names, texts, strict=True)
    return f"{{{', '.join(f'{json.dumps(name)}: {text}' for name, text in pairs)}}}"


def _face(data: Mapping[str, Any]) -> TakenFace:
    named = data["coefficients"]
    gaze = data["gaze"]
    values = (
        None if named is None else _array32("coefficients", list(named.values()), (len(named),))
    )
    return TakenFace(
        id=_whole(data["id"]),
        score=_real(data["score"]),
        box_px=_finite("box_px", _array32("box_px", data["box_px"], (4,))),
        landmarks_px=_finite(
            "landmarks_px", _array32("landmarks_px", data["landmarks_px"], (5, 2))
        ),
        z_ref_m=_real(data["z_ref_m"]),
        T_camera_face=_array("T_camera_face", data["T_camera_face"], (4, 4)),
        expression=None if values is None else Expression(list(named), values),
        gaze=None if gaze is None else (_eye(gaze, "left"), _eye(gaze, "right")),
        landmarks68_px=_optional("landmarks68_px", data, (68, 2)),
        landmarks68_camera=_optional("landmarks68_camera", data, (68, 3)),
    )


def _eye(gaze: Mapping[str, Any], side: str) -> EyeAngles:
    return EyeAngles(_real(gaze[f"{side}_yaw_rad"]), _real(gaze[f"{side}_pitch_rad"]))


def _intrinsics(data: Mapping[str, Any]) -> Intrinsics:
    fx, fy, cx, cy, *dist = map(
        float, (*(data[k] for k in ("fx", "fy", "cx", "cy")), *data["dist"])
    )
    width, height = _whole(data["width"], 1 << 16), _whole(data["height"], 1 << 16)
    return Intrinsics(fx, fy, cx, cy, width, height, tuple(dist))


def _whole(value: object, most: int = _LATEST_NS) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -most < value < most:
        raise ValueError(f"{value!r:.40} is no whole number that can be")
    return value


def _real(value: object) -> float:
    if value is None:
        return math.nan
    if not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        raise ValueError(f"{value!r:.40} is no number that can be")
    return float(value)


def _array(name: str, data: Any, shape: tuple[int, ...]) -> Float64Array:
    """Numbers of that shape; null is NaN."""
    values = np.array(data, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"{name} has the shape {values.shape}, not {shape}")
    if (np.abs(values) > _LARGEST).any():
        raise ValueError(f"{name} has numbers that cannot be")
    return values


def _array32(name: str, data: Any, shape: tuple[int, ...]) -> Float32Array:
    return _array(name, data, shape).astype(np.float32)


def _optional(name: str, data: Mapping[str, Any], shape: tuple[int, ...]) -> Float32Array | None:
    return None if data[name] is None else _array32(name, data[name], shape)


def _finite(name: str, values: Float32Array) -> Float32Array:
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has numbers that are none")
    return values
