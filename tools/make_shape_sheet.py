#!/usr/bin/env python3
"""Draw all 52 shapes of a GLB or VRM of rtrecon's, each in one cell, as a check for the eye.

The file is read anew, by the names of its morph targets: what is drawn is what others get. The
eyes turn with the eyeLook shapes, as a program does that drives joints. Without a file it is the
mean head in plain colours.
"""

from __future__ import annotations

import argparse
import json
import struct
from pathlib import Path

import cv2
import numpy as np

from rtrecon.geometry.mesh import vertex_normals
from rtrecon.geometry.rasterize import rasterize
from rtrecon.head.glb import encode_glb
from rtrecon.head.model import PART_NAMES, head_model
from rtrecon.head.rigging import rig_head

KINDS = {5121: "<u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
JAW = {"tongueOut": 0.7, "mouthClose": 1.0, "mouthRollLower": 0.0}  # shapes of an open mouth
LOOK_DEG = {"In": (0, 1), "Out": (0, -1), "Up": (1, -1), "Down": (1, 1)}
COLORS = {
    "face": (206, 160, 138),
    "head_neck": (206, 160, 138),
    "mouth_socket": (120, 50, 50),
    "eye_sockets": (190, 130, 115),
    "gums_tongue": (190, 90, 90),
    "teeth": (236, 230, 215),
    "eye_left": (240, 240, 240),
    "eye_right": (240, 240, 240),
    "lashes": (30, 22, 20),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("head", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("shapes.png"))
    parser.add_argument("--yaw", type=float, default=20.0, help="degrees")
    parser.add_argument("--cell", type=int, default=220)
    parser.add_argument("--only", default="", help="names or parts of names, with commas")
    parser.add_argument("--weight", type=float, default=1.0)
    parser.add_argument("--zoom", default="", help="eyes or mouth")
    arguments = parser.parse_args()
    content = arguments.head.read_bytes() if arguments.head else mean_glb()
    head = Head(content)
    only = [part for part in arguments.only.split(",") if part]
    names = [n for n in head.names if not only or any(part in n for part in only)]
    cells = [head.draw({}, "neutral", arguments)]
    for name in names:
        weights = {name: arguments.weight}
        if JAW.get(name):
            weights["jawOpen"] = JAW[name]
        cells.append(head.draw(weights, "+".join(weights), arguments))
    columns = min(9, len(cells))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]
    cv2.imwrite(str(arguments.out), np.vstack(rows))
    print(f"{arguments.out}: {len(names)} shapes")


class Head:
    """What a GLB holds, put together again."""

    def __init__(self, content: bytes) -> None:
        size = struct.unpack_from("<I", content, 12)[0]
        self.document = json.loads(content[20 : 20 + size])
        self.binary = content[28 + size :]
        mesh = self.document["meshes"][0]
        self.names = mesh["extras"]["targetNames"]
        self.textures = [self.image(k) for k in range(len(self.document["images"]))]
        parts = [self.primitive(primitive) for primitive in mesh["primitives"]]
        textures = [
            self.document["materials"][p["material"]]["pbrMetallicRoughness"]["baseColorTexture"]
            for p in mesh["primitives"]
        ]
        self.texture_of = np.repeat([t["index"] for t in textures], [len(p[3]) for p in parts])
        first = np.cumsum([0] + [len(part[0]) for part in parts])
        self.vertices = np.concatenate([part[0] for part in parts])
        self.uv = np.concatenate([part[1] for part in parts])
        self.weights = np.concatenate([part[2] for part in parts])
        self.triangles = np.concatenate([p[3] + k for p, k in zip(parts, first, strict=False)])
        self.targets = np.concatenate([part[4] for part in parts], axis=1)
        inverse = self.read(self.document["skins"][0]["inverseBindMatrices"])
        self.joints = -inverse.reshape(-1, 4, 4)[:, 3, :3]

    def image(self, index):
        """Four channels."""
        view = self.document["bufferViews"][self.document["images"][index]["bufferView"]]
        content = self.binary[view["byteOffset"] :][: view["byteLength"]]
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2BGRA) if picture.shape[2] == 3 else picture

    def primitive(self, primitive):
        """Places, texture places, weights, triangles and targets."""
        own = primitive["attributes"]
        joints = self.read(own["JOINTS_0"])
        weights = np.zeros((len(joints), 16), dtype=np.float32)
        for k in range(4):
            weights[np.arange(len(joints)), joints[:, k]] += self.read(own["WEIGHTS_0"])[:, k]
        return (
            self.read(own["POSITION"]),
            self.read(own["TEXCOORD_0"]),
            weights,
            self.read(primitive["indices"]).reshape(-1, 3).astype(np.int32),
            np.stack([self.read(target["POSITION"]) for target in primitive["targets"]]),
        )

    def view(self, index, dtype, count):
        """Values of a buffer view."""
        start = self.document["bufferViews"][index]["byteOffset"]
        return np.frombuffer(self.binary, dtype, count, start)

    def read(self, index):
        """An accessor's rows."""
        accessor = self.document["accessors"][index]
        count, width = accessor["count"], WIDTHS[accessor["type"]]
        dtype = KINDS[accessor["componentType"]]
        values = np.zeros((count, width), dtype=dtype)
        if "bufferView" in accessor:
            values[:] = self.view(accessor["bufferView"], dtype, count * width).reshape(-1, width)
        if sparse := accessor.get("sparse"):
            kind = KINDS[sparse["indices"]["componentType"]]
            at = self.view(sparse["indices"]["bufferView"], kind, sparse["count"])
            own = self.view(sparse["values"]["bufferView"], dtype, sparse["count"] * width)
            values[at] = own.reshape(-1, width)
        return values

    def draw(self, weights, caption, arguments):
        """One cell: the head with weights of shapes, BGR."""
        moved = self.vertices.copy()
        for name, weight in weights.items():
            moved += weight * self.targets[self.names.index(name)]
        # Joints: Neck, Head, LeftEye, RightEye (in a VRM others come after them).
        for name, weight in weights.items():
            if not name.startswith("eyeLook"):
                continue
            eye = 2 if name.endswith("Left") else 3
            axis, sign = LOOK_DEG[name[7:].removesuffix("Left").removesuffix("Right")]
            angle = np.radians((32.0, 25.0)[axis] * weight) * sign
            # In is toward the nose: to the own right for the left eye.
            turn = rotation_x(angle) if axis else rotation_y(-angle if eye == 2 else angle)
            share = self.weights[:, eye : eye + 1]
            about = self.joints[eye]
            moved += share * ((moved - about) @ turn.T + about - moved)
        size = arguments.cell * 2
        turned = moved @ rotation_y(np.radians(arguments.yaw)).T
        span, center = {
            "eyes": (0.13, (0.0, -0.002)),
            "mouth": (0.11, (0.0, -0.075)),
        }.get(arguments.zoom, (0.36, (0.0, -0.06)))
        middle = (self.joints[2] + self.joints[3]) / 2.0
        scale = size / span
        middle = rotation_y(np.radians(arguments.yaw)) @ middle
        px = np.stack(
            [
                (turned[:, 0] - middle[0] - center[0]) * scale + size / 2,
                (-(turned[:, 1] - middle[1] - center[1])) * scale + size / 2,
            ],
            axis=1,
        ).astype(np.float32)
        normals = vertex_normals(turned.astype(np.float32), self.triangles)
        corners = turned[self.triangles]
        front = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0
        picture = np.full((size * size, 3), 250, dtype=np.uint8)
        near = np.full(size * size, np.inf)
        for texture, chosen in ((0, front & (self.texture_of == 0)), (1, self.texture_of == 1)):
            triangles = self.triangles[chosen]
            if not len(triangles):
                continue
            hits = rasterize(px, -turned[:, 2].astype(np.float32), triangles, size, size)
            at = triangles[hits.triangle]
            depth = -(turned[at, 2] * hits.weights).sum(axis=1)
            shown = depth < near[hits.pixel] + 1e-4
            near[hits.pixel] = np.minimum(near[hits.pixel], depth)
            uv = (self.uv[at] * hits.weights[..., None]).sum(axis=1)
            high, wide = self.textures[texture].shape[:2]
            texel = np.clip((uv * (wide, high)).astype(int), 0, (wide - 1, high - 1))
            color = self.textures[texture][texel[:, 1], texel[:, 0]].astype(np.float32)
            normal = (normals[at] * hits.weights[..., None]).sum(axis=1)
            light = 0.35 + 0.65 * np.clip(normal @ np.array([0.35, 0.45, 0.82]), 0.0, 1.0)
            alpha = color[:, 3:] / 255.0 * shown[:, None]
            lit = np.clip(color[:, :3] * light[:, None], 0, 255)
            picture[hits.pixel] = alpha * lit + (1.0 - alpha) * picture[hits.pixel]
        small = cv2.resize(
            picture.reshape(size, size, 3),
            (arguments.cell, arguments.cell),
            interpolation=cv2.INTER_AREA,
        )
        cv2.putText(small, caption, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1)
        return small


