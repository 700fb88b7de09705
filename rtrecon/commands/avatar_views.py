"""The views of a person that an avatar is made of: one picture, or the best of a film."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from rtrecon.errors import DataError
from rtrecon.types import BgrImage, Float64Array, Frame
from rtrecon.upright import ODD_DISAGREEMENT, disagreement

if TYPE_CHECKING:
    from rtrecon.geometry.reconstruction import FaceReconstruction
    from rtrecon.pipeline import Reconstructor
    from rtrecon.stats import RunStats

__all__ = ["View", "Views", "look", "views_of_picture"]

logger = logging.getLogger(__name__)

_FRONTAL_DEG = 15.0
_SIDES_DEG = (22.0, 55.0)
_STEADY_FRAMES = 3  # of a face, before it counts: the filters begin with the first
_EXPRESSIVE_DEG = 12.0  # that a whole coefficient counts like
_BLURRED_DEG = 10.0  # and half the sharpness of the sharpest


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A face and the picture it was seen in.

    ``yaw_deg``: how far it looks aside of the camera, to its own right; ``cost``: the less, the
    better it shows the person at rest; ``inside``: share of the face's box within the picture;
    ``doubt``: how far detector and network disagree about its landmarks (`disagreement`).
    """

    face: FaceReconstruction
    image: BgrImage
    yaw_deg: float
    cost: float
    inside: float
    doubt: float

    @property
    def is_odd(self) -> bool:
        """It is turned over, or hardly a face."""
        return self.doubt > ODD_DISAGREEMENT


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """``best``: the one that counts most first; ``count``: people who were there at once."""

    best: Sequence[View]
    count: int


def views_of_picture(
    path: Path, reconstructor: Reconstructor, number: int, stats: RunStats
) -> Views:
    """The face ``number``, by size, of a picture.

    Raises:
        DataError: the picture cannot be read, or has no such face.
    """
    from rtrecon.capture.pictures import read_picture

    start_ns = time.monotonic_ns()
    picture = read_picture(path)
    faces = reconstructor(Frame(picture.image, 0, start_ns, picture.intrinsics))
    turn_deg = reconstructor.turn_deg
    if turn_deg:
        picture = picture.turned(turn_deg)
        logger.info("%s is turned by %d degrees clockwise", path, turn_deg)
        faces = reconstructor(Frame(picture.image, 0, start_ns, picture.intrinsics))
    stats.add_times(reconstructor.times)
    stats.add_frame(start_ns, time.monotonic_ns(), has_face=bool(faces))
    faces = sorted(faces, key=_area, reverse=True)
    return Views([_view(_chosen(faces, number, str(path)), picture.image)], len(faces))


def look(
    source: str, reconstructor: Reconstructor, number: int, seconds: float, stats: RunStats
) -> Views:
    """The best views of one person in what moves: from the front, and of both sides.

    The person is the one who is ``number`` by size where people are first seen; it is they who
    are followed.

    Raises:
        SourceError: it cannot be opened, or ends with an error.
        DataError: there is no such face.
    """
    from rtrecon.capture.sources import open_source

    followed: int | None = None
    seen = most = 0
    begun_ns: int | None = None
    kept: dict[str, View] = {}
    sharpest = 0.0
    with open_source(source) as opened:
        for frame in opened:
            now_ns = frame.t_capture_ns if opened.t_media_ns is None else opened.t_media_ns
            begun_ns = now_ns if begun_ns is None else begun_ns
            if (now_ns - begun_ns) * 1e-9 > seconds:
                break
            faces = sorted(reconstructor(frame), key=_area, reverse=True)
            stats.add_times(reconstructor.times)
            stats.add_frame(frame.t_capture_ns, time.monotonic_ns(), has_face=bool(faces))
            most = max(most, len(faces))
            if followed is None and len(faces) > number:
                followed = faces[number].id
            face = next((face for face in faces if face.id == followed), None)
            if face is None or not np.isfinite(face.T_camera_face).all():
                continue
            seen += 1
            sharp = _sharpness(face, frame.image)
            sharpest = max(sharpest, sharp)
            if seen <= _STEADY_FRAMES and kept:
                continue
            view = _view(face, frame.image, blur=sharpest / max(sharp, 1e-6) - 1.0)
            if view.is_odd:
                continue
            place = _place(view.yaw_deg)
            if place not in kept or view.cost < kept[place].cost or seen == _STEADY_FRAMES + 1:
                kept[place] = _with_own_picture(view)
    if not kept:
        where = f"no face number {number} was" if most else "no face was"
        raise DataError(f"{where} found in {source} within {seconds:g} s: nothing written")
    order = ("front", "left", "right", "between", "away")
    best = [kept[place] for place in order if place in kept]
    # What lies between is used where nothing better is there.
    clear = [view for view in best if _place(view.yaw_deg) in order[:3]] or best[:1]
    first = min(clear, key=lambda view: abs(view.yaw_deg))
    if abs(first.yaw_deg) > _FRONTAL_DEG:
        logger.warning(
            "no picture of %s shows the face from the front: the best is %.0f degrees aside",
            source,
            abs(first.yaw_deg),
        )
    return Views([first, *(view for view in clear if view is not first)], most)


