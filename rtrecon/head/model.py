"""The head that is fitted to people: mean, identity, expressions, parts (see ``models/head``)."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from rtrecon.depth.store import model_folders
from rtrecon.errors import ModelError
from rtrecon.geometry.mesh import Int32Array
from rtrecon.json_text import read_json
from rtrecon.types import Float32Array, Float64Array

__all__ = ["PART_NAMES", "HeadModel", "head_model", "load_head_model"]

PART_NAMES = (
    "face",
    "head_neck",
    "mouth_socket",
    "eye_sockets",
    "gums_tongue",
    "teeth",
    "eye_left",
    "eye_right",
    "lashes",
)
"""In the order of their vertices. Left is the person's own. The skin is the first two."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadModel:
    """A head in its own size: metres, x to the right of the picture (the person's left), y down,
    z into the head, origin midway between the irises of the mean.

    Attributes:
        vertices: (n, 3) float32, the mean head at rest.
        triangles: (m, 3) int32, anticlockwise from outside. The skin is open at the neck.
        identity: (k, n, 3) float32, what one standard deviation of a mode adds.
        expression: (51, n, 3) float32, what a coefficient of one adds. The eyeLook shapes
            move the lids alone: eyes turn about `eye_centers`.
        expression_names: (51,) ARKit's, without tongueOut.
        uv: (u, 2) float32 in the head's one texture, origin at its top left corner; every part
            has a place of its own there.
        uv_triangles: (m, 3) int32, the corners of ``triangles`` among ``uv``.
        parts: first and last+1 vertex by name, see `PART_NAMES`.
        landmarks: (68,) int32 vertices of Multi-PIE's landmarks, in the order of the network's.
        mirror: (n,) int32, the vertex at the same place of the head's other side.
        ipd_m: between the irises of the mean.
    """

    vertices: Float32Array
    triangles: Int32Array
    identity: Float32Array
    expression: Float32Array
    expression_names: tuple[str, ...]
    uv: Float32Array
    uv_triangles: Int32Array
    parts: dict[str, slice]
    landmarks: Int32Array
    mirror: Int32Array
    ipd_m: float

    def shape(
        self, identity: Float32Array | None = None, coefficients: Float32Array | None = None
    ) -> Float32Array:
        """(n, 3) float32 vertices.

        Args:
            identity: (up to k,) in standard deviations; None is the mean.
            coefficients: (51,) of `expression_names`; None is at rest.
        """
        moved = self.vertices.copy()
        flat = moved.reshape(-1)
        if identity is not None and len(identity):
            flat += identity.astype(np.float32) @ self.identity[: len(identity)].reshape(
                len(identity), -1
            )
        if coefficients is not None:
            flat += coefficients.astype(np.float32) @ self.expression.reshape(
                len(self.expression), -1
            )
        return moved

    def part_of_triangles(self) -> Int32Array:
        """(m,) the index in `PART_NAMES` of each triangle; one between two parts is the later's."""
        ends = np.array([self.parts[name].stop for name in PART_NAMES])
        part = np.searchsorted(ends, self.triangles.max(axis=1), side="right")
        return np.asarray(part, dtype=np.int32)

    def eye_centers(self, vertices: Float32Array) -> Float64Array:
        """(2, 3) of a head's ``vertices``: middles of the eyeballs, the person's left one first.

        The sphere through each by least squares.
        """
        centers = np.empty((2, 3))
        for k, name in enumerate(("eye_left", "eye_right")):
            points = vertices[self.parts[name]].astype(np.float64)
            system = np.concatenate([2.0 * points, np.ones((len(points), 1))], axis=1)
            centers[k] = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0][:3]
        return centers


@lru_cache(maxsize=1)
def head_model() -> HeadModel:
    """The shipped head; read once.

    Raises:
        ModelError: it is not installed, or damaged.
    """
    for folder in model_folders():
        if (folder / "head" / "model.json").is_file():
            return load_head_model(folder / "head")
    raise ModelError("the head model is missing (models/head): install rtrecon again")


def load_head_model(folder: Path) -> HeadModel:
    """The head of ``folder``, compared with the hash in its manifest.

    Raises:
        ModelError: a file is missing, damaged or of something else.
    """
    path = folder / "head.npz"
    try:
        content = path.read_bytes()
        known = read_json(folder / "model.json")["files"]["head.npz"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"cannot read {folder} ({error}): install rtrecon again") from error
    if hashlib.sha256(content).hexdigest() != known:
        raise ModelError(f"{path} is damaged or was replaced: install rtrecon again")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as data:
            first = [*data["part_first"].tolist(), len(data["vertices"])]
            names = [str(name) for name in data["part_names"]]
            if tuple(names) != PART_NAMES:
                raise ValueError(f"its parts are {', '.join(names)}")
            model = HeadModel(
                vertices=data["vertices"],
                triangles=data["triangles"].astype(np.int32),
                identity=data["identity"].astype(np.float32),
                expression=data["expression"].astype(np.float32),
                expression_names=tuple(str(name) for name in data["expression_names"]),
                uv=data["uv"],
                uv_triangles=data["uv_triangles"].astype(np.int32),
                parts={name: slice(*first[k : k + 2]) for k, name in enumerate(names)},
                landmarks=data["landmarks"].astype(np.int32),
                mirror=data["mirror"].astype(np.int32),
                ipd_m=float(data["ipd_m"]),
            )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is not a head ({error}): install rtrecon again") from error
    for array in (model.vertices, model.identity, model.expression, model.triangles):
        array.flags.writeable = False  # shared by all
    return model
