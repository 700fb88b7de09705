"""The one place that wires the stages: picture in, faces in metres out.

`Reconstructor` is synchronous and is what a notebook or a batch job uses; the live pipeline puts
it on a thread of its own.
"""

from __future__ import annotations

import logging
import numbers
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrecon.config import MOST_FACES, MOST_THREADS
from rtrecon.depth.averaging import MAX_PASSES, predict_averaged
from rtrecon.depth.extras import EXTRAS
from rtrecon.depth.model import load_depth_model
from rtrecon.errors import ArgumentError
from rtrecon.expression.calibration import Calibration
from rtrecon.expression.gaze import gaze_of
from rtrecon.expression.stage import ExpressionStage
from rtrecon.faces.align import Crop, crop_face
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.faces.picture_input import as_picture, check_picture
from rtrecon.faces.tracker import FaceTracker
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.geometry.stage import GeometryStage
from rtrecon.head.fitted import FittedHead
from rtrecon.stats import FrameTimes
from rtrecon.types import DEFAULT_FOV_DEG, BgrImage, Frame, Intrinsics, PilImage, TrackedFace
from rtrecon.upright import ODD_DISAGREEMENT, disagreement, second_opinion

if TYPE_CHECKING:
    from rtrecon.head.live_fit import PersonFit

__all__ = ["Reconstructor", "ReconstructorConfig", "reconstruct"]

logger = logging.getLogger(__name__)

_ODD_FRAMES = 30  # in a row, until they are said

_MOST_BACK_S = 1.0  # a clock or a container that stumbles; further back is another film


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructorConfig:
    """All that a `Reconstructor` is made from; can be pickled, compared and sent elsewhere.

    Attributes:
        model: name of a depth model or a folder with ``model.json``.
        provider: where the model runs; ``auto`` takes the fastest that proves itself.
        faces: how many faces to follow at most.
        fov_deg: diagonal field of view, used where ``intrinsics`` are not given.
        intrinsics: a calibration, or the path of its JSON file. Without it and ``fov_deg`` a
            frame's own intrinsics are used (EXIF, the source's calibration), else 60 degrees.
        ipd_mm: the person's interpupillary distance.
        precision, threads: of the depth model; None takes what was measured best.
        temporal: filter over time; off for unrelated pictures.
        min_face_px: smallest face looked for (side of its box); None follows ``temporal``:
            60 in video, 20 in pictures.
        passes: views of each crop that the depth model averages over; 1 in video.
        expression: give coefficients and gaze; off, the network does not compute them.
        calibrate: learn slowly, over minutes, what is neutral for each person and take it away
            from the coefficients; in video alone.

    Raises:
        ArgumentError: a value is out of range.
    """

    model: str | Path = "face-dpt"
    provider: str = "auto"
    faces: int = 1
    fov_deg: float | None = None
    intrinsics: Intrinsics | str | Path | None = None
    ipd_mm: float = 63.0
    precision: str | None = None
    threads: int | None = None
    temporal: bool = True
    min_face_px: int | None = None
    passes: int = 1
    expression: bool = True
    calibrate: bool = False

    def __post_init__(self) -> None:
        _check_whole("faces", self.faces, 1, MOST_FACES)
        if self.fov_deg is not None and not (_is_number(self.fov_deg) and 1 <= self.fov_deg < 179):
            raise ArgumentError(f"fov_deg must be 1 to 178 degrees, not {self.fov_deg!r}")
        if not (_is_number(self.ipd_mm) and 40 <= self.ipd_mm <= 90):
            raise ArgumentError(f"ipd_mm must be 40 to 90 millimetres, not {self.ipd_mm!r}")
        if self.threads is not None:
            _check_whole("threads", self.threads, 1, MOST_THREADS)
        if self.min_face_px is not None:
            _check_whole("min_face_px", self.min_face_px, 12, 20_000)
        _check_whole("passes", self.passes, 1, MAX_PASSES)


