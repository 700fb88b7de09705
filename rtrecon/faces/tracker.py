"""Follows faces from frame to frame: O-Net on where each should be, MTCNN to find new ones."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.faces.filters import OneEuroFilter
from rtrecon.faces.mtcnn import Mtcnn, check_picture
from rtrecon.types import BgrImage, Face, Float32Array, TrackedFace

__all__ = ["FaceTracker", "TrackerStats"]

logger = logging.getLogger(__name__)

_DETECT_LONG_SIDE_PX = 640  # full detection runs on a picture of this size at most
_KEEP_SCORE = 0.6  # O-Net's score under which a frame does not count as seen
_PATIENCE = 3  # frames in a row that may be unseen before a face counts as lost
_REMEMBER_S = 1.0  # how long a lost face may return under its old id
_SAME_IOU = 0.3
# O-Net's own training crops relate to the landmarks thus, in units of the larger of the
# eyes-to-mouth distance and the eye distance; a box made from landmarks does not drift.
_BOX_SLACK = 0.05  # share of the side
_BOX_SIDE = 2.7
_BOX_CENTER_BELOW_EYES = 0.4


@dataclass(slots=True)
class TrackerStats:
    """Counts since the start, and the durations of the last update in nanoseconds."""

    full_detections: int = 0
    tracked_frames: int = 0
    faces_lost: int = 0
    newcomers: int = 0
    detect_ns: int = 0
    track_ns: int = 0


class _Track:
    """One face over time: raw state for tracking, filtered state for the reader."""

    def __init__(self, track_id: int, face: Face, t_ns: int) -> None:
        self.id = track_id
        self.raw = face
        self.t_seen_ns = t_ns
        self.age_frames = 0
        self.unseen = 0
        self.velocity: Float32Array = np.zeros(2, dtype=np.float32)  # unit sizes a second
        self._marks_filter = OneEuroFilter(still_hz=1.2, opening=12.0)
        self._box_filter = OneEuroFilter(still_hz=0.8, opening=10.0)
        self.filtered = self._filter(face, 0.0)
        self._box = _box_of_landmarks(face.landmarks_px)

    def observe(self, face: Face, t_ns: int) -> None:
        """Take in where the face is at ``t_ns``."""
        dt_s = (t_ns - self.t_seen_ns) * 1e-9
        if dt_s > 0:
            moved = (face.landmarks_px.mean(axis=0) - self.raw.landmarks_px.mean(axis=0)) / dt_s
            self.velocity = (0.5 * self.velocity + 0.5 * moved).astype(np.float32)
        self.raw, self.t_seen_ns, self.unseen = face, t_ns, 0
        self.age_frames += 1
        self.filtered = self._filter(face, dt_s)

    def predicted_box(self, t_ns: int) -> Float32Array:
        """Square (4,) in which the face should be at ``t_ns``.

        The square stands still while it still fits: O-Net's answer depends on the square, so
        one that followed every answer would feed the network's own noise back to it.
        """
        dt_s = min((t_ns - self.t_seen_ns) * 1e-9, 0.1)
        wanted = _box_of_landmarks(self.filtered.landmarks_px + self.velocity * dt_s)
        if float(np.abs(wanted - self._box).max()) > _BOX_SLACK * float(wanted[2] - wanted[0]):
            self._box = wanted
        return self._box

    def _filter(self, face: Face, dt_s: float) -> Face:
        size = max(_unit_px(face.landmarks_px), 1e-3)
        marks = self._marks_filter(face.landmarks_px.astype(np.float64), size, dt_s)
        box = self._box_filter(face.box_px.reshape(2, 2).astype(np.float64), size, dt_s)
        return Face(box.reshape(4).astype(np.float32), marks.astype(np.float32), face.score)


class FaceTracker:
    """Faces with ids over successive pictures of one camera.

    Args:
        mtcnn: used by this tracker alone while it runs.
        max_faces: how many to follow.
        redetect_every: frames between full detections that look for newcomers and check the
            faces that are followed.
        min_face_px: smallest face looked for, in pixels of a picture 640 wide.
    """

    def __init__(
        self,
        mtcnn: Mtcnn,
        max_faces: int = 1,
        redetect_every: int = 30,
        min_face_px: float = 60,
    ) -> None:
        self._mtcnn = mtcnn
        self._max_faces = max_faces
        self._redetect_every = redetect_every
        self._min_face_px = min_face_px
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._next_id = 0
        self._since_detection = redetect_every
        self._said_lost = False
        self.stats = TrackerStats()

    def update(self, image: BgrImage, t_ns: int) -> list[TrackedFace]:
        """The faces in ``image`` (H, W, 3) uint8 BGR taken at ``t_ns``, oldest id first.

        Raises:
            DataError: it is not such a picture.
        """
        check_picture(image)
        stats = self.stats
        stats.detect_ns = stats.track_ns = 0
        self._lost = [t for t in self._lost if t_ns - t.t_seen_ns < _REMEMBER_S * 1e9]
        start_ns = time.perf_counter_ns()
        if self._tracks:
            self._follow(image, t_ns)
            stats.track_ns = time.perf_counter_ns() - start_ns
        self._since_detection += 1
        if self._wants_detection():
            start_ns = time.perf_counter_ns()
            self._detect(image, t_ns)
            stats.detect_ns = time.perf_counter_ns() - start_ns
        seen = [t for t in self._tracks if t.unseen == 0]
        stats.tracked_frames += bool(seen)
        return [TrackedFace(t.id, t.filtered, t.age_frames) for t in seen]

    def _wants_detection(self) -> bool:
        if not self._tracks:
            return True
        if len(self._tracks) < self._max_faces:
            return self._since_detection >= self._redetect_every
        # All are followed: a rare look confirms that they are faces still.
        return self._since_detection >= 4 * self._redetect_every

    def _follow(self, image: BgrImage, t_ns: int) -> None:
        boxes = np.stack([track.predicted_box(t_ns) for track in self._tracks])
        found = self._mtcnn.refine(image, boxes)
        gone = []
        for track, face in zip(self._tracks, found, strict=True):
            if face.score >= _KEEP_SCORE and _plausible(face, track):
                track.observe(face, t_ns)
                continue
            track.unseen += 1
            if track.unseen > _PATIENCE:
                gone.append(track)
        gone += self._doubles()
        for track in gone:
            self._drop(track)

    def _doubles(self) -> list[_Track]:
        """Younger tracks that have slid onto an older one's face."""
        doubles = []
        for k, track in enumerate(self._tracks):
            for other in self._tracks[:k]:
                if other in doubles or track.unseen or other.unseen:
                    continue
                apart = np.linalg.norm(
                    track.raw.landmarks_px.mean(axis=0) - other.raw.landmarks_px.mean(axis=0)
                )
                if apart < 0.35 * _unit_px(other.raw.landmarks_px):
                    doubles.append(track)
                    break
        return doubles

    def _drop(self, track: _Track) -> None:
        if track not in self._tracks:
            return
        self._tracks.remove(track)
        self._lost.append(track)
        self.stats.faces_lost += 1
        level = logging.DEBUG if self._said_lost else logging.INFO
        self._said_lost = True
        logger.log(level, "face %d was lost; looking for it", track.id)

    def _detect(self, image: BgrImage, t_ns: int) -> None:
        self._since_detection = 0
        self.stats.full_detections += 1
        found = self._detect_scaled(image)
        unmatched = list(found)
        for track in list(self._tracks):
            best = max(unmatched, key=lambda f: _iou(f.box_px, track.raw.box_px), default=None)
            if best is not None and _iou(best.box_px, track.raw.box_px) > _SAME_IOU:
                unmatched = [f for f in unmatched if f is not best]
            elif track.unseen > 0:
                self._drop(track)
        for face in unmatched[: self._max_faces - len(self._tracks)]:
            self._begin(face, t_ns)

    def _begin(self, face: Face, t_ns: int) -> None:
        """Start a track, under its old id if a face was lost near there a moment ago."""
        unit = _unit_px(face.landmarks_px)
        center = face.landmarks_px.mean(axis=0)
        nearest, nearest_apart = None, 2.5 * unit
        for track in self._lost:
            apart = float(np.linalg.norm(track.raw.landmarks_px.mean(axis=0) - center))
            ratio = unit / max(_unit_px(track.raw.landmarks_px), 1e-3)
            if apart < nearest_apart and 0.6 < ratio < 1.67:
                nearest, nearest_apart = track, apart
        if nearest is not None:
            self._lost.remove(nearest)
            track_id = nearest.id
        else:
            track_id = self._next_id
            self._next_id += 1
            self.stats.newcomers += 1
        self._tracks.append(_Track(track_id, face, t_ns))
        self._tracks.sort(key=lambda t: t.id)

    def _detect_scaled(self, image: BgrImage) -> list[Face]:
        height, width = image.shape[:2]
        scale = _DETECT_LONG_SIDE_PX / max(height, width)
        if scale >= 1.0:
            return self._mtcnn.detect(image, self._min_face_px)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        ratio = np.array([width / size[0], height / size[1]], dtype=np.float32)
        return [
            Face(
                ((f.box_px.reshape(2, 2) + 0.5) * ratio - 0.5).reshape(4).astype(np.float32),
                ((f.landmarks_px + 0.5) * ratio - 0.5).astype(np.float32),
                f.score,
            )
            for f in self._mtcnn.detect(small, self._min_face_px)
        ]


