"""What rtrecon and MediaPipe's Face Landmarker say of a face beside its depth, side by side.

    python benchmarks/compare_expressions.py --task face_landmarker_v2_with_blendshapes.task \
        [--heads DATASET...] [--clip FILE --labels FILE.json] [--model NAME|DIR...] [--json FILE]

DATASET is a folder of `rtrecon eval` whose meta.json knows coefficients, rotation and landmarks:
order, correlation and spread of the coefficients, on the frames in which all found the face. A clip
of a real person has labels by eye, ``{"closed": [frames], "open": [...], "smile": [...], "nosmile":
[...]}``: how well lids and smile tell them apart, how much the coefficients move, and how much they
tremble. Prints Markdown. MediaPipe 0.10.21 lives in an environment of its own, made when it is
missing; its model file is MediaPipe's own (Apache-2.0) and is not shipped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from peers.environments import MEDIAPIPE, python_of
from platformdirs import user_cache_dir

ROOT = Path(__file__).resolve().parent.parent
WORKER = Path(__file__).resolve().parent / "peers" / "blendshapes_worker.py"
RATE_HZ = 30.0
PEER = "MediaPipe Face Landmarker"
# The points of its mesh that are nearest to iBUG's 68, in iBUG's order, as users map them.
MESH_68 = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87),
)
WATCHED: Mapping[str, tuple[str, ...]] = {
    "jawOpen": ("jawOpen",),
    "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "browInnerUp": ("browInnerUp",),
    "pucker": ("mouthPucker",),
}

sys.path.insert(0, str(ROOT))

from rtrecon.errors import RtreconError  # noqa: E402
from rtrecon.evaluate.dataset import DepthDataset  # noqa: E402
from rtrecon.evaluate.expression_metrics import auc  # noqa: E402
from rtrecon.evaluate.face_scores import FaceScorer  # noqa: E402
from rtrecon.evaluate.predictors import FaceAnswer, ModelPredictor  # noqa: E402
from rtrecon.evaluate.report import PredictorReport, format_face_tables, to_json  # noqa: E402
from rtrecon.files import write_json  # noqa: E402
from rtrecon.pipeline import Reconstructor  # noqa: E402
from rtrecon.types import Expression, Float64Array, Frame  # noqa: E402


@dataclass(frozen=True)
class Labels:
    """Frames of a clip by what is seen in them."""

    closed: Sequence[int]
    open: Sequence[int]
    smile: Sequence[int]
    nosmile: Sequence[int]

    @classmethod
    def load(cls, path: Path) -> Labels:
        """Read the JSON file."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(*(data[name] for name in ("closed", "open", "smile", "nosmile")))


def main() -> None:
    options = parse()
    python = python_of(MEDIAPIPE, options.environments, options.mediapipe_python)
    found: dict[str, Any] = {}
    try:
        for folder in options.heads:
            count, reports = score_heads(DepthDataset(folder), python, options)
            print(f"\n{folder}, frames in which all found the face: {count}\n")
            tables = format_face_tables(reports, coefficients=options.coefficients)
            print("\n\n".join(tables))
            found[str(folder)] = to_json(str(folder), reports)
        if options.clip is not None:
            rows = score_clip(options.clip, Labels.load(options.labels), python, options)
            print(f"\n{options.clip.name}\n\n{markdown(rows)}")
            found[str(options.clip)] = rows
    except (RtreconError, OSError) as error:
        raise SystemExit(str(error)) from error
    if options.json is not None:
        write_json(options.json, found)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", type=Path, required=True, help="MediaPipe's model file")
    parser.add_argument("--heads", type=Path, nargs="*", default=[], metavar="DATASET")
    parser.add_argument("--clip", type=Path, help="a video of one real person")
    parser.add_argument("--labels", type=Path, help="what is seen in it; default: beside the clip")
    parser.add_argument("--model", nargs="+", default=["face-dpt"], help="rtrecon's, to compare")
    parser.add_argument("--coefficients", action="store_true", help="a line for each as well")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--mediapipe-python", type=Path, metavar="PATH")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path(user_cache_dir("rtrecon")) / "peers",
        metavar="DIR",
        help="where the environment is made (default: %(default)s)",
    )
    options = parser.parse_args()
    if options.clip is not None and options.labels is None:
        options.labels = options.clip.with_suffix(".labels.json")
    if not options.task.is_file():
        parser.error(f"there is no model file {options.task}")
    return options


