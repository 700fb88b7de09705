"""The tables of an archive: their columns, their version, and their rows. See docs/archive.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from rtrecon.errors import DataError, MissingExtraError, OutputError
from rtrecon.files import Draft
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Float32Array, Intrinsics

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COMPRESSION",
    "SCHEMA_VERSION",
    "Rows",
    "decode_depth",
    "depth_schema",
    "encode_depth",
    "faces_schema",
    "frames_schema",
    "import_pyarrow",
    "read_table",
    "write_table",
]

SCHEMA_VERSION = 1
COMPRESSION = "zstd"
_DEPTH_UNIT_MM = 0.1
_COARSE_UNIT_MM = 1.0  # where a face is further away than 6.5 m
_MOST = 65_535
_FAST_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1)


def import_pyarrow() -> Any:
    """The module ``pyarrow`` with its Parquet.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "cluster") from error
    return pyarrow


def frames_schema() -> pa.Schema:
    """One row for each picture that was looked at."""
    pa = import_pyarrow()
    columns = [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("t_ns", pa.int64()),
        pa.field("picture", pa.string()),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        *(pa.field(name, pa.float64()) for name in ("fx", "fy", "cx", "cy")),
        pa.field("turned_deg", pa.int16(), nullable=False),
        pa.field("faces", pa.int16(), nullable=False),
    ]
    return pa.schema(columns, metadata=_metadata("frames"))


def faces_schema(coefficients: Sequence[str]) -> pa.Schema:
    """One row for each face of each picture; a column for each of the ``coefficients``."""
    pa = import_pyarrow()
    f32, f64 = pa.float32(), pa.float64()
    columns = [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("t_ns", pa.int64()),
        pa.field("id", pa.int32(), nullable=False),
        pa.field("score", f32, nullable=False),
        pa.field("box_px", pa.list_(f32, 4), nullable=False),
        pa.field("landmarks_px", pa.list_(f32, 10), nullable=False),
        pa.field("landmarks68_px", pa.list_(f32, 136)),
        pa.field("distance_m", f64, nullable=False),
        pa.field("z_ref_m", f64, nullable=False),
        pa.field("T_camera_face", pa.list_(f64, 16), nullable=False),
        pa.field("gaze_rad", pa.list_(f32, 4)),
        *(pa.field(name, f32) for name in coefficients),
    ]
    return pa.schema(columns, metadata=_metadata("faces"))


def depth_schema() -> pa.Schema:
    """One row for each face of each picture: its depth as a PNG of 16 bits."""
    pa = import_pyarrow()
    columns = [
        pa.field("frame", pa.int64(), nullable=False),
        pa.field("t_ns", pa.int64()),
        pa.field("id", pa.int32(), nullable=False),
        pa.field("unit_mm", pa.float32(), nullable=False),
        pa.field("M_picture_crop", pa.list_(pa.float64(), 6), nullable=False),
        pa.field("png", pa.binary(), nullable=False),
    ]
    return pa.schema(columns, metadata=_metadata("depth"))


class Rows:
    """Rows of one table, gathered column by column.

    Args:
        schema: of the table.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        self.count = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row; columns that it lacks are null."""
        for name, values in self._columns.items():
            values.append(row.get(name))
        self.count += 1

    def table(self) -> pa.Table:
        """All of them."""
        return import_pyarrow().Table.from_pydict(self._columns, schema=self.schema)


def frame_row(
    number: int,
    t_ns: int | None,
    size: tuple[int, int],
    faces: Sequence[FaceReconstruction],
    *,
    picture: str | None = None,
    turned_deg: int = 0,
) -> dict[str, Any]:
    """Of one picture of (width, height) ``size``."""
    camera: Intrinsics | None = faces[0].intrinsics if faces else None
    known = {} if camera is None else {k: getattr(camera, k) for k in ("fx", "fy", "cx", "cy")}
    return {
        "frame": number,
        "t_ns": t_ns,
        "picture": picture,
        "width": size[0],
        "height": size[1],
        **known,
        "turned_deg": turned_deg,
        "faces": len(faces),
    }


