from __future__ import annotations

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

from rtrecon.errors import ArgumentError
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.head.animation import HeadAnimation
from rtrecon.head.glb import encode_glb
from rtrecon.head.rig import RiggedHead

KINDS = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """As small a reader as can be, by the specification and not by our writer."""

    def __init__(self, content: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON"
        self.document: dict[str, Any] = json.loads(content[20 : 20 + size])
        self.binary = content[28 + size :]

    def view(self, index: int, dtype: str, count: int, offset: int = 0) -> np.ndarray:
        view = self.document["bufferViews"][index]
        start = view.get("byteOffset", 0) + offset
        assert count * np.dtype(dtype).itemsize <= view["byteLength"]
        return np.frombuffer(self.binary, dtype, count, start)

    def read(self, index: int) -> np.ndarray:
        accessor = self.document["accessors"][index]
        count, width = accessor["count"], WIDTHS[accessor["type"]]
        dtype = KINDS[accessor["componentType"]]
        values = np.zeros((count, width), dtype=dtype)
        if "bufferView" in accessor:
            values[:] = self.view(accessor["bufferView"], dtype, count * width).reshape(-1, width)
        if sparse := accessor.get("sparse"):
            indices = sparse["indices"]
            at = self.view(indices["bufferView"], KINDS[indices["componentType"]], sparse["count"])
            assert (np.diff(at.astype(int)) > 0).all()
            own = self.view(sparse["values"]["bufferView"], dtype, sparse["count"] * width)
            values[at] = own.reshape(-1, width)
        if "min" in accessor:
            np.testing.assert_allclose(values.min(axis=0), accessor["min"], atol=1e-6)
            np.testing.assert_allclose(values.max(axis=0), accessor["max"], atol=1e-6)
        return values


@pytest.fixture(scope="module")
def glb(rigged: RiggedHead) -> Glb:
    return Glb(encode_glb(rigged))


def wave(frames: int = 4) -> HeadAnimation:
    rng = np.random.default_rng(1)
    turn = np.zeros((frames, 4))
    turn[:, 1], turn[:, 3] = np.sin(0.15), np.cos(0.15)  # yaw: to the own right
    turn[-1] *= -1.0
    return HeadAnimation(
        np.arange(frames) / 30.0,
        rng.random((frames, 52)).astype(np.float32),
        turn,
        np.repeat(turn[:, None], 2, axis=1),
        np.full((frames, 3), (0.01, 0.02, 0.03)),
    )


def test_vertices_and_triangles_are_the_heads(glb: Glb, rigged: RiggedHead) -> None:
    primitives = glb.document["meshes"][0]["primitives"]
    names = [glb.document["materials"][p["material"]]["name"] for p in primitives]
    assert names == [piece.name for piece in rigged.pieces]
    for piece, primitive in zip(rigged.pieces, primitives, strict=True):
        places = glb.read(primitive["attributes"]["POSITION"])
        corners = glb.read(primitive["indices"]).reshape(-1, 3)
        wanted = rigged.vertices[rigged.triangles[piece.triangles]] * (1, -1, -1)
        np.testing.assert_allclose(places[corners], wanted, atol=1e-6)
        uv = glb.read(primitive["attributes"]["TEXCOORD_0"])[corners]
        wanted = rigged.uv[rigged.uv_triangles[piece.triangles]]
        if piece.name != "lashes":
            np.testing.assert_allclose(uv, wanted, atol=1e-6)
        weights = glb.read(primitive["attributes"]["WEIGHTS_0"])
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
        normals = glb.read(primitive["attributes"]["NORMAL"])
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-4)


def test_morph_targets_are_the_shapes_by_name(glb: Glb, rigged: RiggedHead) -> None:
    mesh = glb.document["meshes"][0]
    assert tuple(mesh["extras"]["targetNames"]) == ARKIT_NAMES
    for piece, primitive in zip(rigged.pieces, mesh["primitives"], strict=True):
        assert len(primitive["targets"]) == 52
        corners = glb.read(primitive["indices"]).reshape(-1, 3)
        for k in (0, 7, 17, 23, 51):
            moves = glb.read(primitive["targets"][k]["POSITION"])[corners]
            wanted = rigged.shapes[k][rigged.triangles[piece.triangles]] * (1, -1, -1)
            np.testing.assert_allclose(moves, wanted, atol=1e-6)


