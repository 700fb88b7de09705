"""A face as ``.npz``: the fields that scripts outside rely on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtrecon.files import write_files
from rtrecon.geometry.reconstruction import FaceReconstruction

__all__ = ["encode_npz", "save_npz"]


def encode_npz(face: FaceReconstruction) -> bytes:
    """The file's contents.

    ``depth_m`` (H, W) float32 of the picture, NaN off the face; ``box_px`` (4,) x0 y0 x1 y1;
    ``landmarks_px`` (5, 2); ``score``; ``intrinsics`` (4,) fx fy cx cy; ``T_camera_face``
    (4, 4); ``points_camera`` (n, 3) float32 metres; ``colors`` (n, 3) uint8 RGB;
    ``triangles`` (m, 3) int32 into the points. All in the camera frame, as reconstructed.
    Where the model gives them: ``expression`` (k,) float32 and ``expression_names`` (k,);
    ``landmarks68_px`` (68, 2) float32.
    """
    camera = face.intrinsics
    mesh = face.mesh()
    fields: dict[str, npt.NDArray[Any]] = {
        "depth_m": face.depth_in_frame((camera.height, camera.width)),
        "box_px": np.asarray(face.box_px, dtype=np.float32),
        "landmarks_px": np.asarray(face.landmarks_px, dtype=np.float32),
        "score": np.array(face.score, dtype=np.float32),
        "intrinsics": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        "T_camera_face": np.asarray(face.T_camera_face, dtype=np.float64),
        "points_camera": mesh.vertices,
        "colors": mesh.colors,
        "triangles": mesh.triangles,
    }
    if face.expression is not None:
        fields["expression"] = np.asarray(face.expression)
        fields["expression_names"] = np.array(face.expression.names, dtype=np.str_)
    if face.landmarks68_px is not None:
        fields["landmarks68_px"] = face.landmarks68_px
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **fields)
    return buffer.getvalue()


def save_npz(face: FaceReconstruction, path: str | Path, *, overwrite: bool = True) -> None:
    """Write `encode_npz` to ``path``.

    Raises:
        OutputError: it cannot be written.
    """
    write_files({Path(path): encode_npz(face)}, overwrite=overwrite)
