"""A head that can be animated: what every file format of it is written from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError
from rtrecon.geometry.mesh import Int32Array, UInt8Array
from rtrecon.types import Float32Array, Float64Array

__all__ = ["AVATAR_SUFFIXES", "Joint", "Piece", "RiggedHead", "check_avatar_path"]

AVATAR_SUFFIXES = (".glb", ".vrm", ".obj", ".usdz")
"""Suffixes of the files that an avatar can be."""


def check_avatar_path(path: Path) -> None:
    """Raise a DataError if no avatar can have that name."""
    if path.suffix.lower() not in AVATAR_SUFFIXES:
        raise DataError(
            f"{path}: an avatar is written as {', '.join(AVATAR_SUFFIXES)}, not "
            f"{path.suffix or path.name!r}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Joint:
    """A bone's joint: ``position_m`` (3,) in the head frame; ``parent`` by name, None for the
    root."""

    name: str
    parent: str | None
    position_m: Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Triangles of one material: ``name``, and ``triangles`` (k,) indices into the head's."""

    name: str
    triangles: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class RiggedHead:
    """A person's head at rest with everything that moves it.

    Head frame: metres, x to the picture's right (the person's left), y down, z into the head,
    origin between the eyes. Writers turn it to what their format wants.

    Attributes:
        vertices: (n, 3) float32 at rest; normals: (n, 3) float32 outward.
        triangles: (m, 3) int32, anticlockwise from outside; skin and neck closed.
        uv: (u, 2) float32, origin at the texture's top left corner.
        uv_triangles: (m, 3) int32, corners of the triangles among ``uv``.
        texture: (s, s, 3) uint8 RGB.
        shapes: (52, n, 3) float32, what each of ARKit's shapes adds to the vertices.
        shape_names: (52,) ARKit's.
        joints: parents before children: Neck, Head, LeftEye, RightEye.
        weights: (n, len(joints)) float32, rows sum to one.
        pieces: by material: skin, mouth, teeth, eyes, lashes; each triangle in one of them.
        landmarks: (68,) int32 vertices.
        extras: facts that travel with it, such as how it was made; JSON values.
    """

    vertices: Float32Array
    normals: Float32Array
    triangles: Int32Array
    uv: Float32Array
    uv_triangles: Int32Array
    texture: UInt8Array
    shapes: Float32Array
    shape_names: tuple[str, ...]
    joints: tuple[Joint, ...]
    weights: Float32Array
    pieces: tuple[Piece, ...]
    landmarks: Int32Array
    extras: dict[str, object] = field(default_factory=dict)
