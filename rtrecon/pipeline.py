"""The one place that wires the stages: picture in, faces in metres out.

`Reconstructor` is synchronous and is what a notebook or a batch job uses.
`LivePipeline` puts it on a thread of its own between a capture thread and the views.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rtrecon.depth.averaging import predict_averaged
from rtrecon.depth.model import load_depth_model
from rtrecon.errors import DataError, RtreconError
from rtrecon.faces.align import Crop, crop_face
from rtrecon.faces.mtcnn import Mtcnn, check_picture
from rtrecon.faces.tracker import FaceTracker
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.geometry.stage import GeometryStage
from rtrecon.stats import RunStats
from rtrecon.types import DEFAULT_FOV_DEG, BgrImage, Frame, Intrinsics, TrackedFace

if TYPE_CHECKING:
    from rtrecon.capture.thread import CaptureThread

__all__ = ["FrameTimes", "LivePipeline", "LiveResult", "Reconstructor", "reconstruct"]

logger = logging.getLogger(__name__)

_POLL_S = 0.1  # how soon a thread that waits notices that it is to end


@dataclass(slots=True)
class FrameTimes:
    """Where the time of one frame went, in nanoseconds; 0: the stage did not run."""

    detect: int = 0
    track: int = 0
    align: int = 0
    depth: int = 0
    geometry: int = 0


class Reconstructor:
    """Finds and follows faces in successive pictures and reconstructs each in metres.

    Args:
        model: name of a depth model or a folder with ``model.json``.
        provider: where the model runs; ``auto`` takes the fastest that proves itself.
        faces: how many faces to follow at most.
        fov_deg: diagonal field of view, used when no intrinsics are known.
        intrinsics: a calibration, or the path of its JSON file.
        ipd_mm: the person's interpupillary distance.
        precision, threads: of the depth model; None takes what was measured best.
        temporal: filter over time; off for unrelated pictures.
        min_face_px: smallest face looked for (side of its box); None follows ``temporal``:
            60 in video, 20 in pictures.
        passes: views of each crop that the depth model averages over; 1 in video.

    Raises:
        ModelError, ProviderError, DataError: an argument cannot be used.
    """

    def __init__(
        self,
        model: str | Path = "face-dpt",
        provider: str = "auto",
        faces: int = 1,
        fov_deg: float | None = None,
        intrinsics: Intrinsics | str | Path | None = None,
        ipd_mm: float = 63.0,
        *,
        precision: str | None = None,
        threads: int | None = None,
        temporal: bool = True,
        min_face_px: int | None = None,
        passes: int = 1,
    ) -> None:
        if faces < 1:
            raise DataError(f"faces must be 1 or more, not {faces}")
        self._fov_deg = fov_deg
        self._intrinsics = (
            intrinsics
            if intrinsics is None or isinstance(intrinsics, Intrinsics)
            else Intrinsics.load(intrinsics)
        )
        self._intrinsics_said = False
        self._resolved: Intrinsics | None = None
        self.depth_model = load_depth_model(
            model, provider=provider, precision=precision, threads=threads
        )
        self._passes = passes
        self._faces = faces
        self._temporal = temporal
        self._min_face_px = min_face_px or (60 if temporal else 20)
        self._mtcnn = Mtcnn()
        self.tracker = FaceTracker(self._mtcnn, max_faces=faces, min_face_px=self._min_face_px)
        self._geometry = GeometryStage(ipd_mm=ipd_mm, temporal=temporal)
        self._next_id = 0
        self.times = FrameTimes()

    def __call__(self, frame: Frame | BgrImage) -> list[FaceReconstruction]:
        """Reconstruct the faces of ``frame``: a `Frame`, or a (H, W, 3) uint8 BGR picture.

        The time of a frame drives all filters, so frames must come in order. `times`
        holds the stage times of the last call.
        """
        if not isinstance(frame, Frame):
            frame = Frame(frame, 0, time.monotonic_ns())
        self.times = times = FrameTimes()
        intrinsics = self._intrinsics_for(frame)
        tracked = self._find_faces(frame, times)
        start_ns = time.perf_counter_ns()
        model = self.depth_model
        crops = [crop_face(face.face, model.crop_spec, model.size_px) for face in tracked]
        times.align = time.perf_counter_ns() - start_ns
        results = self._reconstruct(frame, intrinsics, tracked, crops, times) if tracked else []
        self._geometry.forget([face.id for face in tracked])
        return results

    def reset(self) -> None:
        """Forget all faces, as before the first frame."""
        self.tracker = FaceTracker(
            self._mtcnn, max_faces=self._faces, min_face_px=self._min_face_px
        )
        self._geometry.forget([])

    def _find_faces(self, frame: Frame, times: FrameTimes) -> Sequence[TrackedFace]:
        if self._temporal:
            tracked = self.tracker.update(frame.image, frame.t_capture_ns)
            times.detect = self.tracker.stats.detect_ns
            times.track = self.tracker.stats.track_ns
            return tracked
        start_ns = time.perf_counter_ns()
        found = self._mtcnn.detect(frame.image, min_face_px=self._min_face_px)[: self._faces]
        times.detect = time.perf_counter_ns() - start_ns
        first, self._next_id = self._next_id, self._next_id + len(found)
        return [TrackedFace(first + k, face, 0) for k, face in enumerate(found)]

    def _reconstruct(
        self,
        frame: Frame,
        intrinsics: Intrinsics,
        tracked: Sequence[TrackedFace],
        crops: Sequence[Crop],
        times: FrameTimes,
    ) -> list[FaceReconstruction]:
        start_ns = time.perf_counter_ns()
        predictions = predict_averaged(self.depth_model, frame.image, crops, self._passes)
        depth_done_ns = time.perf_counter_ns()
        times.depth = depth_done_ns - start_ns
        results = [
            self._geometry.reconstruct(
                frame.image, intrinsics, face, crop, prediction, frame.t_capture_ns
            )
            for face, crop, prediction in zip(tracked, crops, predictions, strict=True)
        ]
        times.geometry = time.perf_counter_ns() - depth_done_ns
        return results

    def _intrinsics_for(self, frame: Frame) -> Intrinsics:
        height, width = frame.image.shape[:2]
        if frame.intrinsics is not None and self._intrinsics is None:
            return frame.intrinsics.scaled(width, height)
        known = self._resolved
        if known is not None and (known.width, known.height) == (width, height):
            return known
        if self._intrinsics is not None:
            self._resolved = self._intrinsics.scaled(width, height)
        else:
            fov_deg = DEFAULT_FOV_DEG if self._fov_deg is None else self._fov_deg
            self._resolved = Intrinsics.from_fov(width, height, fov_deg)
            if self._fov_deg is None and not self._intrinsics_said:
                self._intrinsics_said = True
                logger.info(
                    "the camera's field of view is not known: %g degrees across the diagonal "
                    "assumed; distances follow it (set --fov or --intrinsics)",
                    fov_deg,
                )
        return self._resolved


def reconstruct(
    image: BgrImage | str | Path,
    *,
    model: str | Path = "face-dpt",
    provider: str = "auto",
    faces: int = 10,
    fov_deg: float | None = None,
    intrinsics: Intrinsics | str | Path | None = None,
    ipd_mm: float = 63.0,
    passes: int = 2,
    min_face_px: int = 48,
) -> list[FaceReconstruction]:
    """The faces of one picture, largest first, at the quality of ``rtrecon image``.

    ``image`` is (H, W, 3) uint8 BGR or a file; a file's own focal length is used if it has
    one and neither ``fov_deg`` nor ``intrinsics`` is given. ``min_face_px`` is the smallest
    face looked for; below the default, patterns are taken for faces more often. For many
    pictures make one `Reconstructor` and keep it.

    Raises:
        DataError, ModelError, ProviderError: an argument cannot be used.
    """
    if isinstance(image, (str, Path)):
        from rtrecon.pictures import read_picture

        picture = read_picture(Path(image))
        image = picture.image
        if fov_deg is None and intrinsics is None:
            fov_deg = picture.fov_deg
    check_picture(image)
    recon = Reconstructor(
        model,
        provider,
        faces,
        fov_deg,
        intrinsics,
        ipd_mm,
        temporal=False,
        passes=passes,
        min_face_px=min_face_px,
    )
    return recon(image)


@dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """One processed frame and its faces."""

    frame: Frame
    faces: Sequence[FaceReconstruction]
    latency_ms: float


@dataclass(slots=True)
class _ResultSlot:
    """Where the worker leaves results: newest wins, or the worker waits for the reader."""

    newest_wins: bool
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _result: LiveResult | None = None
    _closed: bool = False

    def put(self, result: LiveResult) -> None:
        with self._changed:
            while not self.newest_wins and self._result is not None and not self._closed:
                self._changed.wait()
            self._result = result
            self._changed.notify_all()

    def take(self, timeout_s: float) -> LiveResult | None:
        with self._changed:
            if self._result is None and not self._closed:
                self._changed.wait(timeout_s)
            result, self._result = self._result, None
            self._changed.notify_all()
            return result

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class LivePipeline:
    """A capture thread, the reconstruction on a worker thread, and a slot for its results.

    The caller's thread takes results with `take` and owns the views. Nothing queues:
    the capture thread keeps the newest frame, the slot the newest result.

    Args:
        capture: a capture thread, not yet started; the pipeline closes it.
        reconstructor: used by the worker alone while the pipeline runs.
        stats: where the worker records times and counts.
        keep_every_result: the worker waits until each result was taken (for recording).
        max_frames: end after this many frames.
    """

    def __init__(
        self,
        capture: CaptureThread,
        reconstructor: Reconstructor,
        stats: RunStats,
        *,
        keep_every_result: bool = False,
        max_frames: int | None = None,
    ) -> None:
        self.capture = capture
        self._reconstructor = reconstructor
        self._stats = stats
        self._max_frames = max_frames
        self._slot = _ResultSlot(newest_wins=not keep_every_result)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._worker = threading.Thread(target=self._work, name="rtrecon-worker", daemon=True)

    def __enter__(self) -> LivePipeline:
        self.capture.start()
        self._worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def running(self) -> bool:
        """Whether the worker still has frames to come."""
        return self._worker.is_alive()

    def take(self, timeout_s: float = 0.0) -> LiveResult | None:
        """The newest result that was not taken yet, or None within ``timeout_s``.

        Raises:
            RtreconError: what ended the worker or the capture thread.
        """
        result = self._slot.take(timeout_s)
        if result is None and self._error is not None and not self.running:
            error, self._error = self._error, None
            raise error
        return result

    def close(self) -> None:
        """End both threads; returns within a second."""
        self._stop.set()
        self._slot.close()
        self.capture.close()
        if self._worker.is_alive():
            self._worker.join(timeout=1.0)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                if self._max_frames and self._stats.frames_processed >= self._max_frames:
                    break
                frame = self.capture.read(timeout_s=_POLL_S)
                if frame is None:
                    if self.capture.ended:
                        break
                    continue
                self._process(frame)
        except RtreconError as error:
            self._error = error
        except Exception as error:  # reaches the caller of take(), whatever it is
            logger.debug("the worker failed", exc_info=True)
            self._error = error
        finally:
            self._stop.set()

    def _process(self, frame: Frame) -> None:
        faces = self._reconstructor(frame)
        done_ns = time.monotonic_ns()
        stats, times = self._stats, self._reconstructor.times
        for stage in ("detect", "track", "align", "depth", "geometry"):
            duration_ns = getattr(times, stage)
            if duration_ns:
                stats.add_stage(stage, duration_ns)
        stats.add_frame(frame.t_capture_ns, done_ns, has_face=bool(faces))
        latency_ms = (done_ns - frame.t_capture_ns) * 1e-6
        self._slot.put(LiveResult(frame, faces, latency_ms))
