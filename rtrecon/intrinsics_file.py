"""Calibration files of cameras: what they say is used as meant, or refused.

Ours is JSON with ``fx fy cx cy width height dist`` in pixels. JSON with the names that OpenCV, ROS,
COLMAP, nerfstudio, RealSense and Kalibr use for the same is read too, and COLMAP's cameras.txt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rtrecon.errors import DataError
from rtrecon.json_text import parse_json

__all__ = ["IntrinsicsFields", "parse_intrinsics"]

_WANTED = (
    'it must be JSON with numbers "fx", "fy", "cx", "cy", "width", "height" and optional "dist"'
)
_ORDER = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4", "tx", "ty")
_COUNTS = (4, 5, 8, 12, 14)

# Names without case, blanks and underscores.
_FOCAL_X, _FOCAL_Y = ("fx", "flx", "focalx"), ("fy", "fly", "focaly")
_CENTRE_X, _CENTRE_Y = ("cx", "ppx"), ("cy", "ppy")
_WIDTH, _HEIGHT = ("width", "w", "imagewidth"), ("height", "h", "imageheight")
_MATRIX = ("cameramatrix", "k", "mtx", "intrinsicmatrix", "intrinsics", "matrix")
_SIZE = ("imagesize", "resolution", "size")
_DIST = (
    *("dist", "d", "distcoeffs", "distcoeff", "distcoefs", "distcoefficients", "coeffs"),
    *("distortion", "distortioncoeffs", "distortioncoefficients"),
)
_MODELS = ("model", "cameramodel", "distortionmodel", "lensmodel", "projection", "cameratype")
_NOT_A_LENS = ("skew", "xi", "alpha", "b1", "b2")  # of other models; nothing where they are zero
_FLAGS = ("fisheye", "isfisheye", "omnidirectional")

# COLMAP's parameters, in its order, by its name of the model.
_COLMAP: dict[str, tuple[str, ...]] = {
    "simplepinhole": ("f", "cx", "cy"),
    "pinhole": ("fx", "fy", "cx", "cy"),
    "simpleradial": ("f", "cx", "cy", "k1"),
    "radial": ("f", "cx", "cy", "k1", "k2"),
    "opencv": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "fullopencv": ("fx", "fy", "cx", "cy", *_ORDER[:8]),
}
_OPENCVS_OWN = {
    *_COLMAP,
    *("perspective", "brown", "brownconrady", "radtan", "radialtangential", "plumbbob"),
    *("rationalpolynomial", "rational", "thinprism", "thinprismmodel", "standard", "rectilinear"),
    *("none", "nodistortion", "undistorted", "tilted"),
}


class IntrinsicsFields(NamedTuple):
    """The arguments of `Intrinsics`, in its order."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    dist: tuple[float, ...]


def parse_intrinsics(text: str) -> IntrinsicsFields:
    """The calibration in the contents of a file.

    Raises:
        DataError: it is no calibration of one camera, or of a lens whose model is not OpenCV's.
        ValueError: it is not JSON.
    """
    start = text.lstrip("\ufeff \t\r\n")
    colmap = _colmap_rows(start)
    if colmap:
        return _of_colmap(colmap)
    if start.startswith("<"):
        raise DataError(f"it is XML: {_WANTED}")
    if start.startswith("%YAML") or re.match(r"[A-Za-z_]\w*:\s", start):
        raise DataError(f"it is YAML: {_WANTED}")
    return _of_mapping(parse_json(start))


def _of_mapping(data: Any) -> IntrinsicsFields:
    if not isinstance(data, Mapping):
        raise DataError(f"it is a {type(data).__name__}: {_WANTED}")
    named: dict[str, Any] = {}
    for key, value in data.items():
        if named.setdefault(_plain(key), value) is not value:
            raise DataError(f"{key!r} is there twice, spelt in two ways: leave one")
    inner = [value for value in data.values() if isinstance(value, Mapping)]
    if not any(name in named for name in (*_FOCAL_X, *_MATRIX, "params", "f")):
        if len(inner) == 1:  # Kalibr's "cam0" and the like
            return _of_mapping(inner[0])
        if len(inner) > 1:
            raise DataError(f"it has {len(inner)} cameras: give one alone")
    model = _model(named)
    if "params" in named:
        return _of_params(model, named)
    fx, fy, cx, cy = _matrix(named)
    width, height = _size(named)
    return IntrinsicsFields(fx, fy, cx, cy, width, height, _dist(named, model))


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def _model(named: Mapping[str, Any]) -> str:
    """The plain name of the lens model, empty if none is named; refuses what is not OpenCV's."""
    for name in _FLAGS:
        if named.get(name):
            raise DataError(_refusal(name))
    for name in _NOT_A_LENS:
        if name in named and any(_numbers(named[name])):
            raise DataError(
                f'"{name}" is of another lens model than OpenCV\'s, and changes distances: '
                "calibrate with OpenCV's pinhole model, without skew"
            )
    model = ""
    for name in _MODELS:
        said = named.get(name)
        if said is None or said == "":
            continue
        if not isinstance(said, str):
            raise DataError(f'"{name}" must name a lens model, not {said!r}')
        model = _plain(said.lower().removeprefix("distortion."))
        if model not in _OPENCVS_OWN:
            raise DataError(_refusal(said))
    return model


