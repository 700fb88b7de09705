"""A rigged head as GLB (glTF 2.0, binary).

y up, z out of the face, metres, origin between the eyes. One skinned mesh with a primitive a
material; 52 morph targets named by ARKit, with sparse accessors; one texture, and a small one with
the lashes' strokes, which are clear between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon._version import __version__
from rtrecon.geometry.mesh import vertex_normals
from rtrecon.gltf import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    FLOAT,
    JPEG_QUALITY,
    TEXTURE_SAMPLER,
    UNSIGNED_BYTE,
    UNSIGNED_INT,
    UNSIGNED_SHORT,
    GlbBuffer,
    encode_texture,
)
from rtrecon.head.animation import HeadAnimation
from rtrecon.head.lashes import lash_texture, lash_uv
from rtrecon.head.rig import Piece, RiggedHead
from rtrecon.types import Float32Array, Float64Array

__all__ = ["FILE_AXES", "HeadScene", "encode_glb"]

FILE_AXES = (1.0, -1.0, -1.0)
"""From the head frame to the files': y up, z out of the face."""

_TURNED_AWAY = 0.02  # a normal that a shape turns by less (of 1) stays as it is
_ROUGHNESS = {"skin": 0.65, "mouth": 0.45, "teeth": 0.3, "eyes": 0.15, "lashes": 0.9}


def encode_glb(rigged: RiggedHead, animation: HeadAnimation | None = None) -> bytes:
    """The contents of a ``.glb``.

    Args:
        rigged: the head.
        animation: a performance to go with it: weights of the shapes, turns of Head and eyes,
            and the way of Neck if it has positions.

    Raises:
        OutputError: the texture cannot be encoded.
    """
    scene = HeadScene.of(rigged)
    if animation is not None:
        scene.animate(rigged, animation)
    return scene.assemble()


@dataclass(slots=True)
class HeadScene:
    """A glTF document of a head, before it is closed: VRM adds to it.

    Attributes:
        document: nodes 0 is the mesh; joints follow in their order.
        binary: what its accessors and views are in.
        mesh_node: index of the node with the mesh.
        joint_nodes: index of each joint's node, by name.
        axes: signs from the head frame to the file's.
        origin: (3,) where the middle of the eyes is in the file.
    """

    document: dict[str, Any]
    binary: GlbBuffer
    mesh_node: int
    joint_nodes: dict[str, int]
    axes: Float32Array
    origin: Float32Array

    @classmethod
    def of(
        cls,
        rigged: RiggedHead,
        *,
        axes: tuple[float, float, float] = FILE_AXES,
        origin_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> HeadScene:
        """Mesh, skin and joints; ``origin_m`` (file frame) is where the middle of the eyes is."""
        binary = GlbBuffer()
        signs, origin = np.array(axes, dtype=np.float32), np.array(origin_m, dtype=np.float32)
        turned = replace(
            rigged,
            vertices=rigged.vertices * signs + origin,
            normals=rigged.normals * signs,
            shapes=rigged.shapes * signs,
        )
        targets = _targets(turned)
        primitives = [
            _primitive(binary, turned, piece, targets, k) for k, piece in enumerate(rigged.pieces)
        ]
        names = [joint.name for joint in rigged.joints]
        joint_nodes = {name: k + 1 for k, name in enumerate(names)}
        nodes: list[dict[str, Any]] = [{"name": "head", "mesh": 0, "skin": 0}]
        places = {joint.name: joint.position_m * signs + origin for joint in rigged.joints}
        inverse = np.tile(np.eye(4, dtype=np.float32), (len(names), 1, 1))
        for k, joint in enumerate(rigged.joints):
            place = places[joint.name]
            inverse[k, 3, :3] = -place  # column major
            above = places[joint.parent] if joint.parent is not None else np.zeros(3)
            node: dict[str, Any] = {"name": joint.name, "translation": _floats(place - above)}
            below = [
                joint_nodes[other.name] for other in rigged.joints if other.parent == joint.name
            ]
            if below:
                node["children"] = below
            nodes.append(node)
        root = next(joint_nodes[joint.name] for joint in rigged.joints if joint.parent is None)
        jpeg = encode_texture(rigged.texture, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        images = [{"mimeType": "image/jpeg", "name": "head", "bufferView": binary.add_bytes(jpeg)}]
        if any(piece.name == "lashes" for piece in rigged.pieces):
            png = encode_texture(lash_texture(rigged), ".png", [cv2.IMWRITE_PNG_COMPRESSION, 6])
            view = binary.add_bytes(png)
            images.append({"mimeType": "image/png", "name": "lashes", "bufferView": view})
        document: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"rtrecon {__version__}"},
            "scene": 0,
            "scenes": [{"nodes": [0, root], "extras": _scene_extras(turned)}],
            "nodes": nodes,
            "meshes": [
                {
                    "name": "head",
                    "primitives": primitives,
                    "weights": [0.0] * len(rigged.shape_names),
                    "extras": {"targetNames": list(rigged.shape_names)},
                }
            ],
            "skins": [
                {
                    "name": "head",
                    "joints": [joint_nodes[name] for name in names],
                    "skeleton": root,
                    "inverseBindMatrices": binary.add(inverse.reshape(-1, 16), FLOAT, "MAT4"),
                }
            ],
            "materials": [_material(piece.name) for piece in rigged.pieces],
            "images": images,
            "samplers": [TEXTURE_SAMPLER],
            "textures": [{"source": k, "sampler": 0} for k in range(len(images))],
        }
        return cls(document, binary, 0, joint_nodes, signs, origin)

    def animate(self, rigged: RiggedHead, animation: HeadAnimation) -> None:
        """Add a performance."""
        times = self.binary.add(animation.times_s, FLOAT, "SCALAR", bounds=True)
        samplers: list[dict[str, Any]] = []
        channels: list[dict[str, Any]] = []

        def channel(values: int, node: int, path: str) -> None:
            channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
            samplers.append({"input": times, "output": values, "interpolation": "LINEAR"})

        weights = np.clip(animation.coefficients, 0.0, 1.0).reshape(-1)
        channel(self.binary.add(weights, FLOAT, "SCALAR"), self.mesh_node, "weights")
        turns = [("Head", animation.head_rotation)]
        if animation.eye_rotation is not None:
            turns += [("LeftEye", animation.eye_rotation[:, 0])]
            turns += [("RightEye", animation.eye_rotation[:, 1])]
        for name, rotation in turns:
            values = self.binary.add(_file_rotations(rotation, self.axes), FLOAT, "VEC4")
            channel(values, self.joint_nodes[name], "rotation")
        if animation.head_position_m is not None:
            root = next(joint.name for joint in rigged.joints if joint.parent is None)
            node = self.joint_nodes[root]
            rest = np.array(self.document["nodes"][node]["translation"])
            way = animation.head_position_m * self.axes + rest
            channel(self.binary.add(way, FLOAT, "VEC3"), node, "translation")
        self.document["animations"] = [
            {"name": animation.name, "samplers": samplers, "channels": channels}
        ]

    def assemble(self) -> bytes:
        """The file's contents."""
        return self.binary.assemble(self.document)


