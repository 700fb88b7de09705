"""A face as the file its name asks for."""

from __future__ import annotations

from pathlib import Path

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.face_mesh import save_mesh
from rtrecon.mesh.face_npz import save_npz

__all__ = ["save"]


def save(face: FaceReconstruction, path: str | Path) -> None:
    """Write a face by the suffix of ``path``: .ply, .obj, .glb, .stl, .3mf (meshes) or .npz.

    Raises:
        DataError: the suffix is another one. OutputError: it cannot be written.
    """
    if Path(path).suffix.lower() == ".npz":
        save_npz(face, Path(path))
    else:
        save_mesh(face, Path(path))
