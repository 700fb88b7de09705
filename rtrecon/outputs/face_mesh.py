"""The mesh of a reconstructed face as it goes into files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.errors import DataError
from rtrecon.geometry.reconstruction import FaceReconstruction, Mesh
from rtrecon.outputs.grid_mesh import clean_grid_mesh
from rtrecon.outputs.mesh_files import write_mesh
from rtrecon.outputs.mesh_ops import close_back, decimate, poisson, smooth
from rtrecon.outputs.surface_mesh import SurfaceMesh, picture_uv, to_file_frame
from rtrecon.types import Float64Array

__all__ = ["MeshOptions", "face_mesh", "file_mesh", "save_mesh"]


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """What is done to a mesh before it is written; done in the order of the fields.

    ``smooth`` Taubin steps; ``decimate`` triangles to keep at most; ``back`` closes the
    head behind; ``poisson`` makes one smooth closed surface of it (vertex colours instead
    of a texture).
    """

    smooth: int = 0
    decimate: int | None = None
    back: bool = False
    poisson: bool = False


_PLAIN = MeshOptions()


def face_mesh(face: FaceReconstruction, options: MeshOptions = _PLAIN) -> SurfaceMesh:
    """The face's mesh in the camera frame: small holes closed, border trimmed, one piece.

    Raises:
        DataError: an option cannot be used on it.
    """
    raw = face.mesh()
    M_uv_crop = _uv_of_crop(face, raw)
    mesh = smooth(clean_grid_mesh(face.grid, raw.texture, M_uv_crop), options.smooth)
    # Poisson's surface has as many triangles as it likes: there the limit comes last.
    if options.decimate is not None and not options.poisson:
        smaller = decimate(mesh, options.decimate)
        if smaller is not mesh:
            uv = picture_uv(smaller.vertices, face.intrinsics, face.crop, M_uv_crop)
            mesh = replace(smaller, uv=uv, texture=mesh.texture)
    if options.back or options.poisson:
        mesh = close_back(mesh, face.T_camera_face[:3, 2])
    if options.poisson:
        mesh = poisson(mesh)
        if options.decimate is not None:
            mesh = decimate(mesh, options.decimate)
    return mesh


def file_mesh(face: FaceReconstruction, options: MeshOptions = _PLAIN) -> SurfaceMesh:
    """`face_mesh` in the file frame, the middle between the eyes at zero."""
    return to_file_frame(face_mesh(face, options), face.T_camera_face[:3, 3])


def save_mesh(
    face_or_mesh: FaceReconstruction | Mesh | SurfaceMesh,
    path: str | Path,
    options: MeshOptions = _PLAIN,
    *,
    overwrite: bool = True,
) -> list[Path]:
    """Write a face or a mesh as PLY, OBJ (with material and texture) or GLB, by suffix.

    All three are in metres, y up, a face that looks into the camera looks along +z. A
    face's origin is midway between its eyes; a mesh (camera frame) keeps the camera's.

    Args:
        face_or_mesh: meshes are written as they are, ``options`` apply to faces.
        path: ends in ``.ply``, ``.obj`` or ``.glb``; its folder must exist.
        options: what is done to a face's mesh before.
        overwrite: replace files that are there already.

    Returns:
        The files written.

    Raises:
        DataError: another suffix, or nothing to write.
        OutputError: a file cannot be written; nothing half-written is left.
    """
    if isinstance(face_or_mesh, FaceReconstruction):
        mesh = file_mesh(face_or_mesh, options)
    else:
        mesh = to_file_frame(SurfaceMesh.of(face_or_mesh))
    return write_mesh(mesh, Path(path), overwrite=overwrite)


def _uv_of_crop(face: FaceReconstruction, mesh: Mesh) -> Float64Array:
    """(2, 3) from crop pixels to texture coordinates, exact: the texture is cut straight."""
    rows, columns = np.nonzero(face.grid.valid)
    if len(rows) < 3:
        raise DataError("the face has no surface: nothing to make a mesh of")
    crop_px = np.column_stack([columns, rows, np.ones(len(rows))])
    solution = np.linalg.lstsq(crop_px, mesh.uv.astype(np.float64), rcond=None)[0]
    return np.asarray(solution.T, dtype=np.float64)
