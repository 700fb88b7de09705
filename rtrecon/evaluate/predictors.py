"""What is scored: a model in the whole pipeline, or a baseline that knows the landmarks alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from rtrecon.errors import DataError
from rtrecon.evaluate.dataset import DepthSample
from rtrecon.faces.align import Crop
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.geometry.mean_face import mean_face
from rtrecon.geometry.pose import fit_pose, guess_pose
from rtrecon.geometry.rays import undistort
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.pipeline import Reconstructor
from rtrecon.types import Face, Float32Array, Float64Array, Frame

__all__ = [
    "FaceAnswer",
    "MeanHeadBaseline",
    "ModelPredictor",
    "PlaneBaseline",
    "Prediction",
    "Predictor",
    "make_baseline",
]

_MIN_FACE_PX = 40
_COARSE = 64  # baselines are smooth: they are computed on so many points and enlarged
_REACH = 1.0  # how far beyond its box, in boxes, a baseline predicts: hair and chin


@dataclass(frozen=True, slots=True, eq=False)
class FaceAnswer:
    """What is said of a face beside its depth; as `FaceTruth`, and the crop it was seen in."""

    expression: Mapping[str, float] | None = None
    R_camera_face: Float64Array | None = None
    landmarks68_px: Float32Array | None = None
    crop: Crop | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """``depth_m`` (H, W) float32 metres, NaN where there is no prediction; and the rest."""

    depth_m: Float32Array
    face: FaceAnswer = FaceAnswer()


class Predictor(Protocol):
    """Something that predicts depth for a frame."""

    name: str

    def predict(self, sample: DepthSample) -> Prediction | None:
        """What it says of one frame; None: no face found."""


class ModelPredictor:
    """A depth model in the pipeline; of several faces the one on the scored pixels counts.

    Args:
        name: of it in tables.
        reconstructor: with its temporal filters on for video, off for pictures.
    """

    def __init__(self, name: str, reconstructor: Reconstructor) -> None:
        self.name = name
        self._reconstructor = reconstructor

        self._last: tuple[DepthSample, tuple[FaceReconstruction, Float32Array] | None] | None = None

    def seen(self, sample: DepthSample) -> tuple[FaceReconstruction, Float32Array] | None:
        """The face that counts and its depth (H, W) in the picture; None: no face found. A frame
        that is asked for again is not looked at again."""
        if self._last is None or self._last[0] is not sample:
            self._last = (sample, self._look(sample))
        return self._last[1]

    def predict(self, sample: DepthSample) -> Prediction | None:
        """See `Predictor`."""
        seen = self.seen(sample)
        if seen is None:
            return None
        face, depth_m = seen
        answer = FaceAnswer(
            face.expression, face.T_camera_face[:3, :3].copy(), face.landmarks68_px, face.crop
        )
        return Prediction(depth_m, answer)

    def _look(self, sample: DepthSample) -> tuple[FaceReconstruction, Float32Array] | None:
        t_ns = round(sample.t_s * 1e9)
        faces = self._reconstructor(Frame(sample.image, 0, t_ns, sample.intrinsics))
        depths = [face.depth_in_frame(sample.image.shape) for face in faces]
        hits = [int((np.isfinite(depth) & sample.scored).sum()) for depth in depths]
        if not hits or max(hits) == 0:
            return None
        best = int(np.argmax(hits))
        return faces[best], depths[best]


class _LandmarkBaseline:
    """Detects as the pipeline does, then predicts from box and landmarks."""

    name = ""

    def __init__(self, ipd_mm: float) -> None:
        self._ipd_m = ipd_mm * 1e-3
        self._mtcnn = Mtcnn()

    def predict(self, sample: DepthSample) -> Prediction | None:
        """See `Predictor`."""
        faces = self._mtcnn.detect(sample.image, min_face_px=_MIN_FACE_PX, evens_dark=True)
        face = _face_on(faces, sample)
        if face is None:
            return None
        rays = undistort(face.landmarks_px, sample.intrinsics).astype(np.float64)
        height, width = sample.image.shape[:2]
        x0, y0, x1, y1 = (float(v) for v in face.box_px)
        grow_x, grow_y = _REACH * (x1 - x0), _REACH * (y1 - y0)
        left, top = max(0, int(x0 - grow_x)), max(0, int(y0 - grow_y))
        right, bottom = min(width, int(x1 + grow_x)), min(height, int(y1 + grow_y))
        if right - left < 4 or bottom - top < 4:
            return None
        columns = np.linspace(left, right - 1, _COARSE)
        rows = np.linspace(top, bottom - 1, _COARSE)
        grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
        grid_rays = undistort(grid.astype(np.float32), sample.intrinsics).astype(np.float64)
        z, R = self._look(rays, grid_rays)
        coarse = z.reshape(_COARSE, _COARSE).astype(np.float32)
        depth = np.full((height, width), np.nan, dtype=np.float32)
        depth[top:bottom, left:right] = _enlarge(coarse, right - left, bottom - top)
        return Prediction(depth, FaceAnswer(R_camera_face=R))

    def _look(
        self, rays: Float64Array, grid_rays: Float64Array
    ) -> tuple[Float64Array, Float64Array | None]:
        """Depth (m,) along ``grid_rays`` (m, 2), and the head's rotation if it has an opinion."""
        raise NotImplementedError


