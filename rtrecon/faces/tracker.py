"""Follows faces from frame to frame: O-Net on where each should be, MTCNN to find new ones."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass

import numpy as np

from rtrecon.faces.boxes import iou
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.faces.picture_input import check_picture
from rtrecon.faces.track import Track, likeness, place_of, signature
from rtrecon.types import BgrImage, Face, TrackedFace

__all__ = ["FaceTracker", "TrackerStats"]

logger = logging.getLogger(__name__)

_KEEP_SCORE = 0.6  # O-Net's score under which a face does not count as seen
_SURE_SCORE = 0.9  # needed of a newcomer beside a face, and of a face the detector cannot find
_PATIENCE = 3  # frames in a row that a face may be unseen before it counts as lost
_PATIENCE_NS = 0.3e9
_SAME_IOU = 0.3
# Distances between faces, in lengths of a face.
_SAME_PLACE = 0.5
_CROWDED = 2.0
_RETURN_REACH = 3.0
_SEARCH_EVERY = 4  # frames between detections while a lost face may return
_RELAXED = 4  # times fewer detections where there can be no newcomers


@dataclass(slots=True)
class TrackerStats:
    """Counts since the start, and the durations of the last update in nanoseconds.

    ``tracked_frames`` are the frames in which a face was seen; ``values_dropped`` the answers of
    the networks that were not finite.
    """

    full_detections: int = 0
    tracked_frames: int = 0
    faces_lost: int = 0
    newcomers: int = 0
    values_dropped: int = 0
    detect_ns: int = 0
    track_ns: int = 0


class FaceTracker:
    """Faces with ids over successive pictures of one camera.

    Full detection runs when nothing is followed, when a face was lost, and every
    ``redetect_every`` frames for newcomers; more seldom, to confirm what is followed, when
    ``max_faces`` are. Between, O-Net alone follows. A larger newcomer never takes the place
    of a face that is followed.

    Args:
        mtcnn: used by this tracker alone while it runs.
        max_faces: how many to follow; the largest are taken first.
        redetect_every: frames between full detections.
        min_face_px: smallest face looked for, in pixels of a picture 640 wide.
        remember_s: how long a lost face may return under its old id.
    """

    def __init__(
        self,
        mtcnn: Mtcnn,
        max_faces: int = 1,
        redetect_every: int = 30,
        min_face_px: float = 60,
        remember_s: float = 1.0,
    ) -> None:
        self._mtcnn = mtcnn
        self._max_faces = max_faces
        self._redetect_every = redetect_every
        self._min_face_px = min_face_px
        self._remember_ns = remember_s * 1e9
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._next_id = 0
        self._since_detection = 0
        self._t_ns: int | None = None
        self._shape: tuple[int, ...] = ()
        self._said_lost = False
        self.stats = TrackerStats()

    def update(self, image: BgrImage, t_ns: int) -> list[TrackedFace]:
        """The faces in ``image`` (H, W, 3) uint8 BGR taken at ``t_ns``, oldest id first.

        A picture of another size, or one from before the last, begins anew.

        Raises:
            DataError: it is not such a picture.
        """
        check_picture(image)
        if image.shape != self._shape or (self._t_ns is not None and t_ns < self._t_ns):
            for track in list(self._tracks):
                self._lose(track)
            self._lost.clear()
        self._shape, self._t_ns = image.shape, t_ns
        stats = self.stats
        stats.detect_ns = stats.track_ns = 0
        self._lost = [t for t in self._lost if t_ns - t.place.t_ns < self._remember_ns]
        start_ns = time.perf_counter_ns()
        if self._tracks:
            self._follow(image, t_ns)
            stats.track_ns = time.perf_counter_ns() - start_ns
        self._since_detection += 1
        if self._wants_detection():
            start_ns = time.perf_counter_ns()
            self._detect(image, t_ns)
            stats.detect_ns = time.perf_counter_ns() - start_ns
        for track in [t for t in self._tracks if t.unseen]:
            if track.unseen > _PATIENCE or t_ns - track.place.t_ns > _PATIENCE_NS:
                self._lose(track)
        seen = [t for t in self._tracks if t.unseen == 0]
        stats.tracked_frames += bool(seen)
        return [TrackedFace(t.id, t.filtered, t.age_frames) for t in seen]

    def _wants_detection(self) -> bool:
        tracks = self._tracks
        if not tracks or any(t.unseen for t in tracks):
            return True
        if len(tracks) < self._max_faces:
            every = _SEARCH_EVERY if self._lost else self._redetect_every
        elif all(t.mean_score >= _SURE_SCORE for t in tracks):
            every = _RELAXED * self._redetect_every
        else:
            every = self._redetect_every
        return self._since_detection >= every

    def _follow(self, image: BgrImage, t_ns: int) -> None:
        squares = np.stack([track.square_at(t_ns) for track in self._tracks])
        found = self._mtcnn.refine(image, squares)
        for track, face in zip(self._tracks, found, strict=True):
            if not self._is_sound(face):
                track.unseen += 1
            elif face.score >= _KEEP_SCORE and track.could_be(face, t_ns):
                self._observe(image, track, face, t_ns)
            else:
                track.unseen += 1
        if len(self._tracks) > 1:
            self._part_doubles(image)

    def _observe(self, image: BgrImage, track: Track, face: Face, t_ns: int) -> None:
        center = place_of(face, t_ns).center_px
        crowded = any(
            other is not track
            and np.linalg.norm(other.place.center_px - center)
            < _CROWDED * max(other.place.length_px, track.place.length_px)
            for other in self._tracks
        )
        track.observe(face, t_ns, crowded=crowded)
        if self._max_faces == 1 or crowded:
            return
        look = signature(image, face)
        if look is not None:
            track.look = look if track.look is None else track.look + 0.1 * (look - track.look)

    def _part_doubles(self, image: BgrImage) -> None:
        """Of two tracks that have slid onto one face, lose the one that it looks less like."""
        for track in list(self._tracks):
            for other in list(self._tracks):
                if track.id >= other.id or track.unseen or other.unseen:
                    continue
                if other not in self._tracks or track not in self._tracks:
                    continue
                apart = np.linalg.norm(track.place.center_px - other.place.center_px)
                if apart > _SAME_PLACE * min(track.place.length_px, other.place.length_px):
                    continue
                look = signature(image, track.raw)
                stranger = likeness(look, track.look) < likeness(look, other.look)
                self._lose(track if stranger else other)

    def _lose(self, track: Track) -> None:
        self._tracks.remove(track)
        self._lost.append(track)
        self.stats.faces_lost += 1
        level = logging.DEBUG if self._said_lost else logging.INFO
        self._said_lost = True
        logger.log(level, "face %d was lost; looking for it", track.id)

    def _detect(self, image: BgrImage, t_ns: int) -> None:
        self._since_detection = 0
        self.stats.full_detections += 1
        found = self._mtcnn.detect_live(image, self._min_face_px)
        unmatched = [face for face in found if self._is_sound(face)]
        for track in list(self._tracks):
            best = max(unmatched, key=lambda f: iou(f.box_px, track.raw.box_px), default=None)
            if best is not None and iou(best.box_px, track.raw.box_px) > _SAME_IOU:
                unmatched = [f for f in unmatched if f is not best]
                track.unconfirmed = 0
                if track.unseen:
                    self._observe(image, track, best, t_ns)
                continue
            track.unconfirmed += 1
            if track.unconfirmed > 1 and track.mean_score < _SURE_SCORE and not track.unseen:
                self._lose(track)
        for face in unmatched:
            if len(self._tracks) >= self._max_faces:
                break
            # A doubtful face is better than none, but not beside one.
            if (face.score >= _SURE_SCORE or not self._tracks) and not self._is_followed(face):
                self._begin(image, face, t_ns)

    def _is_sound(self, face: Face) -> bool:
        """Whether box, landmarks and score are finite; said once and counted where not."""
        total = float(face.box_px.sum()) + float(face.landmarks_px.sum()) + face.score
        if math.isfinite(total):
            return True
        if self.stats.values_dropped == 0:
            logger.warning(
                "the face detector gave values that are not finite: dropped, and counted"
            )
        self.stats.values_dropped += 1
        return False

    def _is_followed(self, face: Face) -> bool:
        place = place_of(face, 0)
        return any(
            np.linalg.norm(t.place.center_px - place.center_px) < _SAME_PLACE * place.length_px
            for t in self._tracks
        )

    def _begin(self, image: BgrImage, face: Face, t_ns: int) -> None:
        """Start a track, under its old id if such a face was lost near there a moment ago."""
        place = place_of(face, t_ns)
        look = signature(image, face) if self._max_faces > 1 else None
        known: Track | None = None
        least = np.inf
        for track in self._lost:
            lost = track.apart
            off = float(np.linalg.norm(lost.center_at(t_ns) - place.center_px)) / place.length_px
            stayed = float(np.linalg.norm(lost.center_px - place.center_px)) / place.length_px
            cost = min(off, stayed) + 4.0 * (1.0 - likeness(look, track.look))
            same_size = 0.6 < place.length_px / lost.length_px < 1.67
            if same_size and min(off, stayed) < _RETURN_REACH and cost < least:
                known, least = track, cost
        if known is not None:
            self._lost.remove(known)
            track_id = known.id
        else:
            track_id = self._next_id
            self._next_id += 1
            self.stats.newcomers += 1
        track = Track(track_id, face, t_ns)
        track.look = look if known is None or known.look is None else known.look
        self._tracks.append(track)
        self._tracks.sort(key=lambda t: t.id)
