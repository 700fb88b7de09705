"""One stage alone, on real inputs: what the stages before it make of the pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtrecon.bench.avatar_measure import AvatarBench, measure_sending
from rtrecon.bench.config import Stage
from rtrecon.bench.drawing import Drawer
from rtrecon.bench.memory_source import forth_and_back
from rtrecon.depth.model import DepthPrediction
from rtrecon.faces.align import Crop, crop_face
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.faces.tracker import FaceTracker
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.geometry.stage import GeometryStage
from rtrecon.mesh.face_mesh import file_mesh
from rtrecon.mesh.mesh_files import encode_mesh
from rtrecon.pipeline import Reconstructor
from rtrecon.result import LiveResult
from rtrecon.types import BgrImage, Expression, Frame, Intrinsics, TrackedFace

__all__ = ["StageBench"]

_PREPARED = 8  # pictures for which the inputs of all stages are kept
_LEAST_CALLS = 5
_MIN_FACE_PX = 60


@dataclass(slots=True, eq=False)
class _Inputs:
    """One picture and what each stage makes of it; one entry a face in the lists."""

    image: BgrImage
    t_ns: int
    tracked: Sequence[TrackedFace]
    crops: Sequence[Crop]
    predictions: Sequence[DepthPrediction]
    faces: Sequence[FaceReconstruction]


class StageBench:
    """Times the stages of ``reconstructor`` one by one on (n, H, W, 3) ``pictures``.

    Args:
        rate_hz: of the camera that the tracker believes in.
        faces: to follow.
        drawer: needed for the stage view.
    """

    def __init__(
        self,
        reconstructor: Reconstructor,
        pictures: BgrImage,
        rate_hz: float,
        faces: int,
        drawer: Drawer | None,
    ) -> None:
        self._reconstructor = reconstructor
        self._model = reconstructor.depth_model
        self._pictures, self._step_ns, self._faces = pictures, int(1e9 / rate_hz), faces
        self._drawer = drawer
        self._mtcnn = Mtcnn()
        self._intrinsics = Intrinsics.from_fov(pictures.shape[2], pictures.shape[1])
        self._inputs = list(self._prepare(reconstructor))

    def measure(self, stage: Stage, seconds: float) -> dict[str, list[float]]:
        """Milliseconds of each call of ``stage`` within ``seconds``, all faces of a picture.

        The first call, which may allocate, is not among them. The stage avatar comes with its
        parts, `AVATAR_PARTS`.
        """
        call = self._call(stage)
        call(0)
        times_ms: dict[str, list[float]] = {}
        calls = 0
        end_ns = time.perf_counter_ns() + int(seconds * 1e9)
        while calls < _LEAST_CALLS or time.perf_counter_ns() < end_ns:
            calls += 1
            took = call(calls)
            for name, duration_ns in ({stage: took} if isinstance(took, int) else took).items():
                times_ms.setdefault(name, []).append(round(duration_ns * 1e-6, 4))
        if stage == "avatar":
            times_ms["avatar sent"] = measure_sending(
                self._reconstructor, self._pictures, seconds, 1e9 / self._step_ns
            )
        return times_ms

    def _prepare(self, reconstructor: Reconstructor) -> Iterator[_Inputs]:
        reconstructor.reset()
        t_ns = time.monotonic_ns()
        for k in range(min(_PREPARED, len(self._pictures))):
            image = np.array(self._pictures[k])
            tracked = reconstructor.tracker.update(image, t_ns)
            crops = [crop_face(f.face, self._model.crop_spec, self._model.size_px) for f in tracked]
            predictions = self._model.predict(image, crops)
            geometry = GeometryStage()
            faces = [
                geometry.reconstruct(image, self._intrinsics, face, crop, prediction, t_ns)
                for face, crop, prediction in zip(tracked, crops, predictions, strict=True)
            ]
            for face, prediction in zip(faces, predictions, strict=True):
                if prediction.expression is not None:
                    names = prediction.expression_names
                    face.expression = Expression(names, prediction.expression)
            yield _Inputs(image, t_ns, tracked, crops, predictions, faces)
            t_ns += self._step_ns

    def _call(self, stage: Stage) -> Callable[[int], int | dict[str, int]]:
        """A function from the number of a call to its duration in nanoseconds, or its parts'."""
        if stage == "track":
            return self._track()
        if stage == "geometry":
            return self._geometry()
        if stage == "avatar":
            return self._avatar()
        work: dict[Stage, Callable[[_Inputs], object]] = {
            "detect": lambda x: self._mtcnn.detect_live(x.image, _MIN_FACE_PX),
            "align": self._align,
            "depth": lambda x: self._model.predict(x.image, x.crops),
            "mesh": self._mesh,
            "view": self._view,
        }
        function = work[stage]

        def call(number: int) -> int:
            inputs = self._inputs[forth_and_back(number, len(self._inputs))]
            start_ns = time.perf_counter_ns()
            function(inputs)
            return time.perf_counter_ns() - start_ns

        return call

    def _track(self) -> Callable[[int], int]:
        """Updates that only follow: none that ran a detection is kept in the time."""
        tracker = FaceTracker(self._mtcnn, self._faces, redetect_every=1 << 30)
        base_ns = time.monotonic_ns()
        tracker.update(self._inputs[0].image, base_ns)

        def call(number: int) -> int:
            inputs = self._inputs[forth_and_back(number, len(self._inputs))]
            tracker.update(inputs.image, base_ns + number * self._step_ns)
            return tracker.stats.track_ns

        return call

    def _geometry(self) -> Callable[[int], int]:
        """Cloud, colours, normals, pose and triangles, with the memory of a live run."""
        geometry = GeometryStage()
        base_ns = time.monotonic_ns()

        def call(number: int) -> int:
            x = self._inputs[forth_and_back(number, len(self._inputs))]
            start_ns = time.perf_counter_ns()
            for face, crop, prediction in zip(x.tracked, x.crops, x.predictions, strict=True):
                t_ns = base_ns + number * self._step_ns
                made = geometry.reconstruct(x.image, self._intrinsics, face, crop, prediction, t_ns)
                _ = made.grid.triangles
            return time.perf_counter_ns() - start_ns

        return call

    def _avatar(self) -> Callable[[int], dict[str, int]]:
        """Neutral, lids and loss, then every protocol's bytes; nothing is sent."""
        bench = AvatarBench()
        base_ns = time.monotonic_ns()

        def call(number: int) -> dict[str, int]:
            x = self._inputs[forth_and_back(number, len(self._inputs))]
            picture = Frame(x.image, number, base_ns + number * self._step_ns, self._intrinsics)
            return bench(LiveResult(picture, [_fresh(face) for face in x.faces], 0.0))

        return call

    def _align(self, x: _Inputs) -> None:
        for face in x.tracked:
            crop_face(face.face, self._model.crop_spec, self._model.size_px).warp(x.image)

    def _mesh(self, x: _Inputs) -> None:
        for face in x.faces:
            encode_mesh(file_mesh(_fresh(face)), Path("face.glb"))

    def _view(self, x: _Inputs) -> None:
        if self._drawer is not None:
            frame = Frame(x.image, 0, x.t_ns, self._intrinsics)
            self._drawer.draw(LiveResult(frame, [_fresh(face) for face in x.faces], 0.0))


def _fresh(face: FaceReconstruction) -> FaceReconstruction:
    """The same face with nothing computed yet: what it keeps would make the next call cheap."""
    grid = face.grid
    return FaceReconstruction(
        id=face.id,
        box_px=face.box_px,
        landmarks_px=face.landmarks_px,
        score=face.score,
        intrinsics=face.intrinsics,
        crop=face.crop,
        z_ref_m=face.z_ref_m,
        grid=type(grid)(grid.points_camera, grid.colors, grid.normals, grid.valid, grid.max_step_m),
        T_camera_face=face.T_camera_face,
        texture=face.texture,
        landmarks68_px=face.landmarks68_px,
        expression=face.expression,
        gaze=face.gaze,
    )
