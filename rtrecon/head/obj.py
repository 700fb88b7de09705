"""A rigged head at rest as OBJ: no joints and no shapes, which the format does not have."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon._version import __version__
from rtrecon.errors import DataError
from rtrecon.gltf import JPEG_QUALITY, encode_texture
from rtrecon.head.glb import FILE_AXES
from rtrecon.head.lashes import lash_texture, lash_uv
from rtrecon.head.rig import RiggedHead

__all__ = ["encode_obj", "obj_files"]


def obj_files(path: Path) -> tuple[Path, Path, Path, Path]:
    """What an OBJ named ``path`` is: texture of the skin, that of the lashes, MTL, itself."""
    return (
        path.with_name(f"{path.stem}.texture.jpg"),
        path.with_name(f"{path.stem}.lashes.png"),
        path.with_suffix(".mtl"),
        path,
    )


def encode_obj(rigged: RiggedHead, path: Path) -> dict[Path, bytes]:
    """The files of an OBJ named ``path``: itself, its material and its textures, by path.

    Metres, y up, z out of the face. One group and material a piece.

    Raises:
        DataError: a material cannot be named by such a name.
        OutputError: a texture cannot be encoded.
    """
    if any(unicodedata.category(character) == "Cc" for character in path.name):
        raise DataError(f"{path}: an OBJ file names its material, and cannot by such a name")
    skin, lashes, materials, _ = obj_files(path)
    # Lashes have a texture, and so places, of their own.
    own = np.unique(rigged.uv_triangles[_lash_triangles(rigged)])
    place_of = np.arange(len(rigged.uv), dtype=np.int64)
    place_of[own] = len(rigged.uv) + np.arange(len(own))
    uv = np.concatenate([rigged.uv, lash_uv(rigged.uv[own])])
    lines = [
        f"# rtrecon {__version__}: metres, x right, y up, z towards the viewer\n",
        f"mtllib {materials.name}\n",
        _rows("v %.6f %.6f %.6f\n", rigged.vertices * FILE_AXES),
        _rows("vt %.6f %.6f\n", np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1)),
        _rows("vn %.4f %.4f %.4f\n", rigged.normals * FILE_AXES),
    ]
    material = [f"# rtrecon {__version__}\n"]
    for piece in rigged.pieces:
        is_lash = piece.name == "lashes"
        corners = rigged.triangles[piece.triangles] + 1
        places = rigged.uv_triangles[piece.triangles].astype(np.int64)
        places = (place_of[places] if is_lash else places) + 1
        table = np.stack([corners, places, corners], axis=2).reshape(-1, 9)
        lines += [f"g {piece.name}\nusemtl {piece.name}\n"]
        lines += [_rows("f %d/%d/%d %d/%d/%d %d/%d/%d\n", table)]
        picture = lashes.name if is_lash else skin.name
        material += [f"newmtl {piece.name}\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\n"]
        material += [f"map_Kd {picture}\n"] + [f"map_d {picture}\n"] * is_lash
    jpeg = encode_texture(rigged.texture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    png = encode_texture(lash_texture(rigged), ".png", [cv2.IMWRITE_PNG_COMPRESSION, 6])
    return {
        skin: jpeg,
        lashes: png,
        materials: _bytes("".join(material)),
        path: _bytes("".join(lines)),
    }


def _lash_triangles(rigged: RiggedHead) -> npt.NDArray[np.intp]:
    chosen = [piece.triangles for piece in rigged.pieces if piece.name == "lashes"]
    return np.concatenate([np.zeros(0, dtype=np.intp), *chosen])


def _rows(pattern: str, array: npt.NDArray[np.generic]) -> str:
    return (pattern * len(array)) % tuple(array.ravel().tolist())


def _bytes(text: str) -> bytes:
    """UTF-8; names of files that are not UTF-8 as the bytes that they are."""
    return text.encode("utf-8", "surrogateescape")