def test_lashes_are_clear_between_strokes(glb: Glb) -> None:
    document = glb.document
    lashes = next(m for m in document["materials"] if m["name"] == "lashes")
    assert lashes["alphaMode"] == "BLEND"
    assert lashes["doubleSided"]
    texture = document["textures"][lashes["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    view = document["images"][texture["source"]]["bufferView"]
    png = glb.view(view, "<u1", document["bufferViews"][view]["byteLength"])
    alpha = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)[..., 3]
    assert 0.05 < (alpha > 128).mean() < 0.4


def test_joints_are_where_the_rig_has_them(glb: Glb, rigged: RiggedHead) -> None:
    document = glb.document
    skin = document["skins"][0]
    inverse = glb.read(skin["inverseBindMatrices"]).reshape(-1, 4, 4)
    place: dict[int, np.ndarray] = {}

    def walk(node: int, above: np.ndarray) -> None:
        place[node] = above + document["nodes"][node].get("translation", (0, 0, 0))
        for child in document["nodes"][node].get("children", ()):
            walk(child, place[node])

    for root in document["scenes"][0]["nodes"]:
        walk(root, np.zeros(3))
    for joint, node, matrix in zip(rigged.joints, skin["joints"], inverse, strict=True):
        assert document["nodes"][node]["name"] == joint.name
        np.testing.assert_allclose(place[node], joint.position_m * (1, -1, -1), atol=1e-5)
        np.testing.assert_allclose(matrix[3, :3], -place[node], atol=1e-5)


def test_left_eye_is_at_positive_x(glb: Glb) -> None:
    nodes = {node["name"]: node for node in glb.document["nodes"]}
    assert nodes["LeftEye"]["translation"][0] > 0.02
    assert nodes["RightEye"]["translation"][0] < -0.02


def test_extras_and_landmarks_travel(glb: Glb, rigged: RiggedHead) -> None:
    own = glb.document["scenes"][0]["extras"]["rtrecon"]
    assert own["name"] == "Somebody"
    wanted = rigged.vertices[rigged.landmarks] * (1, -1, -1)
    np.testing.assert_allclose(own["landmarks68_m"], wanted, atol=1e-5)


def test_animation_turns_and_moves(rigged: RiggedHead) -> None:
    take = wave()
    glb = Glb(encode_glb(rigged, take))
    animation = glb.document["animations"][0]
    read = {}
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        np.testing.assert_allclose(glb.read(sampler["input"])[:, 0], take.times_s, atol=1e-6)
        name = glb.document["nodes"][channel["target"]["node"]]["name"]
        read[name, channel["target"]["path"]] = glb.read(sampler["output"])
    weights = read["head", "weights"].reshape(4, 52)
    np.testing.assert_allclose(weights, take.coefficients, atol=1e-6)
    turn = read["Head", "rotation"]
    np.testing.assert_allclose(turn[:, 1], -np.sin(0.15), atol=1e-6)  # three.js: own right
    np.testing.assert_allclose(turn[:, 3], np.cos(0.15), atol=1e-6)  # and no turn the long way
    assert ("LeftEye", "rotation") in read
    moved = read["Neck", "translation"] - (np.array(rigged.joints[0].position_m) * (1, -1, -1))
    np.testing.assert_allclose(moved, np.tile((0.01, -0.02, -0.03), (4, 1)), atol=1e-5)


def test_animations_that_do_not_fit_are_refused() -> None:
    take = wave()
    with pytest.raises(ArgumentError, match="coefficients"):
        HeadAnimation(take.times_s, take.coefficients[:, :51], take.head_rotation)
    with pytest.raises(ArgumentError, match="increase"):
        HeadAnimation(take.times_s[::-1], take.coefficients, take.head_rotation)


def test_trimesh_reads_it(rigged: RiggedHead, tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    path = tmp_path / "head.glb"
    path.write_bytes(encode_glb(rigged))
    scene = trimesh.load(path)
    triangles = sum(len(mesh.faces) for mesh in scene.geometry.values())
    assert triangles == len(rigged.triangles)
    low, high = scene.bounds
    assert high[1] - low[1] == pytest.approx(np.ptp(rigged.vertices[:, 1]), abs=1e-4)


def test_khronos_validator_has_nothing_to_say(
    rigged: RiggedHead, tmp_path: Path, repository: Path
) -> None:
    folder = os.environ.get("GLTF_VALIDATOR_FOLDER", "")
    if not folder or shutil.which("node") is None:
        pytest.skip("needs node and GLTF_VALIDATOR_FOLDER, where gltf-validator is installed")
    plain, take = tmp_path / "plain.glb", tmp_path / "take.glb"
    plain.write_bytes(encode_glb(rigged))
    take.write_bytes(encode_glb(rigged, wave()))
    script = repository / "tools" / "validate_glb.mjs"
    subprocess.run(["node", str(script), str(plain), str(take)], cwd=folder, check=True)
