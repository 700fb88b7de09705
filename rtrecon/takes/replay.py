"""What takes the place of the reconstruction while a take is played: its own results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from rtrecon.errors import UserError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.pipeline import Reconstructor
from rtrecon.stats import FrameTimes
from rtrecon.takes.info import TakeInfo
from rtrecon.takes.row import TakenFace, TakeRow
from rtrecon.takes.source import TakeSource
from rtrecon.types import Face, Frame, Gaze, Intrinsics, TrackedFace

__all__ = ["RecordedFace", "TakeReplay", "recorded_faces"]

_SURFACE = ("grid", "crop", "texture")


class RecordedFace(FaceReconstruction):
    """A face of a take that is played without its pictures: all but its surface.

    Raises:
        UserError: when the surface, or what is made of it, is asked for.
    """

    def __init__(self, taken: TakenFace, intrinsics: Intrinsics) -> None:  # no super().__init__
        self.id = taken.id
        self.score = taken.score
        self.box_px = taken.box_px
        self.landmarks_px = taken.landmarks_px
        self.z_ref_m = taken.z_ref_m
        self.intrinsics = intrinsics
        self._depth_m = self._points = self._colors = self._normals = self._indices = None
        _tell(self, taken)

    def __repr__(self) -> str:
        return f"RecordedFace(id={self.id}, z_ref_m={self.z_ref_m:.3f})"

    def __getattr__(self, name: str) -> NoReturn:
        if name in _SURFACE:
            raise UserError(
                "a face of a take that is played without its pictures has no surface: play it with "
                "them"
            )
        raise AttributeError(name)


class TakeReplay:
    """Gives each frame of a take the faces that were found in it.

    With a reconstructor they have their surface too, computed anew from the take's pictures:
    from the recorded landmarks, without a detection. All else is as recorded.

    Args:
        source: gives the frames.
        info: of the take.
        reconstructor: for the surfaces; None: the faces have none.
    """

    def __init__(
        self, source: TakeSource, info: TakeInfo, reconstructor: Reconstructor | None = None
    ) -> None:
        self._source, self._reconstructor = source, reconstructor
        self._info = info
        self.times = FrameTimes()

    def __call__(self, frame: Frame) -> Sequence[FaceReconstruction]:
        """The faces of ``frame``, which must be the next of the source, or a later one."""
        row = self._source.row_of(frame)
        self.times = FrameTimes()
        if self._reconstructor is None or not row.faces:
            return recorded_faces(row)
        known = [
            TrackedFace(face.id, Face(face.box_px, face.landmarks_px, face.score), 0)
            for face in row.faces
        ]
        faces = self._reconstructor.of_known(frame, known)
        self.times = self._reconstructor.times
        for face, taken in zip(faces, row.faces, strict=True):
            _tell(face, taken)
        return faces

    @property
    def model_facts(self) -> dict[str, Any]:
        """As of a `Reconstructor`; without one the provider is "take"."""
        if self._reconstructor is not None:
            return self._reconstructor.model_facts
        info = self._info
        return {"model": info.model, "provider": "take", "threads": None, "ipd_mm": info.ipd_mm}

    @property
    def values_dropped(self) -> int:
        """As of a `Reconstructor`."""
        return self._reconstructor.values_dropped if self._reconstructor else 0

    @property
    def times_refused(self) -> int:
        """As of a `Reconstructor`."""
        return self._reconstructor.times_refused if self._reconstructor else 0

    @property
    def depths_dropped(self) -> int:
        """As of a `Reconstructor`."""
        return self._reconstructor.depths_dropped if self._reconstructor else 0

    @property
    def faces_without_depth(self) -> int:
        """As of a `Reconstructor`."""
        return self._reconstructor.faces_without_depth if self._reconstructor else 0


def recorded_faces(row: TakeRow) -> list[FaceReconstruction]:
    """The faces of one result, without their surface."""
    intrinsics = row.intrinsics or Intrinsics.from_fov(*row.size_px)
    return [RecordedFace(face, intrinsics) for face in row.faces]


def _tell(face: Any, taken: TakenFace) -> None:
    """Pose, coefficients and landmarks as they were recorded."""
    T = taken.T_camera_face
    face.T_camera_face = T
    face.landmarks68_px = taken.landmarks68_px
    face.expression = taken.expression
    face.gaze = None if taken.gaze is None else Gaze(*taken.gaze, np.array(T[:3, :3]))
    face._landmarks68 = taken.landmarks68_camera
