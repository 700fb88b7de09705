"""What a model says of lids, and the constants of `rtrecon/avatar/lids.py` that follow from it.

    python benchmarks/measure_lids.py --face-model PATH [--model NAME|DIR] [--heads 24] [--seed 1]

Draws heads that no training has seen (`rtrecon.train.heads`, the extra `train`) with eyes open, at
known levels of a blink, and at those of each wink, all else the same; runs the network alone on
each picture, without any filter; and prints what is said, per level and per head, and the
constants. They are the export's: measure anew for each.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.pipeline import Reconstructor
from rtrecon.train.face_model import WHERE, FaceModel, default_face_model
from rtrecon.train.heads.frames import Act, FrameRenderer
from rtrecon.types import BgrImage, Float64Array, Frame

LEVELS = (0.25, 0.5, 0.75, 1.0)
AHEAD = (0.0, 0.0, 0.0)
TURNS = (AHEAD, (8.0, 0.0, 0.0), (-8.0, 0.0, 0.0), (0.0, 15.0, 0.0), (0.0, -15.0, 0.0))
LIDS = ("eyeBlinkLeft", "eyeBlinkRight")


@dataclass(frozen=True)
class Said:
    """Of one head: (n, 2) left and right coefficient with eyes open in each of `TURNS`; of blinks,
    and of winks of the left and of the right eye, (levels, 2) ahead."""

    open: Float64Array
    blink: Float64Array
    wink_left: Float64Array
    wink_right: Float64Array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face-model", type=Path, default=default_face_model(), help=WHERE)
    parser.add_argument("--model", default="face-dpt")
    parser.add_argument("--heads", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=480, help="pixels of a picture's side")
    args = parser.parse_args()
    renderer = FrameRenderer(FaceModel.load(args.face_model), args.size)
    recon = Reconstructor(args.model, temporal=False, calibrate=False)
    heads: list[Said] = []
    print("| head | open | blink | wink left | wink right | (left / right, at 1)")
    print("|---|---|---|---|---|")
    for k in range(args.heads):
        pictures = [f.image for f in renderer.acting(args.seed * 10_000 + k, acts())]
        said = says(recon, pictures)
        if said is None:
            print(f"| {k} | no face is found in one of its pictures |", flush=True)
            continue
        heads.append(said)
        cells = (said.open[0], said.blink[-1], said.wink_left[-1], said.wink_right[-1])
        pairs = " | ".join(f"{a:.2f} / {b:.2f}" for a, b in cells)
        print(f"| {k} | {pairs} |", flush=True)
    renderer.close()
    if len(heads) < 3:
        raise SystemExit("too few heads to tell anything")
    print("\n".join(report(heads)))


def acts() -> list[Act]:
    """Eyes open in each turn, then blinks, left and right winks ahead."""
    made: list[Act] = [(turn, {}) for turn in TURNS]
    for shapes in (("eyeBlink_L", "eyeBlink_R"), ("eyeBlink_L",), ("eyeBlink_R",)):
        made += [(AHEAD, dict.fromkeys(shapes, level)) for level in LEVELS]
    return made


def says(recon: Reconstructor, pictures: Sequence[BgrImage]) -> Said | None:
    """What the network says of the pictures of `acts`; None where a face is not found."""
    rows = []
    for k, image in enumerate(pictures):
        recon.reset()  # each picture by itself
        faces = recon(Frame(image, k, k * 1_000_000_000))
        if not faces or faces[0].expression is None:
            return None
        rows.append([faces[0].expression[lid] for lid in LIDS])
    values = np.array(rows, dtype=np.float64)
    first, count = len(TURNS), len(LEVELS)
    parts = [values[first + k * count : first + (k + 1) * count] for k in range(3)]
    return Said(values[:first], *parts)


def report(heads: Sequence[Said]) -> list[str]:
    """Levels, and the constants by what they stand for."""
    lines = ["", "| level | blink: left / right | wink: shut eye / other eye |", "|---|---|---|"]
    for k, level in enumerate(LEVELS):
        blink = np.mean([h.blink[k] for h in heads], axis=0)
        wink = np.mean([winks(h)[k :: len(LEVELS)].mean(axis=0) for h in heads], axis=0)
        lines.append(
            f"| {level:g} | {blink[0]:.2f} / {blink[1]:.2f} | {wink[0]:.2f} / {wink[1]:.2f} |"
        )
    opened = np.concatenate([h.open.ravel() for h in heads])
    shut = np.array([h.blink[-1] for h in heads])
    shares = np.array([share(h.blink[-1]) for h in heads])
    strong = np.concatenate([winks(h)[[-1, len(LEVELS) - 1]] for h in heads])
    wink_shares = np.array([share(pair) for pair in strong])
    leaks = strong[:, 1] / np.maximum(strong[:, 0], 1e-6)
    leak = float(np.median(leaks))
    lines += [
        "",
        f"{len(heads)} heads",
        f"_OPEN   {np.percentile(opened, 75):.2f}  eyes that are open: "
        f"median {np.median(opened):.2f}, three of four below it, at most {opened.max():.2f}",
        f"_SHUT   {np.percentile(shut, 10):.2f}  eyes that are shut: "
        f"median {np.median(shut):.2f}, nine of ten above it, at least {shut.min():.2f}",
        f"_LEAK   {(1 + leak) / (1 - leak):.2f}  the other eye of a wink is told {leak:.2f} of the "
        f"one that is shut (median; nine of ten below {np.percentile(leaks, 90):.2f})",
        "_BLINK_BAND  between the shares by which lids differ: "
        f"blinks {np.median(shares):.2f} (at most {shares.max():.2f}), "
        f"winks {np.median(wink_shares):.2f} (nine of ten above "
        f"{np.percentile(wink_shares, 10):.2f}, at least {wink_shares.min():.2f})",
        f"_FAINT, _PLAIN  above what open eyes differ by: {apart(heads):.2f} at most",
    ]
    return lines


def winks(head: Said) -> Float64Array:
    """(2 levels, 2): the eye that shuts and the other, of left and then of right winks."""
    return np.concatenate([head.wink_left, head.wink_right[:, ::-1]])


def share(pair: Float64Array) -> float:
    """By how much of the larger one the lids differ, as `rtrecon.avatar.lids` tells winks."""
    return float(abs(pair[0] - pair[1]) / max(pair.max(), 1e-6))


def apart(heads: Sequence[Said]) -> float:
    return float(max(np.abs(h.open[:, 0] - h.open[:, 1]).max() for h in heads))


if __name__ == "__main__":
    main()
