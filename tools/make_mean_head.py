#!/usr/bin/env python3
"""Make rtrecon/data/mean_head.npz, the head that is placed in each frame's depth.

From ICT-FaceKit Light (MIT): its 68 landmarks and some two hundred points spread over the narrow
face, with their outward normals and what the expressions that landmarks and depth can show do to
them. Metres, x to the right of the picture, y down, z into the head, origin midway between the
irises, in the model's own size.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from rtrecon.train.face_model import (
    ARKIT_NAMES,
    LANDMARKS_68,
    WHERE,
    FaceModel,
    default_face_model,
)
from rtrecon.train.heads.mesh import vertex_normals

ROOT = Path(__file__).resolve().parents[1]
NARROW_FACE = 6706  # the narrow face comes first
IRISES = slice(23791, 24591), slice(22221, 23021)  # left in the picture, right
POINTS = 200
AXES = np.array([1.0, -1.0, -1.0])  # from y up, z out of the face
# What landmarks and depth show; lids, winks, frowns and pursed lips they do not.
# fmt: off
EXPRESSIONS = (
    "jawOpen", "jawLeft", "jawRight", "mouthSmileLeft", "mouthSmileRight", "browInnerUp",
    "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "browDownRight",
)
# fmt: on


def main() -> None:
    """Read the head, write the asset."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--face-model", type=Path, default=default_face_model(), help=WHERE)
    parser.add_argument("--out", type=Path, default=ROOT / "rtrecon/data/mean_head.npz")
    arguments = parser.parse_args()
    model = FaceModel.load(arguments.face_model)
    eyes = [model.vertices[iris].mean(axis=0, dtype=np.float64) for iris in IRISES]
    origin = (eyes[0] + eyes[1]) / 2.0
    chosen = np.concatenate([LANDMARKS_68, spread(model.vertices[:NARROW_FACE], POINTS)])
    normals = vertex_normals(model.vertices, model.triangles)
    alone = np.eye(len(ARKIT_NAMES), dtype=np.float32)
    weights = [model.from_arkit(alone[ARKIT_NAMES.index(name)]) for name in EXPRESSIONS]
    basis = np.tensordot(np.array(weights), model.expression[:, chosen], 1)
    fields = {
        "points": ((model.vertices[chosen] - origin) * AXES * 0.01).astype(np.float32),
        "normals": (normals[chosen] * AXES).astype(np.float16),
        "expression": (basis * AXES * 0.01).astype(np.float16),
        "expression_names": np.array(EXPRESSIONS),
        "ipd_m": np.float32(np.linalg.norm(eyes[1] - eyes[0]) * 0.01),
    }
    part = arguments.out.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **fields)
    part.replace(arguments.out)
    size_kb = arguments.out.stat().st_size / 1000
    print(
        f"{arguments.out}: {len(chosen)} points, {len(EXPRESSIONS)} expressions, "
        f"{fields['ipd_m'] * 1000:.2f} mm between the irises, {size_kb:.0f} kB"
    )


def spread(vertices: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` points, each the farthest from those before; the nose is the first."""
    chosen = [int(np.argmax(vertices[:, 2]))]
    distance = np.full(len(vertices), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((vertices - vertices[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(distance)))
    return np.array(sorted(chosen))


if __name__ == "__main__":
    main()