def rotation_x(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]], dtype=np.float64)


def rotation_y(angle):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=np.float64)


def plain_texture(size: int = 1024) -> np.ndarray:
    """One colour a part, irises on the eyes."""
    model = head_model()
    texture = np.full((size, size, 3), COLORS["face"], dtype=np.uint8)
    part = model.part_of_triangles()
    uv = (model.uv * size).astype(np.float32)
    hits = rasterize(uv, np.zeros(len(uv), np.float32), model.uv_triangles, size, size)
    flat = texture.reshape(-1, 3)
    palette = np.array([COLORS[name] for name in PART_NAMES], dtype=np.uint8)
    flat[hits.pixel] = palette[part[hits.triangle]]
    corners = model.vertices[model.triangles[hits.triangle]]
    place = (corners * hits.weights[..., None]).sum(axis=1)
    for eye, center in zip(
        ("eye_left", "eye_right"), model.eye_centers(model.vertices), strict=True
    ):
        own = part[hits.triangle] == PART_NAMES.index(eye)
        ahead = place - center
        off = np.degrees(np.arctan2(np.hypot(ahead[:, 0], ahead[:, 1]), -ahead[:, 2]))
        flat[hits.pixel[own & (off < 23)]] = (92, 120, 60)
        flat[hits.pixel[own & (off < 9)]] = (12, 12, 12)
    return texture


def mean_glb() -> bytes:
    model = head_model()
    return encode_glb(rig_head(model, model.vertices, plain_texture()))


if __name__ == "__main__":
    main()