def _check_whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, numbers.Integral) or not least <= int(value) <= most:
        raise ArgumentError(f"{name} must be a whole number from {least} to {most}, not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real)


class Reconstructor:
    """Finds and follows faces in successive pictures and reconstructs each in metres.

    Takes the fields of `ReconstructorConfig`, which says what they are. A context manager:
    leaving it lets go of the models.

    Attributes:
        config: what it was made from.
        turn_deg: without ``temporal``, by how many degrees clockwise, 0, 90, 180 or 270, the last
            picture is to be turned to be upright; its faces are found then.
        times: stage times of the last call.
        times_refused: frames that came from before the last one, so far.

    Raises:
        ArgumentError, ModelError, ProviderError, DataError: an argument cannot be used.
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
        expression: bool = True,
        calibrate: bool = False,
    ) -> None:
        self.config = ReconstructorConfig(
            model=model,
            provider=provider,
            faces=faces,
            fov_deg=fov_deg,
            intrinsics=intrinsics,
            ipd_mm=ipd_mm,
            precision=precision,
            threads=threads,
            temporal=temporal,
            min_face_px=min_face_px,
            passes=passes,
            expression=expression,
            calibrate=calibrate,
        )
        self._fov_deg = fov_deg
        self._intrinsics = (
            intrinsics
            if intrinsics is None or isinstance(intrinsics, Intrinsics)
            else Intrinsics.load(intrinsics)
        )
        self._intrinsics_said = False
        self._resolved: Intrinsics | None = None
        self.depth_model = load_depth_model(
            model,
            provider=provider,
            precision=precision,
            threads=threads,
            extras=EXTRAS if expression else [name for name in EXTRAS if name != "expression"],
        )
        self._say_what_is_missing(expression)
        self._passes = passes
        self._faces = faces
        self._temporal = temporal
        self._min_face_px = min_face_px or (60 if temporal else 20)
        self._mtcnn = Mtcnn()
        self.tracker = FaceTracker(self._mtcnn, max_faces=faces, min_face_px=self._min_face_px)
        self._geometry = GeometryStage(ipd_mm=ipd_mm, temporal=temporal)
        self._expression = ExpressionStage(temporal=temporal, calibrate=calibrate)
        self._heads: PersonFit | None = None
        self._next_id = 0
        self._closed = False
        self._odd_frames = 0
        self.turn_deg = 0
        self._t_ns: int | None = None
        self.times_refused = 0
        self.times = FrameTimes()

    @classmethod
    def from_config(cls, config: ReconstructorConfig) -> Reconstructor:
        """Make one from ``config``."""
        return cls(**{part.name: getattr(config, part.name) for part in fields(config)})

    def __enter__(self) -> Reconstructor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the models and their memory; it cannot be used any more."""
        self._closed = True
        for part in ("depth_model", "tracker", "_mtcnn"):
            self.__dict__.pop(part, None)

    def __call__(self, frame: Frame | BgrImage | PilImage | str | Path) -> list[FaceReconstruction]:
        """Reconstruct the faces of ``frame``: a `Frame`, a (H, W, 3) uint8 BGR picture, a PIL
        picture as it lies, or the file of a picture.

        The time of a frame drives all filters, so frames must come in order. One from up to a
        second before the last is taken as of the same time; from further back all begins anew.
        Both are said once and counted. `times` holds the stage times of the last call.

        Raises:
            DataError: it is no such picture, or its file cannot be read.
        """
        self._check_open()
        frame = _frame_of(frame)
        frame = self._in_order(frame)
        self.times = times = FrameTimes()
        results = self._reconstruct(frame, self._find_faces(frame, times), times)
        if self._temporal:
            self._say_if_odd(results)
            return results
        opinion = second_opinion(frame.image, results, self._mtcnn, self._min_face_px)
        self.turn_deg = opinion.turn_deg
        return opinion.faces

    def of_known(self, frame: Frame, known: Sequence[TrackedFace]) -> list[FaceReconstruction]:
        """Reconstruct faces that were found before, such as those of a take: none is looked for.

        Args:
            frame: as of a call.
            known: the faces in it, with the ids that they keep.

        Returns:
            As many, in their order.
        """
        self._check_open()
        check_picture(frame.image)
        self.times = FrameTimes()
        return self._reconstruct(self._in_order(frame), known, self.times)

    def _check_open(self) -> None:
        if self._closed:
            raise ArgumentError("this Reconstructor was closed: make another one")

    def head(self, face: FaceReconstruction) -> FittedHead:
        """The head model fitted to a face of the last call; nobody who does not ask pays for it.

        In video the person is learnt from all faces that are asked about, and settles over the
        first seconds: ask once a frame. Of unrelated pictures each is fitted for itself
        (`fit_heads` is for several of one person).

        Raises:
            DataError: the face has no pose.
            ModelError: the head model is not installed, or damaged.
        """
        # Not before: of those who ask nobody for heads it would slow the start.
        from rtrecon.head.fit import fit_head
        from rtrecon.head.live_fit import PersonFit

        ipd_m = self.config.ipd_mm * 1e-3
        if not self._temporal:
            return fit_head(face, ipd_m=ipd_m)
        if self._heads is None:
            self._heads = PersonFit(ipd_m=ipd_m)
        return self._heads.update(face, self._t_ns or 0)

    def _say_if_odd(self, faces: Sequence[FaceReconstruction]) -> None:
        """Warn once of a face whose landmarks do not fit for long: a camera upside down."""
        if self._odd_frames >= _ODD_FRAMES:
            return
        is_odd = any((disagreement(face) or 0.0) > ODD_DISAGREEMENT for face in faces)
        self._odd_frames = self._odd_frames + 1 if is_odd else 0
        if self._odd_frames == _ODD_FRAMES:
            logger.warning(
                "a face's landmarks do not fit what the depth model sees: is the camera upright, "
                "and the face whole?"
            )

    def reset(self) -> None:
        """Forget all faces, as before the first frame; counts go on."""
        stats = self.tracker.stats
        self.tracker = FaceTracker(
            self._mtcnn, max_faces=self._faces, min_face_px=self._min_face_px
        )
        self.tracker.stats = stats
        self._heads = None
        self._t_ns = None
        self._forget([])

    def _in_order(self, frame: Frame) -> Frame:
        """``frame`` at a time that its filters can take."""
        last_ns, self._t_ns = self._t_ns, frame.t_capture_ns
        if not self._temporal or last_ns is None or frame.t_capture_ns >= last_ns:
            return frame
        back_s = (last_ns - frame.t_capture_ns) * 1e-9
        if self.times_refused == 0:
            logger.warning(
                "a frame is from %.3g s before the last one: %s; such frames are counted",
                back_s,
                "taken as of the same time" if back_s <= _MOST_BACK_S else "all begins anew",
            )
        self.times_refused += 1
        if back_s > _MOST_BACK_S:
            return frame  # the tracker begins anew, and all else with it
        self._t_ns = last_ns
        return replace(frame, t_capture_ns=last_ns)

    def _forget(self, keep: Sequence[int]) -> None:
        self._geometry.forget(keep)
        self._expression.forget(keep)

    @property
    def model_facts(self) -> dict[str, Any]:
        """Names of the depth ``model`` and its ``provider``, its ``threads``, and ``ipd_mm``."""
        model = self.depth_model
        return {
            "model": model.name,
            "provider": model.provider,
            "threads": model.threads,
            "ipd_mm": self.config.ipd_mm,
        }

    @property
    def values_dropped(self) -> int:
        """Coefficients, sets of landmarks and rotations that could not be used, so far."""
        geometry = self._geometry
        dropped = geometry.landmarks_dropped + geometry.rotations_dropped
        return dropped + self._expression.dropped + self.tracker.stats.values_dropped

    @property
    def depths_dropped(self) -> int:
        """Predictions of a face's depth or mask that were not finite, so far."""
        return self._geometry.depths_dropped

    @property
    def faces_without_depth(self) -> int:
        """Faces, one a frame, of which not one pixel was known, so far."""
        return self._geometry.faces_without_depth

    def calibration(self, face_id: int) -> Calibration | None:
        """What was learnt of a face so far; None unless ``calibrate`` is on."""
        return self._expression.calibration(face_id)

    def _say_what_is_missing(self, expression: bool) -> None:
        model = self.depth_model
        missing = ["face.landmarks68_px"] if model.manifest.landmarks is None else []
        if expression and not model.expression_names:
            missing += ["face.expression", "face.gaze"]
        if missing:
            logger.info("model %s gives no %s: None", model.name, ", ".join(missing))

    def _find_faces(self, frame: Frame, times: FrameTimes) -> Sequence[TrackedFace]:
        if self._temporal:
            tracked = self.tracker.update(frame.image, frame.t_ns)
            times.detect = self.tracker.stats.detect_ns
            times.track = self.tracker.stats.track_ns
            return tracked
        start_ns = time.perf_counter_ns()
        found = self._mtcnn.detect(frame.image, min_face_px=self._min_face_px, evens_dark=True)[
            : self._faces
        ]
        times.detect = time.perf_counter_ns() - start_ns
        first, self._next_id = self._next_id, self._next_id + len(found)
        return [TrackedFace(first + k, face, 0) for k, face in enumerate(found)]

    def _reconstruct(
        self, frame: Frame, tracked: Sequence[TrackedFace], times: FrameTimes
    ) -> list[FaceReconstruction]:
        intrinsics = self._intrinsics_for(frame)
        start_ns = time.perf_counter_ns()
        model = self.depth_model
        crops = [crop_face(face.face, model.crop_spec, model.size_px) for face in tracked]
        times.align = time.perf_counter_ns() - start_ns
        results = self._predict(frame, intrinsics, tracked, crops, times) if tracked else []
        self._forget([face.id for face in tracked])
        return results

    def _predict(
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
            self._geometry.reconstruct(frame.image, intrinsics, face, crop, prediction, frame.t_ns)
            for face, crop, prediction in zip(tracked, crops, predictions, strict=True)
        ]
        for result, prediction in zip(results, predictions, strict=True):
            expression = self._expression.update(result.id, prediction, frame.t_ns)
            if expression is not None:
                result.expression = expression
                result.gaze = gaze_of(expression, result.T_camera_face)
        times.geometry = time.perf_counter_ns() - depth_done_ns
        return results

    def _intrinsics_for(self, frame: Frame) -> Intrinsics:
        """The one rule: the user's calibration, the user's field of view, the source's own, 60."""
        height, width = frame.image.shape[:2]
        if frame.intrinsics is not None and self._intrinsics is None and self._fov_deg is None:
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
                    "assumed; distances follow it (--fov, --intrinsics, rtrecon calibrate-camera)",
                    fov_deg,
                )
        return self._resolved


def reconstruct(
    image: BgrImage | PilImage | str | Path,
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

    ``image`` is (H, W, 3) uint8 BGR, a PIL picture or a file; a file's own focal length is used
    if it has one and neither ``fov_deg`` nor ``intrinsics`` is given. ``min_face_px`` is the
    smallest face looked for; below the default, patterns are taken for faces more often. For
    many pictures make one `Reconstructor` and keep it.

    Raises:
        DataError, ModelError, ProviderError: an argument cannot be used.
    """
    frame = _frame_of(image)
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
    return recon(frame)


def _frame_of(picture: Frame | BgrImage | PilImage | str | Path) -> Frame:
    """``picture`` as of now; a file's own focal length goes with it.

    Raises:
        DataError: it is no picture.
    """
    if isinstance(picture, Frame):
        check_picture(picture.image)
        return picture
    if isinstance(picture, str | Path):
        from rtrecon.capture.pictures import read_picture

        read = read_picture(Path(picture))
        return Frame(read.image, 0, time.monotonic_ns(), read.intrinsics)
    return Frame(as_picture(picture), 0, time.monotonic_ns())
