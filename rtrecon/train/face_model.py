"""The parametric head that training data is made from: ICT-FaceKit (MIT).

Takes an ICT-FaceKit checkout or a compact ``.npz`` of it. Units are centimetres; x to the
face's left, y up, z out of the face (the *head frame*).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.expression import names
from rtrecon.types import Float32Array

__all__ = [
    "ARKIT_NAMES",
    "FACE_MODEL_VARIABLE",
    "LANDMARKS_68",
    "WHERE",
    "FaceModel",
    "default_face_model",
]

Int32Array = npt.NDArray[np.int32]

FACE_MODEL_VARIABLE = "RTRECON_ICT_FACEKIT"
WHERE = (
    "it is ICT-FaceKit, by USC's Institute for Creative Technologies (MIT), from "
    "https://github.com/ICT-VGL/ICT-FaceKit; name its checkout, or a compact .npz, in "
    f"{FACE_MODEL_VARIABLE}"
)

PARTS = {
    "face": (0, 9409),
    "head_neck": (9409, 11248),
    "mouth_socket": (11248, 13294),
    "eye_sockets": (13294, 14062),
    "gums_tongue": (14062, 17039),
    "teeth": (17039, 21451),
    "eye_left": (21451, 23021),
    "eye_right": (23021, 24591),
    "unshaded": (24591, 25351),
    "lashes": (25351, 26719),
}
"""First and last+1 vertex of each part; the unshaded are fluid and occlusion shells."""

# fmt: off
LANDMARKS_68 = np.array([
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088,
    3443, 268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140,
    2075, 1147, 4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216,
    6207, 6470, 5517, 5966,
], dtype=np.int64)
"""Multi-PIE's 68 landmarks as vertices."""

# fmt: on

ARKIT_NAMES = names.ARKIT_NAMES[:-1]
"""ARKit's 52 coefficients without tongueOut, which the head model does not have."""


def default_face_model() -> Path:
    """Where the face model is: as the environment says, else a checkout in the current folder."""
    return Path(os.environ.get(FACE_MODEL_VARIABLE) or "ICT-FaceKit")


@dataclass(frozen=True, slots=True, eq=False)
class FaceModel:
    """Mean head, identity and expression offsets.

    ``vertices`` (26719, 3), ``identity`` (100, 26719, 3) for one standard deviation,
    ``expression`` (57, 26719, 3) for a weight of one, all float32 centimetres;
    ``triangles`` (n, 3) int32; ``uv`` (26719, 2) float32 a vertex (seams take either side).
    """

    vertices: Float32Array
    identity: Float32Array
    expression: Float32Array
    expression_names: tuple[str, ...]
    triangles: Int32Array
    uv: Float32Array

    @classmethod
    def load(cls, path: str | Path) -> FaceModel:
        """Read the model from a ``.npz`` or an ICT-FaceKit checkout.

        Raises:
            DataError: it is missing or is something else.
        """
        path = Path(path)
        if path.is_dir():
            return cls._build(*_read_checkout(path))
        if not path.is_file():
            raise DataError(f"face model {path} does not exist; {WHERE}")
        try:
            with np.load(path, allow_pickle=False) as data:
                fields = [data[name] for name in ("V", "I", "E", "names", "F", "uv", "FT")]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(
                f"face model {path} is not an ICT-FaceKit file ({error}); {WHERE}"
            ) from error
        return cls._build(*fields)

    @classmethod
    def _build(
        cls,
        vertices: npt.NDArray[np.floating],
        identity: npt.NDArray[np.floating],
        expression: npt.NDArray[np.floating],
        names: npt.NDArray[np.str_],
        triangles: npt.NDArray[np.integer],
        uv: npt.NDArray[np.floating],
        uv_triangles: npt.NDArray[np.integer],
    ) -> FaceModel:
        if vertices.shape != (26719, 3) or identity.shape[1:] != vertices.shape:
            raise DataError(f"the face model has another topology than ICT-FaceKit Light; {WHERE}")
        vertex_uv = np.zeros((len(vertices), 2), dtype=np.float32)
        vertex_uv[triangles.ravel()] = uv[uv_triangles.ravel()]
        return cls(
            vertices.astype(np.float32),
            identity.astype(np.float32),
            expression.astype(np.float32),
            tuple(str(name) for name in names),
            triangles.astype(np.int32),
            vertex_uv,
        )

    def shape(self, identity: Float32Array, expression: Float32Array) -> Float32Array:
        """Vertices (26719, 3) for identity weights (<= 100,) and expression weights (57,)."""
        count = len(identity)
        flat = identity @ self.identity[:count].reshape(count, -1)
        flat += expression @ self.expression.reshape(len(expression), -1)
        moved: Float32Array = self.vertices + flat.reshape(-1, 3)
        return moved

    def to_arkit(self, expression: Float32Array) -> Float32Array:
        """The 51 coefficients of `ARKIT_NAMES` for this model's 57 weights; halves are averaged."""
        out = np.zeros(len(ARKIT_NAMES), dtype=np.float32)
        for k, name in enumerate(ARKIT_NAMES):
            sources = self._columns(name)
            out[k] = float(np.mean(expression[sources]))
        return out

    def from_arkit(self, coefficients: Float32Array) -> Float32Array:
        """This model's 57 weights for the 51 coefficients of `ARKIT_NAMES`."""
        out = np.zeros(len(self.expression_names), dtype=np.float32)
        for k, name in enumerate(ARKIT_NAMES):
            out[self._columns(name)] = coefficients[k]
        return out

    def _columns(self, arkit_name: str) -> list[int]:
        names = self.expression_names
        if arkit_name in ("browInnerUp", "cheekPuff"):
            return [names.index(f"{arkit_name}_L"), names.index(f"{arkit_name}_R")]
        for side in ("Left", "Right"):
            own = arkit_name.removesuffix(side) + "_" + side[0]
            if arkit_name.endswith(side) and own in names:
                return [names.index(own)]
        return [names.index(arkit_name)]


