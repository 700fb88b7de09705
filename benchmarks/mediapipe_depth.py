"""Score the depth of MediaPipe Face Mesh's points as `rtrecon eval` scores a model.

    python benchmarks/mediapipe_depth.py DATASET [--mediapipe-python PATH] [--json FILE]

Face Mesh gives x, y and z of 468 points, z in x's scale, from no known zero. It becomes metres
as a user would make it: the middles of the eyes are an interpupillary distance apart in 3D, the
known focal length then puts them at a distance; between the points it is linear over the mesh's
triangles. Pictures are taken one by one (`static_image_mode`). The environment is made when it
is missing, see `peers.environments`.

Two tables: each on the face's pixels that it covers, as `rtrecon eval` does, and all on those
that all of them cover, in the frames where all found the face.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from peers.environments import MEDIAPIPE, python_of
from platformdirs import user_cache_dir

ROOT = Path(__file__).resolve().parent.parent
WORKER = Path(__file__).resolve().parent / "peers" / "face_mesh_points.py"
EYES = ((33, 133), (362, 263))  # corners of the left and of the right eye, as seen
MIN_FACE_PX = 40  # as `rtrecon eval`

sys.path.insert(0, str(ROOT))

from rtrecon.errors import RtreconError  # noqa: E402
from rtrecon.evaluate.config import BASELINES  # noqa: E402
from rtrecon.evaluate.dataset import DepthDataset, DepthSample  # noqa: E402
from rtrecon.evaluate.metrics import FrameScore, score_frame  # noqa: E402
from rtrecon.evaluate.predictors import (  # noqa: E402
    ModelPredictor,
    Prediction,
    Predictor,
    make_baseline,
)
from rtrecon.evaluate.report import PredictorReport, format_table, to_json  # noqa: E402
from rtrecon.files import write_json  # noqa: E402
from rtrecon.pipeline import Reconstructor  # noqa: E402
from rtrecon.types import Float32Array, Float64Array  # noqa: E402


class FaceMeshPredictor:
    """Depth of a mesh's points (n, 468, 3), by the frames' names; see `peers.face_mesh_points`."""

    def __init__(
        self,
        name: str,
        points: dict[str, Float32Array],
        triangles: npt.NDArray[np.int32],
        ipd_mm: float,
    ) -> None:
        self.name = name
        self._points, self._triangles, self._ipd_m = points, triangles, ipd_mm * 1e-3

    def predict(self, sample: DepthSample) -> Prediction | None:
        """Depth, NaN off the mesh; None: no face was found."""
        points = self._points[sample.id].astype(np.float64)
        if not np.isfinite(points).all():
            return None
        eyes = [points[list(corners)].mean(axis=0) for corners in EYES]
        metres_a_pixel = self._ipd_m / float(np.linalg.norm(eyes[1] - eyes[0]))
        z = points[:, 2] - (eyes[0][2] + eyes[1][2]) / 2
        depth_m = metres_a_pixel * (sample.intrinsics.fx + z)
        height, width = sample.image.shape[:2]
        return Prediction(draw_depth(points[:, :2], depth_m, self._triangles, (height, width)))


def draw_depth(
    at: Float64Array,
    depth_m: Float64Array,
    triangles: npt.NDArray[np.int32],
    shape: tuple[int, int],
) -> Float32Array:
    """``depth_m`` (n,) at ``at`` (n, 2; x, y in pixels), linear over ``triangles`` (m, 3).

    Returns:
        ``shape`` float32; of what lies behind one another the nearest, NaN where nothing is.
    """
    drawn = np.full(shape, np.inf)
    for three in triangles:
        a, b, c = at[three]
        low = np.maximum(np.ceil(np.min([a, b, c], axis=0)), 0).astype(int)
        high = np.minimum(np.floor(np.max([a, b, c], axis=0)), [shape[1] - 1, shape[0] - 1])
        x, y = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1))
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if x.size == 0 or abs(area) < 1e-9:
            continue
        of_b = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
        of_c = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
        inside = (of_b >= 0) & (of_c >= 0) & (of_b + of_c <= 1)
        here = depth_m[three[0]] * (1 - of_b - of_c)
        here = here + depth_m[three[1]] * of_b + depth_m[three[2]] * of_c
        part = drawn[low[1] : low[1] + x.shape[0], low[0] : low[0] + x.shape[1]]
        np.minimum(part, here, out=part, where=inside)
    return np.where(np.isfinite(drawn), drawn, np.nan).astype(np.float32)


def main() -> None:
    options = parse()
    python = python_of(MEDIAPIPE, options.environments, options.mediapipe_python)
    try:
        dataset = DepthDataset(options.dataset)
        own, shared = score(dataset, make_predictors(dataset, python, options))
    except RtreconError as error:
        raise SystemExit(str(error)) from error
    print("Each on the pixels that it covers:", format_table(own), sep="\n")
    print("\nAll on the pixels that all cover:", format_table(shared), sep="\n")
    if options.json is not None:
        name = str(options.dataset)
        write_json(options.json, {"own": to_json(name, own), "shared": to_json(name, shared)})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="folder in the format of `rtrecon eval`")
    parser.add_argument("--models", nargs="+", default=["face-dpt"], help="rtrecon's, to compare")
    parser.add_argument("--ipd-mm", type=float, default=63.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--mediapipe-python", type=Path, metavar="PATH")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path(user_cache_dir("rtrecon")) / "peers",
        metavar="DIR",
        help="where the environment is made (default: %(default)s)",
    )
    return parser.parse_args()


def make_predictors(
    dataset: DepthDataset, python: Path, options: argparse.Namespace
) -> list[Predictor]:
    """rtrecon's models, Face Mesh in both forms, and the baselines of `rtrecon eval`."""
    pictures = [str(dataset.folder / "rgb" / f"{name}.png") for name in dataset.ids]
    with tempfile.TemporaryDirectory(prefix="rtrecon-peers-") as folder:
        out = Path(folder) / "mesh.npz"
        command = [str(python), str(WORKER), str(out), *pictures]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise SystemExit(f"Face Mesh ended with {done.returncode}:\n{done.stderr[-2000:]}")
        with np.load(out) as found:
            meshes = {name: np.array(found[name]) for name in found.files}
    triangles = meshes.pop("triangles")
    names = {"points": "Face Mesh, 468 points", "refined_points": "Face Mesh, refined"}
    predictors: list[Predictor] = []
    for model in options.models:
        reconstructor = Reconstructor(
            model=model, ipd_mm=options.ipd_mm, temporal=False, min_face_px=MIN_FACE_PX
        )
        predictors.append(ModelPredictor(model, reconstructor))
    for key, points in meshes.items():
        of_frame = dict(zip(dataset.ids, points, strict=True))
        predictors.append(FaceMeshPredictor(names[key], of_frame, triangles, options.ipd_mm))
    return predictors + [make_baseline(name, options.ipd_mm) for name in BASELINES]


