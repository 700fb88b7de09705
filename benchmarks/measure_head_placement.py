"""Distance and rotation of turning heads whose truth is known: by the head, and by the eyes.

    python benchmarks/measure_head_placement.py [--model NAME] [--heads 12] [--live]

Rendered heads of many identities turn from one side to the other, each picture alone or, with
``--live``, as a video. Every head is told its own interpupillary distance. Prints a table: the
distance's error and its spread over a head's turn (what a user sees as breathing), the rotation,
and the depth's error as it is and after its median is taken off. Beside them what constants
score: the heads' mean distance, a face that looks straight ahead, a plane.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtrecon.depth.model import load_depth_model
from rtrecon.pipeline import Reconstructor
from rtrecon.train.face_model import WHERE, FaceModel, default_face_model
from rtrecon.train.heads.frames import EvaluationFrame, FrameRenderer
from rtrecon.types import Frame

AHEAD_DEG, ASIDE_DEG = 20.0, 40.0
COLUMNS = (
    "seen",
    "distance %",
    "ahead",
    "aside",
    "spread %",
    "rotation, degrees",
    "ahead",
    "aside",
    "depth mm",
    "without median",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face-model", type=Path, default=default_face_model(), help=WHERE)
    parser.add_argument("--model", default="face-dpt")
    parser.add_argument("--precision")
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--first", type=int, default=5000, help="seed of the first head")
    parser.add_argument("--step", type=float, default=10.0, help="degrees between pictures")
    parser.add_argument("--most", type=float, default=60.0)
    parser.add_argument("--live", action="store_true", help="each head as a video")
    args = parser.parse_args()
    renderer = FrameRenderer(FaceModel.load(args.face_model))
    yaws = np.arange(-args.most, args.most + 0.1, args.step)
    if args.live:  # from the front to one side, over to the other, and back
        half = len(yaws) // 2
        yaws = np.concatenate([np.zeros(15), yaws[half:], yaws[::-1], yaws[:half]])
    heads = [renderer.turning(args.first + k, yaws) for k in range(args.heads)]
    renderer.close()
    print(f"| {args.model} | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for name, extras in (("line of the eyes", ()), ("head", ("landmarks", "rotation"))):
        row(name, [follow(frames, extras, args) for frames in heads], yaws)
    row("constant", [constant(frames, heads) for frames in heads], yaws)


def follow(
    frames: Sequence[EvaluationFrame], extras: Sequence[str], args: argparse.Namespace
) -> np.ndarray:
    """(n, 4): of each frame distance %, rotation error, depth error and without its median."""
    recon = Reconstructor(
        model=args.model,
        precision=args.precision,
        ipd_mm=frames[0].ipd_m * 1e3,
        temporal=args.live,
        expression=False,
    )
    recon.depth_model = load_depth_model(args.model, precision=args.precision, extras=extras)
    rows = []
    for k, frame in enumerate(frames):
        faces = recon(Frame(frame.image, k, round(k * 1e9 / 30), frame.intrinsics))
        if not faces:
            rows.append([np.nan] * 4)
            continue
        depth = faces[0].depth_in_frame(frame.image.shape)
        rows.append(score(depth, faces[0].T_camera_face[:3, :3], frame))
    return np.array(rows)


def constant(
    frames: Sequence[EvaluationFrame], heads: Sequence[Sequence[EvaluationFrame]]
) -> np.ndarray:
    """What one distance, one rotation and one plane for all score."""
    mean_m = np.mean([np.nanmedian(on_face(f.depth_m, f)) for head in heads for f in head])
    rows = []
    for frame in frames:
        depth = np.full(frame.depth_m.shape, mean_m, dtype=np.float32)
        rows.append(score(depth, np.eye(3), frame))
    return np.array(rows)


def score(depth: np.ndarray, R: np.ndarray, frame: EvaluationFrame) -> list[float]:
    off_mm = (on_face(depth, frame) - on_face(frame.depth_m, frame)) * 1e3
    off_mm = off_mm[np.isfinite(off_mm)]
    if len(off_mm) < 100:
        return [np.nan] * 4
    cosine = (np.trace(R.T @ frame.R_camera_face) - 1.0) / 2.0
    true_mm = np.nanmedian(on_face(frame.depth_m, frame)) * 1e3
    return [
        float(np.median(off_mm) / true_mm * 100.0),
        float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))),
        float(np.abs(off_mm).mean()),
        float(np.abs(off_mm - np.median(off_mm)).mean()),
    ]


def on_face(depth: np.ndarray, frame: EvaluationFrame) -> np.ndarray:
    return depth[(frame.face > 0) & np.isfinite(frame.depth_m)]


def row(name: str, tables: Sequence[np.ndarray], yaws: np.ndarray) -> None:
    table = np.array(tables)
    distance, rotation, depth, shape = np.moveaxis(table, -1, 0)
    ahead, aside = np.abs(yaws) <= AHEAD_DEG, np.abs(yaws) >= ASIDE_DEG
    figures = [
        np.nanmean(np.abs(distance)),
        np.nanmean(np.abs(distance[:, ahead])),
        np.nanmean(np.abs(distance[:, aside])),
        np.nanmedian(np.nanstd(distance, axis=1)),
        np.nanmean(rotation),
        np.nanmean(rotation[:, ahead]),
        np.nanmean(rotation[:, aside]),
        np.nanmean(depth),
        np.nanmean(shape),
    ]
    seen = f"{np.isfinite(distance).mean():.0%}"
    print(f"| {name} | {seen} | " + " | ".join(f"{v:.2f}" for v in figures) + " |")


if __name__ == "__main__":
    main()
