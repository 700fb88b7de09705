"""Render evaluation sets for `rtrecon eval`: heads and lights that no training has seen.

    python tools/make_eval_sets.py --face-model PATH --out eval-stills --stills 60
    python tools/make_eval_sets.py --face-model PATH --out eval-expressions --people 24
    python tools/make_eval_sets.py --face-model PATH --out tests/data/head-clip --clip 4
    python tools/make_eval_sets.py --face-model PATH --out tests/data/head-moves --moves

Needs rtrecon's extra `train`. Writes rgb/ID.png, depth/ID.png (16 bit), face/ID.png and
meta.json, the format of `rtrecon eval`. Depth comes from the same surface that was drawn;
coefficients, rotation and landmarks are what it was drawn from. With --moves it is only MOVE.jpg.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from rtrecon.train.face_model import ARKIT_NAMES, WHERE, FaceModel, default_face_model
from rtrecon.train.heads.frames import Act, EvaluationFrame, FrameRenderer

DEPTH_UNIT_MM = 0.1
AHEAD = (0.0, 0.0, 0.0)
MOVES: dict[str, Act] = {
    "rest": (AHEAD, {}),
    "nose-down": ((15.0, 0.0, 0.0), {}),
    "nose-up": ((-15.0, 0.0, 0.0), {}),
    "own-right": ((0.0, 25.0, 0.0), {}),
    "own-left": ((0.0, -25.0, 0.0), {}),
    "tilt-left": ((0.0, 0.0, 15.0), {}),
    "tilt-right": ((0.0, 0.0, -15.0), {}),
    "wink-left": (AHEAD, {"eyeBlink_L": 1.0}),
    "wink-right": (AHEAD, {"eyeBlink_R": 1.0}),
    "look-left": (AHEAD, {"eyeLookOut_L": 0.9, "eyeLookIn_R": 0.9}),
    "look-right": (AHEAD, {"eyeLookIn_L": 0.9, "eyeLookOut_R": 0.9}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--face-model", type=Path, default=default_face_model(), help=WHERE)
    parser.add_argument("--out", type=Path, required=True)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--stills", type=int, help="so many heads, one picture each")
    kind.add_argument("--people", type=int, help="so many heads, each with all expressions")
    kind.add_argument("--moves", action="store_true", help="one head, one move a picture")
    kind.add_argument("--clip", type=float, help="seconds of one head that talks and turns")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=480)
    parser.add_argument("--rate", type=float, default=12.0, help="frames a second of a clip")
    parser.add_argument("--crop", type=int, help="keep the middle so many pixels of a clip")
    args = parser.parse_args()
    renderer = FrameRenderer(FaceModel.load(args.face_model), args.size)
    people: list[str] = []
    if args.moves:
        args.out.mkdir(parents=True, exist_ok=True)
        moved = renderer.acting(args.seed, list(MOVES.values()))
        for name, frame in zip(MOVES, moved, strict=True):
            path = args.out / f"{name}.jpg"
            cv2.imwrite(str(path), frame.image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        return
    if args.stills:
        frames = [renderer.still(args.seed * 10_000 + k) for k in range(args.stills)]
    elif args.people:
        seeds = [args.seed * 10_000 + 5_000 + k for k in range(args.people)]
        shown = {f"{seed}": renderer.expressions(seed) for seed in seeds}
        frames = [frame for of_one in shown.values() for frame in of_one]
        people = [person for person, of_one in shown.items() for _ in of_one]
    else:
        frames = renderer.clip(args.seed, round(args.clip * args.rate), args.rate)
    write(args.out, frames, args.rate if args.clip else None, people)
    total = sum(p.stat().st_size for p in args.out.rglob("*") if p.is_file())
    print(f"{args.out}: {len(frames)} frames, {total / 1e6:.1f} MB")


def write(
    out: Path,
    frames: list[EvaluationFrame],
    rate_hz: float | None,
    people: Sequence[str] = (),
) -> None:
    for name in ("rgb", "depth", "face"):
        (out / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for k, frame in enumerate(frames):
        name = f"{k:04d}"
        depth = np.nan_to_num(frame.depth_m * (1000 / DEPTH_UNIT_MM), nan=0.0)
        cv2.imwrite(str(out / "rgb" / f"{name}.png"), frame.image)
        cv2.imwrite(str(out / "depth" / f"{name}.png"), np.rint(depth).astype(np.uint16))
        cv2.imwrite(str(out / "face" / f"{name}.png"), frame.face)
        who = {"person": people[k]} if people else {}
        rows.append({"id": name, **who, **camera_of(frame), **truth_of(frame)})
    meta = {**camera_of(frames[0]), "depth_unit_mm": DEPTH_UNIT_MM}
    if rate_hz is not None:
        meta["fps"] = rate_hz
    meta["expression_names"] = list(ARKIT_NAMES)
    # A frame a line: numbers by the hundred, each on a line of its own, would be read by nobody.
    head = json.dumps(meta, separators=(",", ": "))[:-1]
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    (out / "meta.json").write_text(f'{head},\n"frames": [\n{lines}\n]}}\n', encoding="utf-8")


def camera_of(frame: EvaluationFrame) -> dict[str, float]:
    camera = frame.intrinsics
    values = {"fx": camera.fx, "fy": camera.fy, "cx": camera.cx, "cy": camera.cy}
    return {key: round(value, 4) for key, value in values.items()}


def truth_of(frame: EvaluationFrame) -> dict[str, list]:
    """What `rtrecon eval` scores beside the depth, rounded to what can be seen."""
    return {
        "expression": [round(float(v), 3) for v in frame.expression],
        "R_camera_face": [[round(float(v), 5) for v in row] for row in frame.R_camera_face],
        "landmarks68_px": [[round(float(v), 2) for v in row] for row in frame.landmarks68_px],
    }


if __name__ == "__main__":
    main()