def ask_peer(
    python: Path, task: Path, mode: str, paths: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """What the worker writes, see `peers.blendshapes_worker`."""
    with tempfile.TemporaryDirectory(prefix="rtrecon-peers-") as folder:
        out = Path(folder) / "said.npz"
        command = [str(python), str(WORKER), str(task), str(out), mode, *paths]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise SystemExit(f"MediaPipe ended with {done.returncode}:\n{done.stderr[-2000:]}")
        with np.load(out) as said:
            return {name: np.array(said[name]) for name in said.files}


def score_heads(
    dataset: DepthDataset, python: Path, options: argparse.Namespace
) -> tuple[int, list[PredictorReport]]:
    """How many frames in which all found the face; of these, a report of each."""
    pictures = [str(dataset.folder / "rgb" / f"{name}.png") for name in dataset.ids]
    peer = ask_peer(python, options.task, "image", pictures)
    models = [
        ModelPredictor(name, Reconstructor(name, temporal=False, min_face_px=40))
        for name in options.model
    ]
    scorers = [FaceScorer() for _ in (*models, PEER)]
    count = 0
    for k, sample in enumerate(dataset):
        predictions = [model.predict(sample) for model in models]
        answers = [said.face for said in predictions if said is not None]
        if len(answers) < len(models) or not np.isfinite(peer["values"][k]).all():
            continue
        count += 1
        for scorer, answer in zip(scorers, [*answers, peer_answer(peer, k)], strict=True):
            scorer.add_face(sample.truth, answer)
    return count, [
        PredictorReport(name, [], [], None, scorer.scores())
        for name, scorer in zip([*options.model, PEER], scorers, strict=True)
    ]


def peer_answer(said: Mapping[str, npt.NDArray[Any]], k: int) -> FaceAnswer:
    """Frame ``k`` of the worker's answer in our names and frames."""
    flip = np.diag([1.0, -1.0, -1.0])  # y down, z into the picture
    return FaceAnswer(
        Expression(said["names"].tolist(), said["values"][k]),
        flip @ said["rotations"][k].astype(np.float64) @ flip,
        said["points"][k][list(MESH_68)],
    )


def score_clip(
    path: Path, labels: Labels, python: Path, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Figures by program, live and picture by picture."""
    frames = read_clip(path)
    series: dict[str, tuple[list[str], Float64Array]] = {}
    for name in options.model:
        for temporal in (True, False):
            how = "live" if temporal else "raw"
            series[f"{name}, {how}"] = our_series(name, frames, temporal)
    with tempfile.TemporaryDirectory(prefix="rtrecon-peers-") as folder:
        stills = [str(Path(folder) / f"{k:04d}.png") for k in range(len(frames))]
        for still, frame in zip(stills, frames, strict=True):
            cv2.imwrite(still, frame)
        for mode, paths, how in (("video", [str(path)], "video"), ("image", stills, "pictures")):
            said = ask_peer(python, options.task, mode, paths)
            series[f"{PEER}, {how}"] = said["names"].tolist(), said["values"].astype(np.float64)
    judge = dict(zip(*_columns(series[f"{PEER}, pictures"]), strict=True))
    return {
        name: clip_figures(names, values, labels, judge) for name, (names, values) in series.items()
    }


def our_series(
    model: str, frames: Sequence[npt.NDArray[np.uint8]], temporal: bool
) -> tuple[list[str], Float64Array]:
    """Names, and (n, k) coefficients; NaN where no face was found."""
    reconstructor = Reconstructor(model, temporal=temporal)
    names = list(reconstructor.depth_model.expression_names)
    rows = []
    for k, frame in enumerate(frames):
        faces = reconstructor(Frame(frame, k, round(k * 1e9 / RATE_HZ)))
        said = faces[0].expression if faces else None
        rows.append(np.full(len(names), np.nan) if said is None else np.asarray(said))
    return names, np.array(rows, dtype=np.float64)


def clip_figures(
    names: Sequence[str],
    values: Float64Array,
    labels: Labels,
    judge: Mapping[str, Float64Array],
) -> dict[str, float]:
    """Of one program on a labelled clip.

    ``lids`` and ``smile``: share of pairs of frames told apart. ``spread ...``: standard deviation
    over the clip. ``trembling``: mean change from frame to frame, of all coefficients, where the
    person is at rest (the frames without a smile). ``with the peer ...``: correlation with what
    ``judge`` (by name) says of the same frames.
    """
    column = {name: values[:, k] for k, name in enumerate(names)}

    def watched(kind: str, source: Mapping[str, Float64Array]) -> Float64Array:
        return np.mean([source[name] for name in WATCHED[kind]], axis=0)

    def apart(series: Float64Array, active: Sequence[int], at_rest: Sequence[int]) -> float:
        on, off = series[list(active)], series[list(at_rest)]
        return auc(on[np.isfinite(on)], off[np.isfinite(off)])

    still = values[min(labels.nosmile) : max(labels.nosmile) + 1]
    figures = {
        "frames": float(np.isfinite(values).all(axis=1).sum()),
        "lids": apart(watched("blink", column), labels.closed, labels.open),
        "smile": apart(watched("smile", column), labels.smile, labels.nosmile),
        "trembling": float(np.nanmean(np.abs(np.diff(still, axis=0)))),
    }
    for kind in WATCHED:
        figures[f"spread {kind}"] = float(np.nanstd(watched(kind, column)))
    for kind in WATCHED:
        figures[f"with the peer {kind}"] = correlation(watched(kind, column), watched(kind, judge))
    figures["with the peer gaze"] = correlation(gaze(column), gaze(judge))
    return figures


def gaze(column: Mapping[str, Float64Array]) -> Float64Array:
    """Sideways, to the person's own left, of both eyes together."""
    left = column["eyeLookOutLeft"] - column["eyeLookInLeft"]
    right = column["eyeLookInRight"] - column["eyeLookOutRight"]
    return 0.5 * (left + right)


def correlation(a: Float64Array, b: Float64Array) -> float:
    """Pearson's where both are known; 0 for a constant."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3 or a[both].std() < 1e-9 or b[both].std() < 1e-9:
        return 0.0
    return float(np.corrcoef(a[both], b[both])[0, 1])


def markdown(rows: Mapping[str, Mapping[str, float]]) -> str:
    """A table: a line a program."""
    keys = list(next(iter(rows.values())))
    lines = ["| | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for name, row in rows.items():
        cells = [f"{row[key]:.0f}" if key == "frames" else f"{row[key]:.3f}" for key in keys]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def read_clip(path: Path) -> list[npt.NDArray[np.uint8]]:
    """All frames of a clip.

    Raises:
        OSError: it cannot be read.
    """
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        there, picture = capture.read()
        if not there:
            break
        frames.append(np.asarray(picture, dtype=np.uint8))
    if not frames:
        raise OSError(f"{path} cannot be read as a video")
    return frames


def _columns(series: tuple[list[str], Float64Array]) -> tuple[list[str], list[Float64Array]]:
    return series[0], list(series[1].T)


if __name__ == "__main__":
    main()