def _chosen(faces: Sequence[FaceReconstruction], number: int, source: str) -> FaceReconstruction:
    if not faces:
        raise DataError(f"no face found in {source}: nothing written")
    if number >= len(faces):
        raise DataError(
            f"{source} has {len(faces)} {'face' if len(faces) == 1 else 'faces'}: --face "
            f"{number} is none of them (0 is the largest)"
        )
    return faces[number]


def _view(face: FaceReconstruction, image: BgrImage, *, blur: float = 0.0) -> View:
    yaw, pitch = _aside_deg(face.T_camera_face)
    expressive = 0.0
    if face.expression is not None:
        shown = [
            float(value)
            for name, value in zip(face.expression.names, np.asarray(face.expression), strict=True)
            if not name.startswith("eyeLook") and math.isfinite(value)
        ]
        expressive = math.sqrt(sum(value**2 for value in shown))
    # A side is wanted from the middle of its range.
    off = abs(abs(yaw) - sum(_SIDES_DEG) / 2.0) if abs(yaw) >= _SIDES_DEG[0] else abs(yaw)
    cost = off + 0.7 * abs(pitch) + _EXPRESSIVE_DEG * expressive + _BLURRED_DEG * blur
    return View(face, image, yaw, cost, _inside(face, image), disagreement(face) or 0.0)


def _with_own_picture(view: View) -> View:
    # A source may use its picture's memory again.
    return replace(view, image=view.image.copy())


def _place(yaw_deg: float) -> str:
    away = abs(yaw_deg)
    if away <= _FRONTAL_DEG:
        return "front"
    if _SIDES_DEG[0] <= away <= _SIDES_DEG[1]:
        return "left" if yaw_deg < 0.0 else "right"
    return "between" if away < _SIDES_DEG[0] else "away"


def _aside_deg(T: Float64Array) -> tuple[float, float]:
    """Yaw (to the own right) and pitch (nose down) of a face against the line to the camera."""
    if not np.isfinite(T).all():
        return 0.0, 0.0
    toward = T[:3, 3] / max(float(np.linalg.norm(T[:3, 3])), 1e-9)
    x, y, z = T[:3, :3].T @ toward  # that line in the face's own frame
    return math.degrees(math.atan2(-x, z)), math.degrees(math.atan2(y, math.hypot(x, z)))


def _area(face: FaceReconstruction) -> float:
    x0, y0, x1, y1 = face.box_px.tolist()
    return float((x1 - x0) * (y1 - y0))


def _inside(face: FaceReconstruction, image: BgrImage) -> float:
    x0, y0, x1, y1 = face.box_px.tolist()
    height, width = image.shape[:2]
    inner = max(min(x1, width) - max(x0, 0.0), 0.0) * max(min(y1, height) - max(y0, 0.0), 0.0)
    return float(inner / max((x1 - x0) * (y1 - y0), 1e-9))


def _sharpness(face: FaceReconstruction, image: BgrImage) -> float:
    """Spread of the Laplacian over the face's middle, at one size."""
    x0, y0, x1, y1 = face.box_px.tolist()
    height, width = image.shape[:2]
    left, right = int(max(x0, 0.0)), int(min(x1, width))
    top, bottom = int(max(y0, 0.0)), int(min(y1, height))
    if right - left < 8 or bottom - top < 8:
        return 0.0
    gray = cv2.cvtColor(image[top:bottom, left:right], cv2.COLOR_BGR2GRAY)
    small = cv2.resize(gray, (96, 96), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(small, cv2.CV_32F).std())