def _primitive(
    binary: GlbBuffer,
    rigged: RiggedHead,
    piece: Piece,
    targets: list[tuple[Float32Array, Float32Array]],
    material: int,
) -> dict[str, Any]:
    """The triangles of ``piece`` with the vertices that they use: one a place in the texture."""
    pairs = np.stack(
        [
            rigged.triangles[piece.triangles].reshape(-1),
            rigged.uv_triangles[piece.triangles].reshape(-1),
        ],
        axis=1,
    )
    kinds, indices = np.unique(pairs, axis=0, return_inverse=True)
    at, uv = kinds[:, 0], rigged.uv[kinds[:, 1]]
    if piece.name == "lashes":
        uv = lash_uv(uv)
    component = UNSIGNED_SHORT if len(at) < 1 << 16 else UNSIGNED_INT
    joints = np.argsort(-rigged.weights[at], axis=1, kind="stable")[:, :4]
    weights = np.take_along_axis(rigged.weights[at], joints, axis=1)
    joints = np.where(weights > 0.0, joints, 0)  # glTF wants no joint where there is no weight
    attributes = {
        "POSITION": binary.add(rigged.vertices[at], FLOAT, "VEC3", ARRAY_BUFFER, bounds=True),
        "NORMAL": binary.add(rigged.normals[at], FLOAT, "VEC3", ARRAY_BUFFER),
        "TEXCOORD_0": binary.add(uv, FLOAT, "VEC2", ARRAY_BUFFER),
        "JOINTS_0": binary.add(joints, UNSIGNED_BYTE, "VEC4", ARRAY_BUFFER),
        "WEIGHTS_0": binary.add(weights, FLOAT, "VEC4", ARRAY_BUFFER),
    }
    return {
        "attributes": attributes,
        "indices": binary.add(indices.reshape(-1), component, "SCALAR", ELEMENT_ARRAY_BUFFER),
        "material": material,
        "targets": [
            {
                "POSITION": _sparse(binary, moves[at], 0.0),
                "NORMAL": _sparse(binary, turns[at], _TURNED_AWAY),
            }
            for moves, turns in targets
        ],
    }


def _sparse(binary: GlbBuffer, rows: Float32Array, least: float) -> int:
    changed = np.flatnonzero(np.abs(rows).max(axis=1) > least)
    return binary.add_sparse(rows[changed], len(rows), changed)


def _targets(rigged: RiggedHead) -> list[tuple[Float32Array, Float32Array]]:
    """What each shape adds to places and to normals, (n, 3) each."""
    own = vertex_normals(rigged.vertices, rigged.triangles)
    targets = []
    for shape in rigged.shapes:
        turned = vertex_normals(rigged.vertices + shape, rigged.triangles) - own
        targets.append((shape, turned))
    return targets


def _material(name: str) -> dict[str, Any]:
    material: dict[str, Any] = {
        "name": name,
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": int(name == "lashes")},
            "metallicFactor": 0.0,
            "roughnessFactor": _ROUGHNESS.get(name, 0.9),
        },
    }
    if name == "lashes":
        material |= {"doubleSided": True, "alphaMode": "BLEND"}
    return material


def _scene_extras(rigged: RiggedHead) -> dict[str, Any]:
    landmarks = rigged.vertices[rigged.landmarks]
    return {
        "rtrecon": {
            **rigged.extras,
            "units": "m",
            "landmarks68_m": [_floats(row) for row in landmarks],
        }
    }


def _file_rotations(rotation: Float64Array, axes: Float32Array) -> Float32Array:
    """(t, 4) of our frame to the file's, of one sign, unit; ``axes`` are a half turn."""
    q = np.asarray(rotation, dtype=np.float64) * np.append(axes, 1.0)
    q = q / np.linalg.norm(q, axis=1, keepdims=True)
    # q and -q are one turn; between two of unlike sign a program goes the long way round.
    flips = np.cumprod(np.where((q[1:] * q[:-1]).sum(axis=1) < 0.0, -1.0, 1.0))
    q[1:] *= flips[:, None]
    return np.asarray(q, dtype=np.float32)


def _floats(row: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), 6) for value in row]
