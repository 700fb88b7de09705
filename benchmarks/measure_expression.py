"""How much the coefficients of a face move over a clip, and how much they tremble.

    python benchmarks/measure_expression.py [SOURCE] [--model NAME|DIR] [--raw] [--calibrate]

SOURCE is what `rtrecon run` takes (default: the bundled clip, a portrait that moves and does not
talk: what moves there should not). A line a kind of expression, or with --all a coefficient:
least, most, spread (standard deviation), and mean change from frame to frame. A head whose
coefficients are known is scored by `rtrecon eval tests/data/head-clip --video --coefficients`.
"""

import argparse

import numpy as np

from rtrecon.capture import open_source
from rtrecon.pipeline import Reconstructor

KINDS = {
    "jawOpen": ("jawOpen",),
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "browInnerUp": ("browInnerUp",),
    "pucker": ("mouthPucker",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", default="demo")
    parser.add_argument("--model", default="face-dpt")
    parser.add_argument("--raw", action="store_true", help="without the filter over time")
    parser.add_argument("--calibrate", action="store_true", help="learn the person's neutral")
    parser.add_argument("--all", action="store_true", help="a line for every coefficient")
    args = parser.parse_args()
    recon = Reconstructor(args.model, temporal=not args.raw, calibrate=args.calibrate)
    names = recon.depth_model.expression_names
    if not names:
        raise SystemExit(f"model {args.model} gives no expression")
    rows = []
    frames = 0
    with open_source(args.source) as source:
        for frame in source:
            frames += 1
            for face in recon(frame)[:1]:
                rows.append(np.asarray(face.expression))
    if len(rows) < 2:
        raise SystemExit(f"no face in {args.source}")
    series = np.array(rows)
    kinds = {n: (n,) for n in names} if args.all else KINDS
    print(f"{args.source}: a face in {len(rows)} of {frames} frames\n")
    print("| | least | most | spread | frame to frame |\n|---|---|---|---|---|")
    for kind, parts in kinds.items():
        if not set(parts) <= set(names):
            continue
        values = series[:, [names.index(part) for part in parts]].mean(axis=1)
        print(
            f"| {kind} | {values.min():.3f} | {values.max():.3f} | {values.std():.3f} "
            f"| {np.abs(np.diff(values)).mean():.4f} |"
        )


if __name__ == "__main__":
    main()
