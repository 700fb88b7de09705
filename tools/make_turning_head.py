#!/usr/bin/env python3
"""Draw docs/images/head.webp: public-domain portraits, and the heads made of one each, turning."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from make_head_sheet import ROOT, cut, view
from PIL import Image

from rtrecon.capture.pictures import read_picture
from rtrecon.mesh.face_mesh import MeshOptions, face_mesh
from rtrecon.pipeline import reconstruct

NAMES = ("astronaut.png", "obama.jpg")
TILE = (208, 256)
DARK = 28.0
FRAMES, FRAME_MS, YAW_DEG = 60, 80, 62.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, default=ROOT / "../shared/data/faces")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/head.webp")
    parser.add_argument("--quality", type=int, default=75)
    arguments = parser.parse_args()
    heads = []
    for name in NAMES:
        picture = read_picture(arguments.faces / name).image
        face = reconstruct(picture)[0]
        mesh = face_mesh(face, MeshOptions(back=True), picture)
        heads.append((cut(picture, face, TILE), mesh, face.T_camera_face))
    frames = []
    for phase in np.arange(FRAMES) * (2.0 * np.pi / FRAMES):
        yaw_deg = float(YAW_DEG * np.sin(phase))
        tiles = [(still, view(mesh, T, yaw_deg, TILE, DARK)) for still, mesh, T in heads]
        frame = np.hstack([tile for pair in tiles for tile in pair])
        frames.append(Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1])))
    frames[0].save(
        arguments.out,
        save_all=True,
        append_images=frames[1:],
        duration=FRAME_MS,
        loop=0,
        quality=arguments.quality,
        method=6,
    )
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB, {frames[0].size}")


if __name__ == "__main__":
    main()