def _read_checkout(folder: Path) -> tuple[npt.NDArray[Any], ...]:
    """Read ``FaceXModel/*.obj`` of an ICT-FaceKit checkout."""
    root = folder / "FaceXModel" if (folder / "FaceXModel").is_dir() else folder
    neutral = root / "generic_neutral_mesh.obj"
    if not neutral.is_file():
        raise DataError(f"{folder} has no FaceXModel/generic_neutral_mesh.obj; {WHERE}")
    count = 26719
    vertices, uv, triangles, uv_triangles = _read_obj(neutral, faces=True)
    identity = []
    for k in range(100):
        path = root / f"identity{k:03d}.obj"
        if not path.is_file():
            raise DataError(f"{path} is missing from the ICT-FaceKit checkout; {WHERE}")
        identity.append(_read_obj(path)[0][:count] - vertices[:count])
    skip = {"generic_neutral_mesh"} | {f"identity{k:03d}" for k in range(100)}
    shapes = sorted(p for p in root.glob("*.obj") if p.stem not in skip)
    names = np.array([p.stem for p in shapes])
    expression = [_read_obj(path)[0][:count] - vertices[:count] for path in shapes]
    keep = (triangles < count).all(axis=1)
    return (
        vertices[:count],
        np.array(identity),
        np.array(expression),
        names,
        triangles[keep],
        uv,
        uv_triangles[keep],
    )


def _read_obj(
    path: Path, *, faces: bool = False
) -> tuple[Float32Array, Float32Array, Int32Array, Int32Array]:
    vertices, uv, triangles, uv_triangles = [], [], [], []
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                head, _, rest = line.partition(" ")
                if head == "v":
                    vertices.append([float(x) for x in rest.split()[:3]])
                elif faces and head == "vt":
                    uv.append([float(x) for x in rest.split()[:2]])
                elif faces and head == "f":
                    corner = [[int(i) - 1 for i in word.split("/")[:2]] for word in rest.split()]
                    for k in range(1, len(corner) - 1):
                        chosen = (corner[0], corner[k], corner[k + 1])
                        triangles.append([c[0] for c in chosen])
                        uv_triangles.append([c[1] for c in chosen])
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{path} is not a readable OBJ file ({error}); {WHERE}") from error
    return (
        np.array(vertices, dtype=np.float32).reshape(-1, 3),
        np.array(uv, dtype=np.float32).reshape(-1, 2),
        np.array(triangles, dtype=np.int32).reshape(-1, 3),
        np.array(uv_triangles, dtype=np.int32).reshape(-1, 3),
    )
