"""Draw the gallery of docs/accuracy.md: pictures, their reconstructed normals and side views.

    python scripts/make_gallery.py --out docs/images/gallery.jpg PICTURE... [--model DIR ...]

A row a picture: the crop, then for each model the shaded surface (bare, lit from the upper
left) and the textured surface from 35 degrees to either side.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from rtrecon.pictures import read_picture
from rtrecon.pipeline import Reconstructor
from rtrecon.views.offscreen import render_points
from rtrecon.views.overlay import put_text

SIDE_PX = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("--model", action="append", help="default: face-dpt")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    models = args.model or ["face-dpt"]
    recons = [Reconstructor(model=m, temporal=False, passes=2) for m in models]
    rows = []
    for path in args.pictures:
        image = read_picture(path).image
        tiles = []
        for model, recon in zip(models, recons, strict=True):
            faces = recon(image)
            if not faces:
                raise SystemExit(f"no face in {path}")
            face = faces[0]
            if not tiles:
                crop = face.crop.warp(image)
                tiles.append(cv2.resize(crop, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC))
            views = [
                render_points(
                    face.points_camera, None, face.normals, (SIDE_PX, SIDE_PX), extent_m=0.27
                )
            ]
            views += [
                render_points(
                    face.points_camera,
                    face.colors,
                    face.normals,
                    (SIDE_PX, SIDE_PX),
                    yaw_deg=yaw,
                    extent_m=0.27,
                )
                for yaw in (-35, 35)
            ]
            put_text(views[0], Path(model).name, (8, 20), 1.0)
            tiles += views
        rows.append(np.hstack(tiles))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(args.out)


if __name__ == "__main__":
    main()
