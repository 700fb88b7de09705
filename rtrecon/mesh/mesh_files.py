"""Meshes as PLY, OBJ and GLB, of the file frame (STL and 3MF: `rtrecon.mesh.print_files`).

The formats are written here: together they are shorter than the glue to a library
would be, they need nothing but numpy and OpenCV, and the GLB is checked with Khronos'
validator (``tools/validate_glb.mjs``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon._version import __version__
from rtrecon.errors import DataError, OutputError
from rtrecon.files import write_files
from rtrecon.geometry.mesh import Mesh, UInt8Array
from rtrecon.gltf import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    FLOAT,
    JPEG_QUALITY,
    TEXTURE_SAMPLER,
    UNSIGNED_BYTE,
    UNSIGNED_INT,
    GlbBuffer,
    encode_texture,
)
from rtrecon.mesh.print_files import encode_3mf, encode_stl

__all__ = ["MESH_SUFFIXES", "encode_mesh", "write_mesh"]

FRAME_COMMENT = "metres, x right, y up, z towards the viewer"


def write_mesh(mesh: Mesh, path: Path, *, overwrite: bool = True) -> list[Path]:
    """Write ``mesh`` (file frame) in the format that the suffix of ``path`` names.

    Returns:
        The files written: OBJ has its material and texture beside it.

    Raises:
        DataError: the suffix is none of `MESH_SUFFIXES`, or the mesh has no triangle.
        OutputError: a file cannot be written.
    """
    files = encode_mesh(mesh, path)
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}")
    write_files(files, overwrite=overwrite)
    return list(files)


def encode_mesh(mesh: Mesh, path: Path) -> dict[Path, bytes]:
    """The contents of the files that `write_mesh` would write, by path.

    Raises:
        DataError: the suffix is none of `MESH_SUFFIXES`, or the mesh has no triangle.
    """
    encode = _ENCODERS.get(path.suffix.lower())
    if encode is None:
        raise DataError(
            f"{path}: a mesh is written as {', '.join(_ENCODERS)}, not {path.suffix or path.name!r}"
        )
    if len(mesh.triangles) == 0:
        raise DataError(f"{path}: the mesh has no triangle to write")
    return encode(mesh, path)


def _encode_ply(mesh: Mesh, path: Path) -> dict[Path, bytes]:
    """Binary little endian; float normals and uchar colours a vertex."""
    header = (
        "ply\nformat binary_little_endian 1.0\n"
        f"comment rtrecon {__version__}: {FRAME_COMMENT}\n"
        f"element vertex {len(mesh.vertices)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property float nx\nproperty float ny\nproperty float nz\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        f"element face {len(mesh.triangles)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    vertices = np.empty(
        len(mesh.vertices), dtype=[("p", "<f4", 3), ("n", "<f4", 3), ("c", "u1", 3)]
    )
    vertices["p"], vertices["n"], vertices["c"] = mesh.vertices, mesh.normals, mesh.colors
    faces = np.empty(len(mesh.triangles), dtype=[("count", "u1"), ("index", "<i4", 3)])
    faces["count"], faces["index"] = 3, mesh.triangles
    return {path: header.encode("ascii") + vertices.tobytes() + faces.tobytes()}


def _encode_obj(mesh: Mesh, path: Path) -> dict[Path, bytes]:
    """OBJ with MTL and a PNG texture; without a texture the vertices carry colours."""
    if any(unicodedata.category(character) == "Cc" for character in path.name):
        raise DataError(f"{path}: an OBJ file names its material, and cannot by such a name")
    files: dict[Path, bytes] = {}
    textured = mesh.uv is not None and mesh.texture is not None
    lines = [f"# rtrecon {__version__}: {FRAME_COMMENT}\n"]
    if textured:
        lines.append(f"mtllib {path.with_suffix('.mtl').name}\n")
    lines.append("o face\n")
    if textured:
        lines.append(_rows("v %.6f %.6f %.6f\n", mesh.vertices))
        flipped = np.stack([mesh.uv[:, 0], 1.0 - mesh.uv[:, 1]], axis=1)  # type: ignore[index]
        lines.append(_rows("vt %.6f %.6f\n", flipped))  # OBJ's origin is at the bottom left
    else:
        colored = np.concatenate([mesh.vertices, mesh.colors / np.float32(255.0)], axis=1)
        lines.append(_rows("v %.6f %.6f %.6f %.4f %.4f %.4f\n", colored))
    lines.append(_rows("vn %.4f %.4f %.4f\n", mesh.normals))
    index = mesh.triangles + 1
    if textured:
        lines.append("usemtl face\n")
        lines.append(_rows("f %d/%d/%d %d/%d/%d %d/%d/%d\n", np.repeat(index, 3, axis=1)))
    else:
        lines.append(_rows("f %d//%d %d//%d %d//%d\n", np.repeat(index, 2, axis=1)))
    if mesh.texture is not None and textured:
        texture_path = path.with_name(f"{path.stem}.texture.png")
        files[texture_path] = encode_texture(mesh.texture, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 3])
        material = (
            f"# rtrecon {__version__}\nnewmtl face\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\n"
            f"map_Kd {texture_path.name}\n"
        )
        files[path.with_suffix(".mtl")] = _encode_text(material)
    files[path] = _encode_text("".join(lines))
    return files


def _encode_glb(mesh: Mesh, path: Path) -> dict[Path, bytes]:
    """glTF 2.0 binary: one node, one primitive, texture embedded as JPEG."""
    binary = GlbBuffer()
    attributes = {
        "POSITION": binary.add(mesh.vertices, FLOAT, "VEC3", ARRAY_BUFFER, bounds=True),
        "NORMAL": binary.add(mesh.normals, FLOAT, "VEC3", ARRAY_BUFFER),
    }
    material: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": 0.9}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"rtrecon {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "face", "mesh": 0}],
    }
    if mesh.uv is not None and mesh.texture is not None:
        attributes["TEXCOORD_0"] = binary.add(mesh.uv, FLOAT, "VEC2", ARRAY_BUFFER)
        jpeg = encode_texture(mesh.texture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        document["images"] = [{"mimeType": "image/jpeg", "bufferView": binary.add_bytes(jpeg)}]
        document["samplers"] = [TEXTURE_SAMPLER]
        document["textures"] = [{"source": 0, "sampler": 0}]
        material["baseColorTexture"] = {"index": 0}
    else:
        rgba = np.full((len(mesh.colors), 4), 255, dtype=np.uint8)
        # glTF's vertex colours are linear, the picture's are sRGB.
        rgba[:, :3] = _LINEAR_OF_SRGB[mesh.colors]
        attributes["COLOR_0"] = binary.add(
            rgba, UNSIGNED_BYTE, "VEC4", ARRAY_BUFFER, normalized=True
        )
    indices = binary.add(mesh.triangles.reshape(-1), UNSIGNED_INT, "SCALAR", ELEMENT_ARRAY_BUFFER)
    document["meshes"] = [
        {
            "name": "face",
            "primitives": [{"attributes": attributes, "indices": indices, "material": 0}],
        }
    ]
    document["materials"] = [{"name": "face", "pbrMetallicRoughness": material}]
    return {path: binary.assemble(document)}


def _encode_text(text: str) -> bytes:
    """UTF-8; names of files that are not UTF-8 as the bytes that they are."""
    return text.encode("utf-8", "surrogateescape")


def _rows(pattern: str, array: npt.NDArray[Any]) -> str:
    return (pattern * len(array)) % tuple(array.ravel().tolist())


def _linear_of_srgb() -> UInt8Array:
    srgb = np.arange(256) / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.round(linear * 255.0).astype(np.uint8)


_LINEAR_OF_SRGB = _linear_of_srgb()

_ENCODERS: dict[str, Callable[[Mesh, Path], dict[Path, bytes]]] = {
    ".ply": _encode_ply,
    ".obj": _encode_obj,
    ".glb": _encode_glb,
    ".stl": encode_stl,
    ".3mf": encode_3mf,
}

MESH_SUFFIXES = tuple(_ENCODERS)
"""Suffixes that `write_mesh` knows."""
