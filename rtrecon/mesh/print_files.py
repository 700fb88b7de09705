"""Meshes for those who print: STL and 3MF, in millimetres, z up, as slicers have them."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

from rtrecon._version import __version__
from rtrecon.geometry.mesh import Mesh
from rtrecon.mesh.closed import is_closed, weld
from rtrecon.types import Float32Array

__all__ = ["encode_3mf", "encode_stl"]

_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_MATERIAL = "http://schemas.microsoft.com/3dmanufacturing/material/2015/02"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_MADE = (1980, 1, 1, 0, 0, 0)  # the same mesh gives the same file


def encode_stl(mesh: Mesh, path: Path) -> dict[Path, bytes]:
    """Binary STL of ``mesh`` (file frame), by path. It knows no colours."""
    corners = _printed(mesh.vertices)[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    rows = np.zeros(len(corners), dtype=[("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")])
    rows["n"], rows["v"] = normals, corners
    header = f"rtrecon {__version__}, millimetres".encode("ascii").ljust(80, b" ")
    return {path: header + struct.pack("<I", len(rows)) + rows.tobytes()}


def encode_3mf(mesh: Mesh, path: Path) -> dict[Path, bytes]:
    """3MF of ``mesh`` (file frame), by path, with a colour a vertex (3MF Core 1.3, Materials and
    Properties 1.2.1). Vertices of one place are one; a mesh that is not closed is a surface."""
    whole = weld(mesh)
    used, index = np.unique(whole.triangles, return_inverse=True)
    triangles = index.reshape(-1, 3)
    vertices, colors = _printed(whole.vertices[used]), whole.colors[used]
    tones, tone = np.unique(colors, axis=0, return_inverse=True)
    kind = "model" if is_closed(triangles.astype(np.int32)) else "surface"
    rows = np.concatenate([triangles, tone.reshape(-1)[triangles]], axis=1)
    text = "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>\n',
            f'<model unit="millimeter" xml:lang="en-US" xmlns="{_CORE}" xmlns:m="{_MATERIAL}">\n',
            f'<metadata name="Application">rtrecon {__version__}</metadata>\n<resources>\n',
            '<m:colorgroup id="1">\n',
            ('<m:color color="#%02X%02X%02XFF"/>\n' * len(tones)) % tuple(tones.ravel().tolist()),
            f'</m:colorgroup>\n<object id="2" type="{kind}" pid="1" pindex="0">\n<mesh>\n',
            "<vertices>\n",
            ('<vertex x="%.4f" y="%.4f" z="%.4f"/>\n' * len(vertices))
            % tuple(vertices.ravel().tolist()),
            "</vertices>\n<triangles>\n",
            ('<triangle v1="%d" v2="%d" v3="%d" pid="1" p1="%d" p2="%d" p3="%d"/>\n' * len(rows))
            % tuple(rows.ravel().tolist()),
            "</triangles>\n</mesh>\n</object>\n</resources>\n",
            '<build><item objectid="2"/></build>\n</model>\n',
        ]
    )
    relation = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
    parts = {
        "[Content_Types].xml": f'<?xml version="1.0" encoding="UTF-8"?>\n<Types xmlns="{_TYPES}">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="model" '
        'ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>\n',
        "_rels/.rels": '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Relationships xmlns="{_RELATIONS}"><Relationship Target="/3D/3dmodel.model" '
        f'Id="rel0" Type="{relation}"/></Relationships>\n',
        "3D/3dmodel.model": text,
    }
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            info = zipfile.ZipInfo(name, _MADE)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, part)
    return {path: content.getvalue()}


def _printed(vertices: Float32Array) -> Float32Array:
    """Millimetres, z up: the face looks along -y, as it stands before one."""
    return np.asarray(vertices[:, [0, 2, 1]] * np.array([1e3, -1e3, 1e3], dtype=np.float32))
