"""OpenSeeFace's datagrams, for VSeeFace and others that take its tracking.

Facts: https://github.com/emilianavt/OpenSeeFace (BSD 2-clause), its description and what its
receivers read. Their camera's first axis is the picture's y, and the fit behind the numbers is one
with depth turned inside out; `rtrecon.avatar.signs` has what follows from that.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import conjugate, from_matrix
from rtrecon.avatar.signs import OSF_UNIT_M, osf_angles_deg, osf_rotation, osf_translation
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mean_head import LANDMARK_COUNT, mean_head
from rtrecon.types import EyeAngles, Float32Array

__all__ = ["OpenSeeFaceEncoder"]

_FEATURES = struct.Struct("<14f")
_HEAD = struct.Struct("<di2f2fBf4f3f3f")
# Of iBUG's 68, without the outer lip's corners; a corner of the inner lip comes before the upper
# lip, the other one after it.
_ORDER = np.array([*range(48), *range(49, 54), *range(55, 60), 60, 61, 62, 63, 64, 65, 66, 67])
_EYES = (slice(36, 42), slice(42, 48))  # the person's own right, and left
_MIDDLES = np.zeros((2, LANDMARK_COUNT), dtype=np.float32)  # the middle of each eye's outline
for _row, _eye in zip(_MIDDLES, _EYES, strict=True):
    _row[_eye] = 1.0 / 6.0
_EYEBALL_RADIUS_M = 0.012
_INWARD = np.array([0.0, 0.0, _EYEBALL_RADIUS_M], dtype=np.float32)
_ERROR_PX = 1.0
_SURE = np.ones(LANDMARK_COUNT, dtype="<f4").tobytes()
_OUTWARD = np.array([-1.0, 1.0, 1.0], dtype=np.float32) / np.float32(OSF_UNIT_M)


class OpenSeeFaceEncoder:
    """One datagram of 1785 bytes a frame; none without a face, as OpenSeeFace's own tracker.

    Where a model gives no landmarks, the mean head's take their place.
    """

    def __init__(self) -> None:
        head = mean_head()
        points = head.points[:LANDMARK_COUNT] - head.eyes_middle
        self._mean: Float32Array = points.astype(np.float32)

    def __call__(self, frame: AvatarFrame) -> list[bytes]:
        """The datagram."""
        if frame.face_id is None:
            return []
        points_face = self._mean if frame.landmarks68_face is None else frame.landmarks68_face
        p, o = frame.position_m, frame.origin_m
        translation = osf_translation((p[0] + o[0], p[1] + o[1], p[2] + o[2]))
        rotation = from_matrix(np.array(osf_rotation(frame.rotation)))
        head = _HEAD.pack(
            frame.t_s, 0, *frame.size_px,
            1.0 - frame["eyeBlinkRight"], 1.0 - frame["eyeBlinkLeft"], 1, _ERROR_PX,
            *conjugate(rotation), *osf_angles_deg(frame.rotation), *translation,
        )  # fmt: skip
        pixels = frame.landmarks68_px
        if pixels is None:
            pixels = _projected(frame, points_face)
        parts = [
            head,
            _SURE,
            _points_px(pixels, frame.eyes),
            _points(points_face, frame.eyes),
            _FEATURES.pack(*_features(frame.coefficients.tolist())),
        ]
        return [b"".join(parts)]


def _points_px(pixels: Float32Array, eyes: tuple[EyeAngles, EyeAngles]) -> bytes:
    """(68, 2): theirs in their order, then the right and the left pupil."""
    pupils = _MIDDLES @ pixels
    for row, place, eye in zip(pupils, _EYES, eyes[::-1], strict=True):
        outer, inner = pixels[place.start], pixels[place.start + 3]
        # Half a lid's length is about a radius of the eyeball.
        half_px = 0.5 * max(abs(inner[0] - outer[0]), abs(inner[1] - outer[1]))
        x, y, _ = eye.direction_face.tolist()
        row += (half_px * x, half_px * y)
    return np.concatenate([pixels[_ORDER], pupils]).astype("<f4").tobytes()


def _points(points_face: Float32Array, eyes: tuple[EyeAngles, EyeAngles]) -> bytes:
    """(70, 3): as above, then the centres of both eyeballs."""
    centres = _MIDDLES @ points_face + _INWARD
    looks = np.array([eyes[1].direction_face, eyes[0].direction_face])
    pupils = centres + _EYEBALL_RADIUS_M * looks
    points = np.concatenate([points_face[_ORDER], pupils, centres])
    # Their frame is x to the own right, y up, z out of the face; y and z are sent with the other
    # sign.
    data: bytes = (points * _OUTWARD).astype("<f4").tobytes()
    return data


def _projected(frame: AvatarFrame, points_face: Float32Array) -> Float32Array:
    """Pixels of points of the face, for a camera as OpenSeeFace takes it: as long as it is wide."""
    from_face = np.array(osf_rotation(frame.rotation))[[1, 0, 2]] * [[1.0], [1.0], [-1.0]]
    place = np.array(frame.position_m) + frame.origin_m
    points = points_face @ from_face.T + place
    width, height = frame.size_px
    shares = points[:, :2] / np.maximum(points[:, 2:], 0.05)
    return np.asarray(shares * width + (width / 2, height / 2), dtype=np.float32)


def _features(values: Sequence[float]) -> list[float]:
    """Fourteen of the coefficients, about -1 to 1; 0 is the face at rest."""
    f = dict(zip(ARKIT_NAMES, values, strict=True))
    brows, corners = [], []
    for side in ("Left", "Right"):
        down, outer, inner = f["browDown" + side], f["browOuterUp" + side], f["browInnerUp"]
        brows += [down - inner, 0.5 * (outer + inner) - down, outer - inner]
        up = f["mouthSmile" + side] - f["mouthFrown" + side]
        wide = max(f["mouthStretch" + side], f["mouthSmile" + side]) - f["mouthPucker"]
        corners += [up, wide]
    eyes = [f["eyeWide" + side] - f["eyeBlink" + side] for side in ("Left", "Right")]
    return [*eyes, *brows, *corners, f["jawOpen"], 0.5 * (corners[1] + corners[3])]
