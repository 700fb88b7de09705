"""From the results of a run to its `AvatarFrame`, once a result, however many outputs want it.

Coefficients and pose come filtered (`rtrecon.expression.filter`, `rtrecon.geometry.steady`), a
part of the face each by its own cutoff: nothing is filtered twice.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtrecon.avatar.frame import AvatarFrame, eyes_of
from rtrecon.avatar.lids import LidPolicy, Lids, lid_reach
from rtrecon.avatar.measured import ArkitValues, pose_of
from rtrecon.avatar.neutral import HeadNeutral
from rtrecon.avatar.presence import HOLD_S, Posture, Presence
from rtrecon.avatar.profile import CalibrationProfile
from rtrecon.avatar.rotations import Vector
from rtrecon.errors import ArgumentError
from rtrecon.expression.calibration import LEAST_REACH, Calibration
from rtrecon.expression.names import ARKIT_NAMES, group_of
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.result import LiveResult
from rtrecon.types import Float32Array

__all__ = ["AvatarSettings", "AvatarStage", "with_points"]

_REMEMBERED = 8  # results of which an output that lags may still ask for
_SAME_PERSON_M = 0.15  # a face under a new id this near to the one just lost is the same
_LONGEST_STEP_S = 0.5
_RESTING_S = 1.0  # of a face that is asked to do nothing
_MOST_RESTING = 240  # results of that time
_COUNT = len(ARKIT_NAMES)
_LIDS = np.array([group_of(name) == "blink" for name in ARKIT_NAMES])


@dataclass(frozen=True, slots=True)
class AvatarSettings:
    """How a face becomes an avatar's. The defaults need no tuning.

    Attributes:
        calibrate: learn where the head is at rest and what the face does at rest; without it
            turns are from the camera's axis, and distances from the camera.
        gain: of all coefficients but those of the gaze.
        dead_zone: what is less than this much of a coefficient is none.
        lids: ``wink``, ``link`` or ``free``, see `LidPolicy`.
    """

    calibrate: bool = True
    gain: float = 1.0
    dead_zone: float = 0.02
    lids: LidPolicy = "wink"

    def __post_init__(self) -> None:
        if not 0.1 <= self.gain <= 5.0:
            raise ArgumentError(f"gain must be 0.1 to 5, not {self.gain:g}")
        if not 0.0 <= self.dead_zone <= 0.5:
            raise ArgumentError(f"dead_zone must be 0 to 0.5, not {self.dead_zone:g}")


class AvatarStage:
    """The chain: which face, calibration, gain, lids, and what is shown while nobody is there.

    May be asked from several threads: the first that asks for a result makes its frame, the
    others get the same one.

    Args:
        settings: how.
        profile: what is known of the person already; goes unused where the settings say not to
            calibrate.
    """

    def __init__(
        self, settings: AvatarSettings | None = None, profile: CalibrationProfile | None = None
    ) -> None:
        self.settings = settings or AvatarSettings()
        known = profile or CalibrationProfile(None, Calibration.none(ARKIT_NAMES))
        self._lock = threading.Lock()
        # By capture time and index: results hold pictures and clouds, whose memory is used again.
        self._made: deque[tuple[tuple[int, int], AvatarFrame]] = deque(maxlen=_REMEMBERED)
        self._neutral = HeadNeutral(known.head)
        self._calibration, self._shown = known.face, known.shown
        shown = np.array([name in known.shown for name in ARKIT_NAMES])
        self._least_reach = np.where(shown, known.face.reach, LEAST_REACH)
        self._guessed_lids = _LIDS & ~shown
        self._resting: list[Float32Array] | None = None
        self._resting_s = 0.0
        self._lids = Lids(self.settings.lids)
        self._presence = Presence(_COUNT)
        self._values = ArkitValues()
        self._face_id: int | None = None
        self._first_ns: int | None = None
        self._seen_s = self._t_s = 0.0
        self._last_at: Vector = (0.0, 0.0, 0.0)
        moved = np.array([group_of(name) != "gaze" for name in ARKIT_NAMES])
        self._gain = np.where(moved, self.settings.gain, 1.0).astype(np.float32)
        # A gaze that is not stretched keeps both eyes on one point.
        self._dead = np.where(moved, self.settings.dead_zone, 0.0).astype(np.float32)

    def frame(self, result: LiveResult) -> AvatarFrame:
        """The frame of ``result``; of a newer one, for an output that lags behind others.

        The lock is held while a frame is made: whoever waits for it wants that very frame.
        """
        key = (result.frame.t_capture_ns, result.frame.index)
        with self._lock:
            for known, frame in self._made:
                if known == key:
                    return frame
            if self._made and key < self._made[-1][0]:
                return self._made[-1][1]
            made = self._make(result)
            self._made.append((key, made))
            return made

    def recalibrate(self) -> None:
        """Take the head and the face as they are in the next second as neutral.

        How much the face can do stays as it was learnt.
        """
        with self._lock:
            self._neutral.forget(asked=True)
            self._resting, self._resting_s = [], 0.0

    def profile(self) -> CalibrationProfile | None:
        """What is known of the person by now; None before a head at rest was seen."""
        with self._lock:
            rest = self._neutral.rest
            if rest is None or not self.settings.calibrate:
                return None
            return CalibrationProfile(rest, self._calibration, self._shown)

    def _make(self, result: LiveResult) -> AvatarFrame:
        picture = result.frame
        if self._first_ns is None:
            # Protocols send 32 bit floats: a clock that began with the machine is too long.
            self._first_ns = picture.t_ns if picture.t_media_ns is None else 0
        t_s = (picture.t_ns - self._first_ns) * 1e-9
        dt_s = min(max(t_s - self._t_s, 0.0), _LONGEST_STEP_S)
        if t_s < self._t_s:  # a film that begins again
            self._seen_s = t_s
        self._t_s = t_s
        face = self._choose([f for f in result.faces if np.isfinite(f.T_camera_face).all()], t_s)
        posture, state = self._presence(None if face is None else self._look(face, dt_s), t_s)
        values = posture.coefficients
        values.flags.writeable = False
        height, width = result.frame.image.shape[:2]
        return AvatarFrame(
            t_s=t_s,
            sequence=result.frame.index,
            face_id=None if face is None else face.id,
            rotation=posture.rotation,
            position_m=posture.position_m,
            coefficients=values,
            eyes=eyes_of(values),
            state=state,
            origin_m=self._neutral.position_m if self.settings.calibrate else (0.0, 0.0, 0.0),
            size_px=(width, height),
            landmarks68_px=None if face is None else face.landmarks68_px,
        )

    def _choose(self, faces: Sequence[FaceReconstruction], t_s: float) -> FaceReconstruction | None:
        """The face that is followed as long as it is there; then the largest."""
        followed = next((face for face in faces if face.id == self._face_id), None)
        if followed is None and faces:
            largest = max(faces, key=_area)
            known = self._face_id is not None
            near = np.linalg.norm(largest.T_camera_face[:3, 3] - self._last_at) < _SAME_PERSON_M
            if known and not near and t_s - self._seen_s < HOLD_S:
                return None
            followed = largest
            self._face_id = largest.id
            self._neutral.someone_else(*pose_of(largest))
        if followed is not None:
            self._seen_s = t_s
        return followed

    def _look(self, face: FaceReconstruction, dt_s: float) -> Posture:
        rotation, position_m = pose_of(face)
        self._last_at = position_m
        values = self._values(face)
        if self.settings.calibrate:
            self._neutral.learn(rotation, position_m, dt_s)
            rotation, position_m = self._neutral.apply(rotation, position_m)
            if face.expression is not None:  # a model without any says nothing of the person
                self._calibration = self._learn(values, dt_s)
            values = self._calibration.apply(values)
        values = (values - self._dead) / (1.0 - self._dead) * self._gain
        values = np.clip(np.nan_to_num(values), 0.0, 1.0).astype(np.float32)
        self._lids(values)
        return Posture(rotation, position_m, values)

    def _learn(self, values: Float32Array, dt_s: float) -> Calibration:
        learnt = self._calibration.learn(values, dt_s)
        if self._resting is not None:
            known = np.isfinite(values)
            self._resting.append(np.where(known, values, learnt.neutral).astype(np.float32))
            self._resting_s += dt_s
            if self._resting_s >= _RESTING_S or len(self._resting) >= _MOST_RESTING:
                at_rest = Calibration.at_rest(ARKIT_NAMES, np.array(self._resting))
                learnt, self._resting = replace(learnt, neutral=at_rest.neutral), None
        # Of lids, who shuts them seldom would teach that half shut is shut.
        reach = np.where(_LIDS, self._calibration.reach, learnt.reach)
        reach = np.maximum(reach, self._least_reach)
        reach = np.where(self._guessed_lids, lid_reach(learnt.neutral), reach)
        return replace(learnt, reach=reach)


def _area(face: FaceReconstruction) -> float:
    x0, y0, x1, y1 = face.box_px.tolist()
    return float((x1 - x0) * (y1 - y0))


def with_points(frame: AvatarFrame, result: LiveResult) -> AvatarFrame:
    """``frame`` with ``landmarks68_face``, of the face of ``result`` that it shows.

    They take as long as all else, and hardly any output wants them.
    """
    face = next((f for f in result.faces if f.id == frame.face_id), None)
    points = None if face is None else face.landmarks68_camera
    if face is None or points is None:
        return frame
    T = face.T_camera_face
    points_face = np.asarray((points - T[:3, 3]) @ T[:3, :3], dtype=np.float32)
    return replace(frame, landmarks68_face=points_face)
