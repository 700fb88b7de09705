"""One face over time: where it is, where it goes, what it looks like."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.faces.filters import OneEuroFilter
from rtrecon.types import BgrImage, Face, Float32Array, Float64Array

__all__ = ["Place", "Track", "likeness", "place_of", "signature"]

# The square that O-Net is given, made from the landmarks: its side in lengths of the face
# and its centre's share of the way from the eyes to the mouth. Of sides from 2.2 to 3.4
# this gave the landmarks that depend least on where exactly the square lies. O-Net's own
# box is not fed back: iterated, it drifts.
_SQUARE_SIDE = 2.5
_SQUARE_BELOW_EYES = 0.38
_SQUARE_SLACK = 0.05  # share of the side by which the square may be off before it follows
_LONG_GAP_S = 0.5  # after which neither speed nor filters mean anything any more
_SIGNATURE_SIDE = 8


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Centre (2,) and length of a face in pixels, and its velocity (2,) in pixels a second."""

    center_px: Float64Array
    length_px: float
    velocity_px: Float64Array
    t_ns: int

    def center_at(self, t_ns: int) -> Float64Array:
        """Where the centre is at ``t_ns`` if the face goes on as it did."""
        return self.center_px + self.velocity_px * ((t_ns - self.t_ns) * 1e-9)


class Track:
    """One face over time: raw state for following it, filtered state for the reader."""

    def __init__(self, track_id: int, face: Face, t_ns: int) -> None:
        self.id = track_id
        self.age_frames = 0
        self.unseen = 0
        self.unconfirmed = 0
        self.mean_score = face.score
        self.raw = face
        self.place = place_of(face, t_ns)
        self.apart = self.place
        """The last place at which no other face was close: not misled by that other one."""
        self.look: Float32Array | None = None
        self._square = _square_of(face.landmarks_px)
        self._landmarks_filter = OneEuroFilter(still_hz=1.2, opening=14.0)
        self._box_filter = OneEuroFilter(still_hz=0.6, opening=10.0)
        self.filtered = self._filter(face, 0.0)

    def observe(self, face: Face, t_ns: int, *, crowded: bool = False) -> None:
        """Take in where the face is at ``t_ns``; ``crowded``: another face is close."""
        before = self.place
        dt_s = max((t_ns - before.t_ns) * 1e-9, 1e-3)
        now = place_of(face, t_ns)
        if dt_s > _LONG_GAP_S:
            self._landmarks_filter.reset()
            self._box_filter.reset()
            velocity = np.zeros(2)
        else:
            velocity = 0.5 * (before.velocity_px + (now.center_px - before.center_px) / dt_s)
        self.place = Place(now.center_px, now.length_px, velocity, t_ns)
        if not crowded:
            self.apart = self.place
        self.raw = face
        self.unseen = 0
        self.age_frames += 1
        self.mean_score += 0.1 * (face.score - self.mean_score)
        self.filtered = self._filter(face, dt_s)

    def square_at(self, t_ns: int) -> Float32Array:
        """Square (4,) for O-Net at ``t_ns``.

        It stands still while it fits: O-Net's answer depends on the square a little, so that
        one which followed every answer would feed the network's noise back to it.
        """
        dt_s = min((t_ns - self.place.t_ns) * 1e-9, 0.1)
        ahead = (self.place.velocity_px * dt_s).astype(np.float32)
        wanted = _square_of(self.raw.landmarks_px + ahead)
        side = float(wanted[2] - wanted[0])
        if float(np.abs(wanted - self._square).max()) > _SQUARE_SLACK * side:
            self._square = wanted
        return self._square

    def could_be(self, face: Face, t_ns: int) -> bool:
        """Whether this face can have come to that place and size since it was last seen."""
        place = self.place
        now = place_of(face, t_ns)
        dt_s = min((t_ns - place.t_ns) * 1e-9, 0.2)
        off = float(np.linalg.norm(now.center_px - (place.center_px + place.velocity_px * dt_s)))
        reach = (0.4 + 6.0 * dt_s) * place.length_px
        return off < reach and 0.6 < now.length_px / place.length_px < 1.67

    def _filter(self, face: Face, dt_s: float) -> Face:
        length = self.place.length_px
        landmarks = self._landmarks_filter(face.landmarks_px.astype(np.float64), length, dt_s)
        box = self._box_filter(face.box_px.astype(np.float64).reshape(2, 2), length, dt_s)
        return Face(box.reshape(4).astype(np.float32), landmarks.astype(np.float32), face.score)


def place_of(face: Face, t_ns: int) -> Place:
    """Place of a face that does not move.

    Its length is the larger of the eyes-to-mouth distance and the eye distance, of which
    turning shortens the one and nodding the other.
    """
    marks = face.landmarks_px.astype(np.float64)
    down, across = marks[3:].mean(axis=0) - marks[:2].mean(axis=0), marks[1] - marks[0]
    length = max(float(np.hypot(*down)), float(np.hypot(*across)), 1.0)
    return Place(marks.mean(axis=0), length, np.zeros(2), t_ns)


def signature(image: BgrImage, face: Face) -> Float32Array | None:
    """What a face looks like: its colours on a coarse grid, without brightness and contrast.

    None where too little of it is in the picture.
    """
    x0, y0, x1, y1 = np.round(_square_of(face.landmarks_px)).astype(int)
    height, width = image.shape[:2]
    region = image[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    if region.size < 0.8 * 3 * (x1 - x0) * (y1 - y0) or min(region.shape[:2]) < _SIGNATURE_SIDE:
        return None
    side = (_SIGNATURE_SIDE, _SIGNATURE_SIDE)
    colours = cv2.resize(region, side, interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1)
    colours -= colours.mean()
    return np.asarray(colours / max(float(np.linalg.norm(colours)), 1.0), dtype=np.float32)


def likeness(a: Float32Array | None, b: Float32Array | None) -> float:
    """Correlation of two signatures, -1 to 1; 0 where one is not known."""
    return 0.0 if a is None or b is None else float(a @ b)


def _square_of(landmarks_px: Float32Array) -> Float32Array:
    eyes, mouth = landmarks_px[:2].mean(axis=0), landmarks_px[3:].mean(axis=0)
    down, across = mouth - eyes, landmarks_px[1] - landmarks_px[0]
    center = eyes + _SQUARE_BELOW_EYES * down
    length = max(float(np.hypot(*down)), float(np.hypot(*across)), 1.0)
    half = np.float32(0.5 * _SQUARE_SIDE * length)
    return np.concatenate([center - half, center + half]).astype(np.float32)