def score(
    dataset: DepthDataset, predictors: list[Predictor]
) -> tuple[list[PredictorReport], list[PredictorReport]]:
    """Scores of each on its own pixels, and on those that all have."""
    own: list[list[FrameScore]] = [[] for _ in predictors]
    shared: list[list[FrameScore]] = [[] for _ in predictors]

    def add(scores: list[FrameScore], depth: Float32Array | None, sample: DepthSample) -> None:
        scores.append(score_frame(depth, sample.depth_m, sample.scored, sample.intrinsics))

    for sample in dataset:
        predictions = [predictor.predict(sample) for predictor in predictors]
        depths = [None if said is None else said.depth_m for said in predictions]
        found = [depth for depth in depths if depth is not None]
        common = np.all(np.isfinite(found), axis=0) if len(found) == len(depths) else None
        for k, depth in enumerate(depths):
            add(own[k], depth, sample)
            both = None
            if common is not None and depth is not None:
                both = np.where(common, depth, np.float32(np.nan))
            add(shared[k], both, sample)

    def report(scores: list[list[FrameScore]]) -> list[PredictorReport]:
        names = [predictor.name for predictor in predictors]
        return [PredictorReport(n, dataset.ids, s) for n, s in zip(names, scores, strict=True)]

    return report(own), report(shared)


if __name__ == "__main__":
    main()
