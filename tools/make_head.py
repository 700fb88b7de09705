#!/usr/bin/env python3
"""Make models/head, the head that is fitted to people and leaves as their avatar.

From ICT-FaceKit Light (MIT): the face, head and neck whole; the mouth's and the eyes' sockets;
gums, tongue and teeth with fewer vertices; eyeballs without what lies over the iris (it is
painted); the lashes; 60 of 100 identity modes; 51 of ARKit's 52 shapes. Metres, x to the right
of the picture, y down, z into the head, origin midway between the irises of the mean head.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from itertools import product
from pathlib import Path

import numpy as np
import open3d as o3d
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from rtrecon.train.face_model import (
    ARKIT_NAMES,
    LANDMARKS_68,
    PARTS,
    WHERE,
    FaceModel,
    default_face_model,
)

ROOT = Path(__file__).resolve().parents[1]
IRISES = slice(23791, 24591), slice(22221, 23021)  # left in the picture, right
AXES = np.array([1.0, -1.0, -1.0])  # from y up, z out of the face
IDENTITY_MODES = 60
# Name in the file: first and last+1 vertex of ICT's, triangles to keep (None: all).
KEPT = {
    "face": (*PARTS["face"], None),
    "head_neck": (*PARTS["head_neck"], None),
    "mouth_socket": (*PARTS["mouth_socket"], None),
    "eye_sockets": (*PARTS["eye_sockets"], None),
    "gums_tongue": (*PARTS["gums_tongue"], 3000),
    "teeth": (*PARTS["teeth"], 3000),
    "eye_left": (21451, 22221, None),  # the sclera alone
    "eye_right": (23021, 23791, None),
    "lashes": (*PARTS["lashes"], None),
}
# Where ICT's tiles lie in the one texture: x, y, width, height, from its top left corner.
TILES = {
    "face": (0.0, 0.0, 0.625, 0.625),
    "head": (0.0, 0.625, 0.625, 0.375),
    "gums": (0.625, 0.0, 0.375, 0.375),
    "teeth": (0.625, 0.375, 0.375, 0.375),
    "eye_left": (0.625, 0.75, 0.1875, 0.1875),
    "eye_right": (0.8125, 0.75, 0.1875, 0.1875),
    "lashes": (0.625, 0.9375, 0.375, 0.0625),
}
TORN = 0.5  # of a tile around a triangle, which is not so large
MARGIN = 0.002  # of a tile, so that its neighbours do not shine through in smaller copies


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--face-model", type=Path, default=default_face_model(), help=WHERE)
    parser.add_argument("--out", type=Path, default=ROOT / "models/head")
    arguments = parser.parse_args()
    model = FaceModel.load(arguments.face_model)
    with np.load(arguments.face_model) as data:
        uv, uv_triangles = data["uv"].astype(np.float64), data["FT"]

    alone = np.eye(len(ARKIT_NAMES), dtype=np.float32)
    triangles, corners, chosen, parts = _surface(model, uv, uv_triangles, alone)
    place = np.full(len(model.vertices), -1)
    place[chosen] = np.arange(len(chosen))
    irises = [model.vertices[iris].mean(axis=0, dtype=np.float64) for iris in IRISES]
    origin = (irises[0] + irises[1]) / 2.0
    vertices = (model.vertices[chosen] - origin) * AXES * 0.01
    weights = np.array([model.from_arkit(row) for row in alone])
    expression = np.tensordot(weights, model.expression[:, chosen], 1) * AXES * 0.01
    expression[np.abs(expression) < 2e-5] = 0.0  # a fiftieth of a millimetre
    identity = model.identity[:IDENTITY_MODES, chosen] * AXES * 0.01
    # y and z change their sign: what was anticlockwise from outside still is.
    kinds, index = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    _, mirror = cKDTree(vertices).query(vertices * (-1.0, 1.0, 1.0))
    fields = {
        "vertices": vertices.astype(np.float32),
        "triangles": place[triangles].astype(np.uint16),
        "uv": kinds.astype(np.float32),
        "uv_triangles": index.reshape(-1, 3).astype(np.uint16),
        "identity": identity.astype(np.float16),
        "expression": expression.astype(np.float16),
        "expression_names": np.array(ARKIT_NAMES),
        "part_names": np.array(list(parts)),
        "part_first": np.array([first for first, _ in parts.values()]),
        "landmarks": place[LANDMARKS_68].astype(np.uint16),
        "mirror": mirror.astype(np.uint16),
        "ipd_m": np.float32(np.linalg.norm(irises[1] - irises[0]) * 0.01),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "head.npz"
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **fields)
    part.replace(path)
    manifest = {
        "name": "head",
        "source": "ICT-FaceKit Light, reduced by tools/make_head.py",
        "licence": "MIT",
        "files": {"head.npz": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}},
    }
    (arguments.out / "model.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(
        f"{path}: {len(chosen)} vertices, {len(triangles)} triangles, {len(kinds)} in the texture, "
        f"{IDENTITY_MODES} identity modes, {path.stat().st_size / 1e6:.1f} MB"
    )


def _surface(model, uv, uv_triangles, alone):
    """Triangles (m, 3) of ICT's vertices, their (m, 3, 2) places in the texture, the vertices that
    are kept, and first and last+1 of each part among these."""
    part_of = np.full(len(model.vertices), -1)
    for k, (first, end, _) in enumerate(KEPT.values()):
        part_of[first:end] = k
    owner = part_of[model.triangles]
    names = list(KEPT)
    kept_triangles, kept_corners = [], []
    for k, (name, (first, end, limit)) in enumerate(KEPT.items()):
        # A triangle between two parts belongs to the later one; it is never left out.
        own = (owner.max(axis=1) == k) & (owner.min(axis=1) >= 0)
        inside = own & (owner.min(axis=1) == k)
        across = own & ~inside
        triangles, corners = model.triangles[inside], uv[uv_triangles[inside]]
        if limit is not None and limit < len(triangles):
            border = np.unique(model.triangles[across]) if across.any() else np.zeros(0, int)
            # Apart, and with the mouth open: teeth that touch at rest are not to be joined.
            jaw = model.from_arkit(alone[ARKIT_NAMES.index("jawOpen")])
            opened = model.vertices + np.tensordot(jaw, model.expression, 1)
            whole = len(triangles)
            triangles = np.concatenate(
                [
                    _fewer(opened, own, max(limit * len(own) // whole, 4), border)
                    for own in _separate(triangles)
                ]
            )
            corners = _corners(triangles, model.triangles, uv[uv_triangles])
        kept_triangles.append(np.concatenate([triangles, model.triangles[across]]))
        corners = np.concatenate([corners, uv[uv_triangles[across]]])
        kept_corners.append(_in_texture(corners, name))
        assert first < end
    triangles = np.concatenate(kept_triangles)
    chosen = np.unique(triangles)
    owners = part_of[chosen]
    assert (np.diff(owners) >= 0).all()
    parts = {
        name: (int(np.searchsorted(owners, k)), int(np.searchsorted(owners, k + 1)))
        for k, name in enumerate(names)
    }
    return triangles, np.concatenate(kept_corners), chosen, parts


def _corners(triangles, all_triangles, all_corners):
    """(m, 3, 2) places in the texture of triangles over some of the vertices. At a seam a vertex
    has several: those that lie closest together; one place for all three where none do."""
    places = {}
    chosen = np.isin(all_triangles, triangles)
    for vertex, place in zip(all_triangles[chosen], all_corners[chosen], strict=True):
        places.setdefault(int(vertex), set()).add(tuple(place))
    corners = np.empty((len(triangles), 3, 2))
    for k, triangle in enumerate(triangles):
        ways = [np.array(way) for way in product(*(sorted(places[int(v)]) for v in triangle))]
        around = [np.linalg.norm(way - np.roll(way, 1, axis=0), axis=1).sum() for way in ways]
        best = int(np.argmin(around))
        corners[k] = ways[best] if around[best] < TORN else ways[best][:1]
    return corners


def _separate(triangles):
    """The triangles of each connected surface."""
    used, index = np.unique(triangles, return_inverse=True)
    index = index.reshape(-1, 3)
    graph = coo_matrix(
        (np.ones(index.size), (index.ravel(), np.roll(index, 1, axis=1).ravel())),
        shape=(len(used), len(used)),
    )
    _, label = connected_components(graph, directed=False)
    return [triangles[label[index[:, 0]] == k] for k in range(label.max() + 1)]


def _fewer(vertices, triangles, limit, border):
    """About ``limit`` triangles over some of the same vertices; those of ``border`` all stay."""
    used = np.unique(triangles)
    index = np.full(len(vertices), -1)
    index[used] = np.arange(len(used))
    mesh = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(vertices[used].astype(float)),
        o3d.utility.Vector3iVector(index[triangles]),
    )
    smaller = mesh.simplify_quadric_decimation(limit, boundary_weight=100.0)
    points = np.asarray(smaller.vertices)
    _, nearest = cKDTree(vertices[used]).query(points)
    fewer = used[nearest[np.asarray(smaller.triangles)]]
    fewer = fewer[
        (fewer[:, 0] != fewer[:, 1]) & (fewer[:, 1] != fewer[:, 2]) & (fewer[:, 2] != fewer[:, 0])
    ]
    missing = np.setdiff1d(np.intersect1d(border, used), fewer)
    if len(missing):
        raise SystemExit(f"{len(missing)} vertices that join two parts were lost: keep more")
    _, first = np.unique(np.sort(fewer, axis=1), axis=0, return_index=True)
    return fewer[np.sort(first)]


def _in_texture(corners, name):
    """ICT's (m, 3, 2) tile coordinates, y up, to the one texture, y down."""
    tile = np.floor(corners.mean(axis=1))[:, 0].astype(int)
    places = {
        0: name if name.startswith("eye_") and name != "eye_sockets" else "face",
        1: "head",
        2: "gums",
        3: "teeth",
        6: "lashes",
    }
    boxes = np.array([TILES[places[t]] for t in tile])
    inside = corners - np.stack([tile, np.zeros_like(tile)], axis=1)[:, None]
    inside = np.clip(inside, 0.0, 1.0)
    inside[..., 1] = 1.0 - inside[..., 1]
    inside = MARGIN + inside * (1.0 - 2.0 * MARGIN)
    return boxes[:, None, :2] + inside * boxes[:, None, 2:]


if __name__ == "__main__":
    main()
