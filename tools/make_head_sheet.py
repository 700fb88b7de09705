#!/usr/bin/env python3
"""Draw docs/images/heads.jpg: heads made of one public-domain portrait each, from six sides."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from rtrecon.capture.pictures import read_picture
from rtrecon.geometry.mesh import Mesh
from rtrecon.geometry.rasterize import rasterize
from rtrecon.head.view import sample
from rtrecon.mesh.face_mesh import MeshOptions, face_mesh
from rtrecon.pipeline import reconstruct

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("obama.jpg", "biden.jpg", "astronaut.png")
YAWS_DEG = (0.0, 30.0, 60.0, -30.0, -60.0, 180.0)
TILE = (260, 300)
SPAN_M, DISTANCE_M = 0.35, 1.3
CENTER_M = np.array([0.0, 0.012, 0.075])  # of the view, head frame
BACKGROUND = 236.0
SUPERSAMPLE = 3
LIGHT = np.array([-0.35, -0.50, -0.79])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, default=ROOT / "../shared/data/faces")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/heads.jpg")
    arguments = parser.parse_args()
    rows = []
    for name in NAMES:
        picture = read_picture(arguments.faces / name).image
        face = reconstruct(picture)[0]
        mesh = face_mesh(face, MeshOptions(back=True), picture)
        T = face.T_camera_face
        rows.append(np.hstack([cut(picture, face), *(view(mesh, T, yaw) for yaw in YAWS_DEG)]))
    done = cv2.imwrite(str(arguments.out), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{arguments.out}: {'written' if done else 'cannot be written'}")


def view(
    mesh: Mesh,
    T_camera_face: np.ndarray,
    yaw_deg: float,
    tile: tuple[int, int] = TILE,
    background: float = BACKGROUND,
) -> np.ndarray:
    """(height, width, 3) BGR of a textured mesh in the camera frame; positive shows the side at
    the right of the picture."""
    width, height = (side * SUPERSAMPLE for side in tile)
    yaw = np.radians(yaw_deg)
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    R = turn @ T_camera_face[:3, :3].T
    points = (mesh.vertices - T_camera_face[:3, 3]) @ T_camera_face[:3, :3] - CENTER_M
    points = (points @ turn.T).astype(np.float32)
    near = DISTANCE_M / (DISTANCE_M + points[:, 2:])
    pixels = points[:, :2] * near * (height / SPAN_M) + (np.array([width, height]) - 1.0) / 2.0
    hit = rasterize(pixels.astype(np.float32), points[:, 2], mesh.triangles, width, height)
    corners = mesh.triangles[hit.triangle]

    def at(values: np.ndarray) -> np.ndarray:
        return np.einsum("ij,ijk->ik", hit.weights, values[corners])

    normals = at(mesh.normals @ R.T)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    light = 0.84 + 0.24 * np.maximum(normals @ LIGHT, 0.0) - 0.10 * np.maximum(normals[:, 2], 0.0)
    light -= 0.12 * np.clip(1.0 + normals[:, 2], 0.0, 1.0)  # edges, so that the shape is seen
    size = np.array(mesh.texture.shape[1::-1])
    color = sample(mesh.texture, (at(mesh.uv) * size - 0.5).astype(np.float32)) * light[:, None]
    image = np.full((height * width, 3), background, dtype=np.float32)
    image[hit.pixel] = color[:, ::-1]
    image = cv2.resize(image.reshape(height, width, 3), tile, interpolation=cv2.INTER_AREA)
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def cut(picture: np.ndarray, face, tile: tuple[int, int] = TILE) -> np.ndarray:
    """The face's surroundings in the picture, as large as the views show it."""
    z = float(face.T_camera_face[2, 3])
    px_per_m = face.intrinsics.fx / z
    scale = tile[1] / SPAN_M / px_per_m
    center = face.landmarks68_px[36:48].mean(axis=0)
    center[1] += CENTER_M[1] * px_per_m
    M = np.array([[scale, 0, 0], [0, scale, 0]])
    M[:, 2] = np.array(tile) / 2.0 - scale * center
    return cv2.warpAffine(picture, M, tile, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)


if __name__ == "__main__":
    main()
