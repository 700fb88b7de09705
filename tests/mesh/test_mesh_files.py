from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rtrecon.errors import DataError, OutputError
from rtrecon.files import write_files
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh import MeshOptions, save_mesh
from rtrecon.mesh.face_mesh import face_mesh, file_mesh
from rtrecon.mesh.mesh_files import encode_mesh


def read_glb(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    document = json.loads(data[20 : 20 + length])
    return document, data[20 + length + 8 :]


def accessor(document: dict[str, Any], binary: bytes, index: int) -> np.ndarray[Any, Any]:
    entry = document["accessors"][index]
    view = document["bufferViews"][entry["bufferView"]]
    dtype = {5121: "u1", 5125: "<u4", 5126: "<f4"}[entry["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[entry["type"]]
    data = np.frombuffer(binary, dtype, entry["count"] * width, view["byteOffset"])
    return data.reshape(-1, width)


def test_file_frame_is_y_up_and_faces_z(face: FaceReconstruction) -> None:
    mesh = file_mesh(face)
    nose = mesh.vertices[mesh.vertices[:, 2].argmax()]
    assert nose[1] > mesh.vertices[:, 1].mean()  # the nose is above the middle
    tip = mesh.vertices[:, 2] > np.percentile(mesh.vertices[:, 2], 99)
    mean = mesh.normals[tip].mean(axis=0)
    np.testing.assert_allclose(mean / np.linalg.norm(mean), (0, 0, 1), atol=0.15)
    right_of_picture = mesh.vertices[:, 0] > 0.03
    assert mesh.colors[right_of_picture, 0].mean() > mesh.colors[~right_of_picture, 0].mean()


def test_origin_is_between_the_eyes(face: FaceReconstruction) -> None:
    camera, file = face_mesh(face), file_mesh(face)
    np.testing.assert_allclose(
        file.vertices * (1, -1, -1) + face.T_camera_face[:3, 3], camera.vertices, atol=1e-6
    )


def test_normals_are_outward_as_the_triangles_are(face: FaceReconstruction) -> None:
    mesh = file_mesh(face)
    corners = mesh.vertices[mesh.triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (across[:, 2] > 0).all()
    assert ((across * mesh.normals[mesh.triangles[:, 0]]).sum(axis=1) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-5)


def test_glb_holds_the_mesh_and_its_texture(face: FaceReconstruction, tmp_path: Path) -> None:
    path = tmp_path / "face.glb"
    assert save_mesh(face, path) == [path]
    mesh = file_mesh(face)
    document, binary = read_glb(path)
    primitive = document["meshes"][0]["primitives"][0]
    position = accessor(document, binary, primitive["attributes"]["POSITION"])
    np.testing.assert_array_equal(position, mesh.vertices)
    entry = document["accessors"][primitive["attributes"]["POSITION"]]
    np.testing.assert_array_equal(entry["min"], mesh.vertices.min(axis=0))
    indices = accessor(document, binary, primitive["indices"])
    np.testing.assert_array_equal(indices.reshape(-1, 3), mesh.triangles)
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    jpeg = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    texture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    uv = accessor(document, binary, primitive["attributes"]["TEXCOORD_0"])
    height, width = texture.shape[:2]
    seen = texture[(uv[:, 1] * height).astype(int), (uv[:, 0] * width).astype(int)]
    assert np.abs(seen.astype(int) - mesh.colors).mean() < 4  # JPEG


def test_obj_has_v_from_below(face: FaceReconstruction, tmp_path: Path) -> None:
    path = tmp_path / "some.face0.obj"
    written = save_mesh(face, path)
    assert {p.name for p in written} == {
        "some.face0.obj",
        "some.face0.mtl",
        "some.face0.texture.png",
    }
    lines = path.read_text().splitlines()
    assert "mtllib some.face0.mtl" in lines
    assert "map_Kd some.face0.texture.png" in (tmp_path / "some.face0.mtl").read_text()
    y = np.array([float(line.split()[2]) for line in lines if line.startswith("v ")])
    v = np.array([float(line.split()[2]) for line in lines if line.startswith("vt ")])
    assert np.corrcoef(y, v)[0, 1] > 0.95
    texture = cv2.imread(str(tmp_path / "some.face0.texture.png"))[:, :, ::-1]
    mesh = file_mesh(face)
    assert mesh.uv is not None
    row = ((1 - v) * texture.shape[0]).astype(int)
    column = (mesh.uv[:, 0] * texture.shape[1]).astype(int)
    assert np.abs(texture[row, column].astype(int) - mesh.colors).max() <= 3


def test_ply_reads_back_in_open3d(face: FaceReconstruction, tmp_path: Path) -> None:
    import open3d as o3d

    path = tmp_path / "face.ply"
    save_mesh(face, path)
    read = o3d.io.read_triangle_mesh(str(path))
    mesh = file_mesh(face)
    np.testing.assert_array_equal(np.asarray(read.vertices), mesh.vertices)
    np.testing.assert_array_equal(np.asarray(read.triangles), mesh.triangles)
    np.testing.assert_allclose(np.asarray(read.vertex_normals), mesh.normals, atol=1e-6)
    np.testing.assert_allclose(np.asarray(read.vertex_colors) * 255, mesh.colors, atol=0.6)


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".ply"])
def test_trimesh_reads_all_formats(face: FaceReconstruction, tmp_path: Path, suffix: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / f"face{suffix}"
    save_mesh(face, path)
    read = trimesh.load(path, force="mesh", process=False)
    mesh = file_mesh(face)
    assert len(read.faces) == len(mesh.triangles)
    np.testing.assert_allclose(
        read.bounds, [mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)], atol=1e-5
    )


def test_khronos_validator_has_nothing_to_say(
    face: FaceReconstruction, tmp_path: Path, repository: Path
) -> None:
    folder = os.environ.get("GLTF_VALIDATOR_FOLDER", "")
    if not folder or shutil.which("node") is None:
        pytest.skip("needs node and GLTF_VALIDATOR_FOLDER, where gltf-validator is installed")
    plain, back = tmp_path / "plain.glb", tmp_path / "back.glb"
    save_mesh(face, plain)
    save_mesh(face, back, MeshOptions(back=True))
    script = repository / "tools" / "validate_glb.mjs"
    subprocess.run(["node", str(script), str(plain), str(back)], cwd=folder, check=True)


def test_a_mesh_keeps_the_camera_as_origin(face: FaceReconstruction, tmp_path: Path) -> None:
    path = tmp_path / "mesh.glb"
    save_mesh(face.mesh(), path)
    document, _ = read_glb(path)
    assert document["accessors"][0]["max"][2] == pytest.approx(-face.points_camera[:, 2].min())


def test_unknown_suffix_names_the_known(face: FaceReconstruction, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"\.glb"):
        save_mesh(face, tmp_path / "face.fbx")


def test_missing_folder(face: FaceReconstruction, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no folder"):
        save_mesh(face, tmp_path / "none" / "face.ply")


def test_nothing_is_replaced_unless_asked(face: FaceReconstruction, tmp_path: Path) -> None:
    path = tmp_path / "face.ply"
    path.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        save_mesh(face, path, overwrite=False)
    assert path.read_text() == "mine"


def test_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = os.open

    def full(path: Any, *args: Any, **kwargs: Any) -> int:
        made.append(path)
        if len(made) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", full)
    files = {tmp_path / f"{name}.ply": b"x" * 10 for name in "abc"}
    with pytest.raises(OutputError, match="No space left"):
        write_files(files)
    assert list(tmp_path.iterdir()) == []


def test_mesh_without_texture_has_linear_vertex_colors(
    face: FaceReconstruction, tmp_path: Path
) -> None:
    from dataclasses import replace

    mesh = replace(file_mesh(face), uv=None, texture=None)
    path = tmp_path / "face.glb"
    path.write_bytes(encode_mesh(mesh, path)[path])
    document, binary = read_glb(path)
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    rgba = accessor(document, binary, attributes["COLOR_0"])
    blue = mesh.colors[0, 2] / 255  # 128: half in sRGB is 0.216 in light
    assert rgba[0, 2] / 255 == pytest.approx(((blue + 0.055) / 1.055) ** 2.4, abs=0.005)
    assert (rgba[:, 3] == 255).all()
    text = encode_mesh(mesh, tmp_path / "face.obj")[tmp_path / "face.obj"].decode()
    assert "mtllib" not in text
    assert len(next(line for line in text.splitlines() if line.startswith("v ")).split()) == 7


def test_what_lies_beside_the_neck_is_cut_away(face: FaceReconstruction) -> None:
    wide = face_mesh(face).vertices
    face.T_camera_face[:3, 3] = (0.0, -0.14, 0.45)  # as if the eyes were far above
    narrow = face_mesh(face).vertices
    low = narrow[:, 1] > 0.0
    assert np.abs(wide[:, 0]).max() > 0.06
    assert np.abs(narrow[low, 0]).max() < 0.076
    face.T_camera_face[:3, 3] = (0.05, -0.14, 0.45)
    assert np.ptp(face_mesh(face).vertices[:, 0]) < np.ptp(wide[:, 0])
