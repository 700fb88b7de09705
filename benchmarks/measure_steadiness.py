"""How still a still face stays: depth from frame to frame under sensor noise.

    python benchmarks/measure_steadiness.py [--picture FILE] [--model NAME] [--frames 90]

One picture is shown again and again with fresh noise; what moves afterwards is the
tracker's, the model's and the filter's. Prints a table with the filter on and off.
"""

import argparse
from pathlib import Path

import numpy as np

from rtrecon.capture import open_source
from rtrecon.capture.pictures import read_picture
from rtrecon.pipeline import Reconstructor
from rtrecon.types import BgrImage, Frame

SETTLE = 10  # frames that the filter may take to come to rest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="default: first frame of the bundled clip")
    parser.add_argument("--model", default="face-dpt")
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--noise", type=float, nargs="+", default=[2.0, 4.0])
    args = parser.parse_args()
    if args.picture is not None:
        picture = read_picture(args.picture).image
    else:
        with open_source("demo") as source:
            picture = next(iter(source)).image.copy()
    print("| noise, grey levels | filter | depth, frame to frame | shape alone | distance |")
    print("|---|---|---|---|---|")
    for sigma in args.noise:
        for temporal in (True, False):
            depth, shape, distance = measure(picture, sigma, temporal, args)
            name = "on" if temporal else "off"
            print(f"| {sigma:g} | {name} | {depth:.2f} mm | {shape:.2f} mm | {distance:.2f} mm |")


def measure(
    picture: BgrImage, sigma: float, temporal: bool, args: argparse.Namespace
) -> tuple[float, float, float]:
    """Mean absolute changes in mm: of depth, of depth without its median, of the distance."""
    rng = np.random.default_rng(0)
    reconstructor = Reconstructor(model=args.model, temporal=temporal)
    last, changes = None, []
    for k in range(args.frames):
        noisy = picture + rng.normal(0.0, sigma, picture.shape)
        image = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        faces = reconstructor(Frame(image, k, round(k * 1e9 / 30), None))
        if not faces:
            raise SystemExit(f"no face in frame {k}")
        face = faces[0]
        z_m, valid = face.grid.points_camera[..., 2].copy(), face.grid.valid.copy()
        if last is not None and last[0].shape == z_m.shape and k > SETTLE:
            change = (z_m - last[0])[valid & last[1]]
            changes.append(
                (
                    np.abs(change).mean(),
                    np.abs(change - np.median(change)).mean(),
                    abs(face.z_ref_m - last[2]),
                )
            )
        last = z_m, valid, face.z_ref_m
    depth, shape, distance = np.mean(changes, axis=0) * 1e3
    return float(depth), float(shape), float(distance)


if __name__ == "__main__":
    main()