class PlaneBaseline(_LandmarkBaseline):
    """A flat plane that faces the camera, where the eyes' distance puts it."""

    name = "plane"

    def _look(
        self, rays: Float64Array, grid_rays: Float64Array
    ) -> tuple[Float64Array, Float64Array | None]:
        apart = float(np.linalg.norm(rays[1] - rays[0]))
        return np.full(len(grid_rays), self._ipd_m / max(apart, 1e-6)), None


class MeanHeadBaseline(_LandmarkBaseline):
    """The mean face, turned and placed by its landmarks, drawn out smoothly at its rim."""

    name = "mean-head"

    def _look(
        self, rays: Float64Array, grid_rays: Float64Array
    ) -> tuple[Float64Array, Float64Array | None]:
        face = mean_face()
        T = fit_pose(rays, None, self._ipd_m, guess_pose(rays, self._ipd_m))
        scale = self._ipd_m / face.ipd_m
        points = face.points * scale @ T[:3, :3].T + T[:3, 3]
        normals = face.normals @ T[:3, :3].T
        seen = (normals * points).sum(axis=1) < 0.0
        points = points[seen]
        return _thin_plate(points[:, :2] / points[:, 2:], points[:, 2], grid_rays), T[:3, :3]


def make_baseline(name: str, ipd_mm: float) -> Predictor:
    """The baseline called ``name``.

    Raises:
        DataError: there is none of that name.
    """
    for baseline in (PlaneBaseline, MeanHeadBaseline):
        if baseline.name == name:
            return baseline(ipd_mm)
    raise DataError(f"there is no baseline {name!r}")


def _face_on(faces: list[Face], sample: DepthSample) -> Face | None:
    """The face whose box holds most scored pixels."""
    best, most = None, 0
    for face in faces:
        x0, y0, x1, y1 = np.maximum(np.round(face.box_px), 0).astype(int)
        hits = int(sample.scored[y0:y1, x0:x1].sum())
        if hits > most:
            best, most = face, hits
    return best


def _thin_plate(at: Float64Array, values: Float64Array, where: Float64Array) -> Float64Array:
    """Thin plate spline through ``values`` (n,) at ``at`` (n, 2), evaluated at ``where`` (m, 2).

    Duchon, "Splines minimizing rotation-invariant semi-norms in Sobolev spaces", 1977.
    """
    middle, unit = at.mean(axis=0), float(at.std()) or 1.0
    at, where = (at - middle) / unit, (where - middle) / unit
    n = len(at)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _kernel(at, at) + 1e-3 * np.eye(n)
    system[:n, n:] = np.column_stack([np.ones(n), at])
    system[n:, :n] = system[:n, n:].T
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros(3)]))
    affine = np.column_stack([np.ones(len(where)), where])
    result: Float64Array = _kernel(where, at) @ weights[:n] + affine @ weights[n:]
    return result


def _kernel(a: Float64Array, b: Float64Array) -> Float64Array:
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    kernel: Float64Array = 0.5 * squared * np.log(np.maximum(squared, 1e-300))
    return kernel


def _enlarge(coarse: Float32Array, width: int, height: int) -> Float32Array:
    """Bilinear, the corner samples on the corner pixels."""
    x = np.linspace(0, coarse.shape[1] - 1, width, dtype=np.float32)
    y = np.linspace(0, coarse.shape[0] - 1, height, dtype=np.float32)
    map_x, map_y = np.meshgrid(x, y)
    return np.asarray(cv2.remap(coarse, map_x, map_y, cv2.INTER_LINEAR), dtype=np.float32)
