"""The mesh of a reconstructed face as it goes into files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtrecon.errors import DataError
from rtrecon.geometry.mesh import Mesh
from rtrecon.geometry.reconstruction import FaceGrid, FaceReconstruction
from rtrecon.mesh.closed import check_closed, without_slivers
from rtrecon.mesh.file_frame import picture_uv, to_file_frame
from rtrecon.mesh.grid_mesh import clean_grid_mesh
from rtrecon.mesh.mesh_files import write_mesh
from rtrecon.mesh.mesh_ops import close_back, decimate, poisson, smooth
from rtrecon.types import BgrImage

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

# Of the widest heads, with a margin.
_MOUTH_BELOW_EYES_M, _JAW_HALF_WIDTH_M, _NECK_HALF_WIDTH_M = 0.06, 0.095, 0.075


def face_mesh(
    face: FaceReconstruction,
    options: MeshOptions = _PLAIN,
    picture: BgrImage | None = None,
    *,
    ipd_m: float = 0.063,
) -> Mesh:
    """The face's mesh in the camera frame: small holes closed, border trimmed, one piece.

    With ``back`` or ``poisson`` it is closed: one body, two triangles at each edge. With ``back``
    it is the person's whole head where the model gives landmarks (`rtrecon.mesh.closed_head`),
    else the face with a round back.

    Args:
        face: what was seen.
        options: what is done to the mesh.
        picture: (H, W, 3) uint8 BGR that the face was seen in; the head's hair is taken from it.
        ipd_m: between the person's eyes, as the face was reconstructed with.

    Raises:
        DataError: an option cannot be used on it.
    """
    if np.count_nonzero(face.grid.valid) < 3:
        raise DataError("the face has no surface: nothing to make a mesh of")
    if options.back and face.landmarks68_px is not None:
        return _head_mesh(face, options, picture, ipd_m)
    texture = face.texture
    clean = clean_grid_mesh(_head_alone(face), texture.rgb(), texture.M_uv_crop)
    mesh = smooth(clean, options.smooth)
    axis = face.T_camera_face[:3, 2]
    if options.poisson:
        # Poisson's surface has as many triangles as it likes: here the limit comes last.
        closed = poisson(close_back(mesh, axis))
        if options.decimate is None:
            return check_closed(closed)
        return check_closed(without_slivers(decimate(closed, options.decimate)))
    if options.decimate is None:
        return check_closed(close_back(mesh, axis)) if options.back else mesh
    if not options.back:
        return _decimated(mesh, options.decimate, face)
    front = _decimated(mesh, max(options.decimate // 2, 16), face)
    return check_closed(close_back(front, axis, options.decimate - len(front.triangles)))


def file_mesh(
    face: FaceReconstruction, options: MeshOptions = _PLAIN, picture: BgrImage | None = None
) -> Mesh:
    """`face_mesh` in the file frame, the middle between the eyes at zero."""
    return to_file_frame(face_mesh(face, options, picture), face.T_camera_face[:3, 3])


def save_mesh(
    face_or_mesh: FaceReconstruction | Mesh,
    path: str | Path,
    options: MeshOptions = _PLAIN,
    *,
    overwrite: bool = True,
) -> list[Path]:
    """Write a face or a mesh as PLY, OBJ (with material and texture), GLB, STL or 3MF, by suffix.

    The first three are in metres, y up, a face that looks into the camera looks along +z. A
    face's origin is midway between its eyes; a mesh (camera frame) keeps the camera's.

    Args:
        face_or_mesh: meshes are written as they are, ``options`` apply to faces.
        path: ends in ``.ply``, ``.obj``, ``.glb``, ``.stl`` or ``.3mf``; its folder must exist.
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
        mesh = to_file_frame(face_or_mesh)
    return write_mesh(mesh, Path(path), overwrite=overwrite)


def _head_mesh(
    face: FaceReconstruction, options: MeshOptions, picture: BgrImage | None, ipd_m: float
) -> Mesh:
    """The person's whole head; with a texture as long as its triangles are the model's."""
    # Much to import for those who want the face alone.
    from rtrecon.head.fit import fit_head
    from rtrecon.head.person import person_head
    from rtrecon.mesh.closed_head import close_head

    head = close_head(person_head(face, fit_head(face, ipd_m=ipd_m), picture))
    mesh = smooth(head.colored(), options.smooth)
    if options.decimate is None and not options.poisson:
        return check_closed(head.textured(mesh))
    if options.poisson:
        mesh = poisson(mesh)
    if options.decimate is not None:
        mesh = without_slivers(decimate(mesh, options.decimate))
    return check_closed(mesh)


def _decimated(mesh: Mesh, triangle_count: int, face: FaceReconstruction) -> Mesh:
    smaller = decimate(mesh, triangle_count)
    if smaller is mesh:
        return mesh
    uv = picture_uv(smaller.vertices, face.intrinsics, face.crop, face.texture.M_uv_crop)
    return replace(smaller, uv=uv, texture=mesh.texture)


def _head_alone(face: FaceReconstruction) -> FaceGrid:
    """The face's grid without what lies beside the neck: collar, shoulders."""
    grid, T = face.grid, face.T_camera_face
    x, y = (
        (grid.points_camera - T[:3, 3].astype(np.float32)) @ T[:3, axis].astype(np.float32)
        for axis in (0, 1)
    )
    below_mouth = y - _MOUTH_BELOW_EYES_M
    half_width = np.clip(_JAW_HALF_WIDTH_M - 0.5 * below_mouth, _NECK_HALF_WIDTH_M, None)
    beside = (np.abs(x) > half_width) & (below_mouth > 0.0)
    return replace(grid, valid=grid.valid & ~beside, _triangles=None)
