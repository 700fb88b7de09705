"""What avatars see of a take, and the same at an even rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from rtrecon.avatar.frame import AvatarFrame, eyes_of, mirrored
from rtrecon.avatar.profile import CalibrationProfile
from rtrecon.avatar.rotations import Vector, toward
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.errors import DataError
from rtrecon.result import LiveResult
from rtrecon.takes.folder import Take
from rtrecon.takes.replay import recorded_faces
from rtrecon.types import Frame

__all__ = ["at_rate", "avatar_frames"]


def avatar_frames(
    take: Take, settings: AvatarSettings | None = None, *, mirror: bool = False
) -> Iterator[AvatarFrame]:
    """A frame for each result of a take, as an output of the recorded run was given it.

    Raises:
        SourceError: the take cannot be read. DataError: its calibration cannot be used.
    """
    known = None
    if take.info.calibration is not None:
        try:
            known = CalibrationProfile.from_json(take.info.calibration)
        except DataError as error:
            raise DataError(f"the calibration of the take {take.folder}: {error}") from error
    stage = AvatarStage(settings, known)
    for number, row in enumerate(take.rows()):
        if row is None:
            continue
        width, height = row.size_px
        black = np.broadcast_to(np.uint8(0), (height, width, 3))
        # By its number: the stage tells results apart by when they were captured.
        picture = Frame(black, row.index, number, row.intrinsics, row.t_ns)
        frame = stage.frame(LiveResult(picture, recorded_faces(row), 0.0))
        yield mirrored(frame) if mirror else frame


def at_rate(frames: Iterable[AvatarFrame], rate_hz: float) -> Iterator[AvatarFrame]:
    """The same movement at an even rate, from the first frame's time to the last.

    Between two frames everything is a straight line, turns the short way; whether a face is
    seen is as of the nearer one. Landmarks are left out. A frame that is not later than the one
    before counts for nothing.
    """
    before: AvatarFrame | None = None
    first_s, count = 0.0, 0
    for frame in frames:
        if before is None:
            first_s = frame.t_s
            yield _between(frame, frame, 0.0, frame.t_s, 0)
            before, count = frame, 1
            continue
        if frame.t_s <= before.t_s:
            continue
        while (t_s := first_s + count / rate_hz) <= frame.t_s + 1e-9:
            share = (t_s - before.t_s) / (frame.t_s - before.t_s)
            yield _between(before, frame, min(share, 1.0), t_s, count)
            count += 1
        before = frame


def _between(a: AvatarFrame, b: AvatarFrame, share: float, t_s: float, number: int) -> AvatarFrame:
    values = (a.coefficients + np.float32(share) * (b.coefficients - a.coefficients)).clip(0.0, 1.0)
    nearer = a if share < 0.5 else b
    return replace(
        nearer,
        t_s=t_s,
        sequence=number,
        rotation=toward(a.rotation, b.rotation, share),
        position_m=_line(a.position_m, b.position_m, share),
        origin_m=_line(a.origin_m, b.origin_m, share),
        coefficients=values,
        eyes=eyes_of(values),
        landmarks68_px=None,
        landmarks68_face=None,
    )


def _line(a: Vector, b: Vector, share: float) -> Vector:
    x, y, z = (p + share * (q - p) for p, q in zip(a, b, strict=True))
    return x, y, z