def face_row(
    number: int, t_ns: int | None, face_id: int, face: FaceReconstruction
) -> dict[str, Any]:
    """Of one face. What is not finite is null, or NaN within a list."""
    T = face.T_camera_face
    gaze = None
    if face.gaze is not None:
        left, right = face.gaze.left, face.gaze.right
        gaze = [left.yaw_rad, left.pitch_rad, right.yaw_rad, right.pitch_rad]
    marks = face.landmarks68_px
    return {
        "frame": number,
        "t_ns": t_ns,
        "id": face_id,
        "score": face.score,
        "box_px": face.box_px,
        "landmarks_px": face.landmarks_px.ravel(),
        "landmarks68_px": None if marks is None else marks.ravel(),
        "distance_m": math.dist((0.0, 0.0, 0.0), T[:3, 3].tolist()),
        "z_ref_m": face.z_ref_m,
        "T_camera_face": T.ravel(),
        "gaze_rad": gaze,
        **({} if face.expression is None else dict(face.expression)),
    }


def depth_row(
    number: int, t_ns: int | None, face_id: int, face: FaceReconstruction
) -> dict[str, Any]:
    """Of one face."""
    png, unit_mm = encode_depth(face.depth_m)
    return {
        "frame": number,
        "t_ns": t_ns,
        "id": face_id,
        "unit_mm": unit_mm,
        "M_picture_crop": face.crop.M_picture_crop.ravel(),
        "png": png,
    }


def encode_depth(depth_m: Float32Array) -> tuple[bytes, float]:
    """Depth (h, w) in metres, NaN off the face, as a PNG of 16 bits, and its unit in mm.

    0 is nothing, and so is what is further away than 65 m.
    """
    known = np.isfinite(depth_m)
    far_m = float(depth_m.max(where=known, initial=0.0))
    unit_mm = _DEPTH_UNIT_MM if far_m < _MOST * _DEPTH_UNIT_MM * 1e-3 else _COARSE_UNIT_MM
    steps = np.zeros(depth_m.shape, dtype=np.float64)
    np.multiply(depth_m, 1e3 / unit_mm, out=steps, where=known)
    np.rint(steps, out=steps)
    steps[(steps < 1) | (steps > _MOST)] = 0
    ok, png = cv2.imencode(".png", steps.astype(np.uint16), _FAST_PNG)
    assert ok
    return png.tobytes(), unit_mm


def decode_depth(png: bytes, unit_mm: float) -> Float32Array:
    """Depth (h, w) in metres, NaN where there is nothing, of a row of the table.

    Raises:
        DataError: it is no such picture.
    """
    steps = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if steps is None or steps.dtype != np.uint16 or steps.ndim != 2:
        raise DataError("a depth of this table is no PNG of 16 bits")
    depth = steps.astype(np.float32) * np.float32(unit_mm * 1e-3)
    return np.where(steps > 0, depth, np.float32(np.nan)).astype(np.float32)


def write_table(path: Path, table: pa.Table) -> None:
    """Write one Parquet file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    import_pyarrow()
    import pyarrow.parquet as pq

    draft = Draft(path)
    try:
        with draft.open() as file:
            pq.write_table(table, file, compression=COMPRESSION)
    except OSError as error:
        draft.discard()
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        draft.discard()
        raise
    draft.complete()


def read_table(path: Path) -> pa.Table:
    """A table that `write_table` wrote.

    Raises:
        DataError: it is missing or damaged.
    """
    pa = import_pyarrow()
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path, memory_map=False).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"cannot read the table {path}: {error}") from error


def _metadata(table: str) -> dict[str, str]:
    return {"rtrecon.table": f"archive.{table}", "rtrecon.version": str(SCHEMA_VERSION)}
