"""Score what a model says of a face beside its depth, on held-out generated heads.

    python tools/score_heads.py DATA... [--model NAME|DIR] [--most 1000] [--summary] [--json FILE]

DATA are folders of `python -m rtrecon.train generate`; the shards that training leaves out are
scored. Prints the order, correlation and spread of every coefficient, with the error of the best
constant, and of landmarks and rotation the same in one line. Crops are those of the shards: no
detector, no filter, one pass.
"""

import argparse
from pathlib import Path

import numpy as np

from rtrecon.depth.model import DepthModel, load_depth_model
from rtrecon.evaluate.dataset import FaceTruth
from rtrecon.evaluate.face_scores import FaceScorer
from rtrecon.evaluate.predictors import FaceAnswer
from rtrecon.evaluate.report import PredictorReport, format_face_tables, to_json
from rtrecon.faces.align import Crop
from rtrecon.files import write_json
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.types import Float64Array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--model", nargs="+", default=["face-dpt"])
    parser.add_argument("--precision", help="fp32 or int8; default: the model's best here")
    parser.add_argument("--most", type=int, default=1000, help="pictures, evenly over the shards")
    parser.add_argument("--summary", action="store_true", help="no line a coefficient")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    data = ShardDataset(args.data, held_out=True)
    if len(data) == 0:
        raise SystemExit(f"no held-out shard in {', '.join(map(str, args.data))}")
    rows = np.linspace(0, len(data) - 1, min(args.most, len(data))).astype(int)
    print(f"{len(rows)} of {len(data)} held-out pictures\n")
    reports = [score(name, args.precision, data, rows) for name in args.model]
    print("\n\n".join(format_face_tables(reports, coefficients=not args.summary)))
    if args.json is not None:
        write_json(args.json, to_json(", ".join(map(str, args.data)), reports))


def score(
    name: str, precision: str | None, data: ShardDataset, rows: np.ndarray
) -> PredictorReport:
    model = load_depth_model(name, precision=precision)
    scorer = FaceScorer()
    for row in rows:
        scorer.add_face(*look(model, data[int(row)]))
    return PredictorReport(name, [], [], None, scorer.scores())


def look(model: DepthModel, row: dict[str, np.ndarray]) -> tuple[FaceTruth, FaceAnswer]:
    """What is true of one sample of a shard, and what the model says of it.

    Rotations are to a camera that looks along the crop's middle ray: all that a crop can show.
    """
    image = np.ascontiguousarray(row["image"])
    n = len(image)
    scale = n / model.size_px
    middle = scale * 0.5 - 0.5  # pixel centres
    crop = Crop(np.array([[scale, 0, middle], [0, scale, middle]]), model.size_px, float(n))
    said = model.predict(image, [crop])[0]
    fx, fy, cx, cy = (float(v) for v in row["intrinsics"])
    R_facing = facing(np.array([((n - 1) / 2 - cx) / fx, ((n - 1) / 2 - cy) / fy]))
    truth = FaceTruth(
        dict(zip(ARKIT_NAMES, np.asarray(row["expression"], dtype=float).tolist(), strict=True)),
        R_facing @ np.asarray(row["R_camera_face"], dtype=np.float64),
        np.asarray(row["landmarks68_px"], dtype=np.float32),
    )
    marks, names = said.landmarks68, said.expression_names
    answer = FaceAnswer(
        None
        if said.expression is None
        else dict(zip(names, said.expression.tolist(), strict=True)),
        None if said.rotation is None else said.rotation.astype(np.float64),
        None if marks is None else (marks * n - 0.5).astype(np.float32),
        crop,
    )
    return truth, answer


def facing(ray: Float64Array) -> Float64Array:
    """The least rotation (3, 3) that turns the ray (x, y, 1) into the optical axis."""
    d = np.array([*ray, 1.0]) / np.sqrt(1.0 + ray @ ray)
    v = np.array([d[1], -d[0], 0.0])
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + d[2]))


if __name__ == "__main__":
    main()