def _unit_px(landmarks_px: Float32Array) -> float:
    """Larger of the eyes-to-mouth distance and the eye distance."""
    eyes, mouth = landmarks_px[:2].mean(axis=0), landmarks_px[3:].mean(axis=0)
    return max(
        float(np.linalg.norm(mouth - eyes)),
        float(np.linalg.norm(landmarks_px[1] - landmarks_px[0])),
    )


def _box_of_landmarks(landmarks_px: Float32Array) -> Float32Array:
    unit = _unit_px(landmarks_px)
    eyes, mouth = landmarks_px[:2].mean(axis=0), landmarks_px[3:].mean(axis=0)
    down = mouth - eyes
    center = eyes + _BOX_CENTER_BELOW_EYES * down
    half = 0.5 * _BOX_SIDE * unit
    return np.array(
        [center[0] - half, center[1] - half, center[0] + half, center[1] + half], dtype=np.float32
    )


def _plausible(face: Face, track: _Track) -> bool:
    """Whether a face can have come to this from a frame ago: size and place."""
    before, now = _unit_px(track.raw.landmarks_px), _unit_px(face.landmarks_px)
    apart = np.linalg.norm(face.landmarks_px.mean(axis=0) - track.raw.landmarks_px.mean(axis=0))
    return 0.6 < now / max(before, 1e-3) < 1.67 and float(apart) < 1.5 * before


def _iou(a: Float32Array, b: Float32Array) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(float(w), 0.0) * max(float(h), 0.0)
    total = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared
    return shared / total if total > 0 else 0.0