def _refusal(model: str) -> str:
    return (
        f"the lens model {model!r} cannot be used, only OpenCV's for pinhole cameras (OPENCV, "
        "PINHOLE, RADIAL, plumb_bob, radtan, ...): undistort the pictures and give the "
        'calibration of those without "dist", or calibrate again with that model'
    )


def _matrix(named: Mapping[str, Any]) -> tuple[float, float, float, float]:
    rows = _first(named, _MATRIX)
    if rows is not None:
        numbers = _numbers(rows)
        if len(numbers) == 4:  # Kalibr
            return numbers[0], numbers[1], numbers[2], numbers[3]
        if len(numbers) != 9 or numbers[6:] != [0.0, 0.0, 1.0] or numbers[3] != 0.0:
            raise DataError(
                f"a camera matrix is fx 0 cx, 0 fy cy, 0 0 1, row by row, not {numbers}"
            )
        if numbers[1] != 0.0:
            raise DataError("the camera matrix has a skew: calibrate without")
        return numbers[0], numbers[4], numbers[2], numbers[5]
    both = named.get("f")
    fx = _number(named, _FOCAL_X, both)
    fy = _number(named, _FOCAL_Y, both)
    return fx, fy, _number(named, _CENTRE_X), _number(named, _CENTRE_Y)


def _size(named: Mapping[str, Any]) -> tuple[int, int]:
    both = _first(named, _SIZE)
    if both is not None:
        numbers = _numbers(both)
        if len(numbers) != 2:
            raise DataError(f"a size is width and height, not {both!r}")
        sides = (numbers[0], numbers[1])
    else:
        sides = (_number(named, _WIDTH), _number(named, _HEIGHT))
    if not all(math.isfinite(side) and side == int(side) for side in sides):
        raise DataError(f"width and height are whole pixels, not {sides[0]:g}x{sides[1]:g}")
    return int(sides[0]), int(sides[1])


def _dist(named: Mapping[str, Any], model: str) -> tuple[float, ...]:
    listed = _first(named, _DIST)
    singly = {name: _number(named, (name,)) for name in _ORDER if name in named}
    if isinstance(listed, Mapping) and "data" not in listed:
        inner = {_plain(key): value for key, value in listed.items()}
        if unknown := sorted(set(inner) - set(_ORDER)):
            raise DataError(
                f"distortion {', '.join(unknown)} is not understood: name {' '.join(_ORDER)}"
            )
        singly, listed = {name: _number(inner, (name,)) for name in inner}, None
    dist = tuple(_numbers(listed)) if listed is not None else ()
    if singly and any(dist):
        raise DataError('the distortion is there twice, as "dist" and by names: leave one')
    if singly:
        last = max(_ORDER.index(name) for name in singly) + 1
        count = next(count for count in _COUNTS if count >= last)
        dist = tuple(singly.get(name, 0.0) for name in _ORDER[:count])
    if model in ("none", "nodistortion", "undistorted") and any(dist):
        raise DataError(f'the lens model is {model!r}, yet "dist" is not zero: which is right?')
    return dist


def _of_params(model: str, named: Mapping[str, Any]) -> IntrinsicsFields:
    """COLMAP's list of parameters; it counts from the corner of the first pixel."""
    params = _numbers(named["params"])
    names = _COLMAP.get(model)
    if names is None:
        raise DataError(_refusal(model or "without a name"))
    if len(params) != len(names):
        raise DataError(
            f"COLMAP's {model} has {len(names)} parameters, {' '.join(names)}, not {len(params)}"
        )
    by_name: dict[str, Any] = dict(zip(names, params, strict=True))
    by_name["cx"] -= 0.5
    by_name["cy"] -= 0.5
    return IntrinsicsFields(*_matrix(by_name), *_size(named), _dist(by_name, model))


def _colmap_rows(text: str) -> list[list[str]]:
    """Rows of a cameras.txt: id, model, width, height, parameters; empty if it is none."""
    rows = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    fits = rows and all(
        len(row) > 4 and row[0].isdigit() and re.fullmatch(r"[A-Z_]+", row[1]) for row in rows
    )
    return rows if fits else []


def _of_colmap(rows: Sequence[Sequence[str]]) -> IntrinsicsFields:
    if len(rows) > 1:
        raise DataError(f"it has {len(rows)} cameras: give one alone")
    _, model, width, height, *params = rows[0]
    return _of_mapping({"model": model, "width": width, "height": height, "params": params})


def _first(named: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((named[name] for name in names if named.get(name) is not None), None)


def _number(named: Mapping[str, Any], names: Sequence[str], default: Any = None) -> float:
    value = _first(named, names)
    if value is None:
        value = default
    numbers = [] if value is None else _numbers(value)
    if len(numbers) != 1:
        said = "is missing" if value is None else f"must be one number, not {value!r}"
        raise DataError(f'"{names[0]}" {said}: {_WANTED}')
    return numbers[0]


def _numbers(value: Any) -> list[float]:
    """A number, or lists of them as rows or columns, as one list."""
    if isinstance(value, Mapping) and "data" in value:  # OpenCV and ROS
        value = value["data"]
    if isinstance(value, (list, tuple)):
        return [number for part in value for number in _numbers(part)]
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise DataError(f"{value!r} is not a number: {_WANTED}")
    try:
        return [float(value)]
    except (ValueError, OverflowError) as error:
        raise DataError(f"{value!r} is not a number: {_WANTED}") from error
