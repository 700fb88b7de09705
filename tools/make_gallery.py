"""Draw the gallery of docs/accuracy.md: pictures, their reconstructed surface and side views.

    python tools/make_gallery.py --out docs/images/gallery.jpg PICTURE... [--model DIR ...]

A row a picture: the crop, then for each model the bare surface lit from the upper left, from the
camera's side, and the textured surface from 35 degrees to either side.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from rtrecon.capture.pictures import read_picture
from rtrecon.draw.marks import put_text
from rtrecon.draw.raster import render_views
from rtrecon.mesh.face_mesh import face_mesh
from rtrecon.pipeline import Reconstructor

SIDE_PX = 300
SPAN_M = 0.27


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
            mesh = face_mesh(face)
            center = face.T_camera_face[:3, 3] + [0.0, 0.03, 0.06]

            def view(yaw_deg: float, mesh=mesh, center=center) -> tuple[np.ndarray, np.ndarray]:
                return render_views(
                    mesh, yaw_deg, SIDE_PX, SIDE_PX, span_m=SPAN_M, center_camera=center
                )

            shaded, _ = view(0.0)
            if len(models) > 1:
                put_text(shaded, Path(model).name, (8, 20), 1.0)
            tiles += [shaded, view(-35.0)[1], view(35.0)[1]]
        rows.append(np.hstack(tiles))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 88] if args.out.suffix in (".jpg", ".jpeg") else []
    cv2.imwrite(str(args.out), np.vstack(rows), quality)
    print(args.out)


if __name__ == "__main__":
    main()
