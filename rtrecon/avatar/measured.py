"""What is measured of a face, as avatars take it: pose, and coefficients in ARKit's order."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtrecon.avatar.rotations import Quaternion, Vector, from_matrix
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Float32Array

__all__ = ["ArkitValues", "pose_of"]

_Places = npt.NDArray[np.intp]


class ArkitValues:
    """Coefficients of faces in ARKit's order; remembers where each is in what the model gives."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._from: _Places = np.zeros(0, dtype=np.intp)
        self._to: _Places = np.zeros(0, dtype=np.intp)

    def __call__(self, face: FaceReconstruction) -> Float32Array:
        """(52,) float32, new; what the model does not give is 0."""
        values = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
        if face.expression is None:
            return values
        if face.expression.names != self._names:
            self._names = face.expression.names
            known = [(k, n) for k, n in enumerate(self._names) if n in ARKIT_NAMES]
            self._from = np.array([k for k, _ in known], dtype=np.intp)
            self._to = np.array([ARKIT_NAMES.index(n) for _, n in known], dtype=np.intp)
        values[self._to] = np.asarray(face.expression)[self._from]
        return values


def pose_of(face: FaceReconstruction) -> tuple[Quaternion, Vector]:
    """Turn and place of a head in the camera's frame, metres."""
    x, y, z = face.T_camera_face[:3, 3].tolist()
    return from_matrix(face.T_camera_face[:3, :3]), (x, y, z)
