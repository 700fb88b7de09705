#!/usr/bin/env python3
"""Make rtrecon/data/mean_face.npz, the mean face that poses are fitted to.

From the neutral head of ICT-FaceKit Light (MIT): the five landmarks of the detector and some
hundred points of the face with their normals, in metres in the face frame (origin between the
pupils, x to the right of the picture, y down, z into the head), scaled to 63 mm between the
pupils.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from rtrecon.train.face_model import WHERE, default_face_model

ROOT = Path(__file__).resolve().parents[1]
IPD_M = 0.063
FACE_LAST = 6706  # the narrow face comes first
IRIS = {"left": slice(23791, 24591), "right": slice(22221, 23021)}  # left in the picture
NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT = 4857, 5708, 6213  # of the 68 landmarks: 30, 48, 54
POINTS = 500


def main() -> None:
    """Read the head, write the face."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--face-model", type=Path, default=default_face_model(), help=WHERE)
    parser.add_argument("--out", type=Path, default=ROOT / "rtrecon/data/mean_face.npz")
    arguments = parser.parse_args()
    with np.load(arguments.face_model, allow_pickle=False) as data:
        V, F = data["V"].astype(np.float64), data["F"]
    P = V * (1.0, -1.0, -1.0)  # x to the picture's right, y down, z into the head
    eyes = [pupil(P[IRIS[side]]) for side in ("left", "right")]
    scale = IPD_M / np.linalg.norm(eyes[1] - eyes[0])
    origin = (eyes[0] + eyes[1]) / 2.0
    landmarks = np.stack([*eyes, P[NOSE_TIP], P[MOUTH_LEFT], P[MOUTH_RIGHT]])
    normals = vertex_normals(P, F)
    chosen = spread(P[:FACE_LAST], POINTS)
    fields = {
        "landmarks": ((landmarks - origin) * scale).astype(np.float32),
        "points": ((P[chosen] - origin) * scale).astype(np.float32),
        "normals": normals[chosen].astype(np.float32),
        "ipd_m": np.float32(IPD_M),
    }
    part = arguments.out.with_suffix(".part")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        np.savez_compressed(file, **fields)
    part.replace(arguments.out)
    print(f"{arguments.out}: {len(chosen)} points, landmarks in mm")
    print(np.round(fields["landmarks"] * 1000, 1))


def pupil(iris: np.ndarray) -> np.ndarray:
    """The front of an iris (3,): the part is a bowl whose mean lies within the eye."""
    return np.array([iris[:, 0].mean(), iris[:, 1].mean(), iris[:, 2].min()])


def vertex_normals(P: np.ndarray, F: np.ndarray) -> np.ndarray:
    """Outward unit normals (n, 3)."""
    edges = P[F]
    face = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
    # Our axes keep the handedness of the model's (two are reversed), so the winding holds.
    normals = np.zeros_like(P)
    for corner in range(3):
        np.add.at(normals, F[:, corner], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def spread(P: np.ndarray, count: int) -> np.ndarray:
    """Indices of ``count`` points, each the farthest from those before."""
    chosen = [int(np.argmin(P[:, 2]))]
    distance = np.full(len(P), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, ((P - P[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(distance)))
    return np.array(sorted(chosen))


if __name__ == "__main__":
    main()
