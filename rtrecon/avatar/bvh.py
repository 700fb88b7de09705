"""A performance as BVH: the head's and the eyes' turns on a skeleton, at an even rate.

Centimetres and degrees; y up, the figure faces +z, its own left is +x. Angles are applied in the
order of their channels, Y X Z: R = Ry Rx Rz, our own. BVH has no shapes: a face's coefficients
are left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtrecon.avatar.animation import HEAD_JOINT_M, carried
from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import Quaternion, Vector, from_angles
from rtrecon.avatar.signs import arkit_angles_deg, arkit_position
from rtrecon.errors import ArgumentError

__all__ = ["bvh_text"]

_CM = 100.0
# Joints of the mean head, from the one above: the person's left, up, forward in centimetres.
_HIPS_CM = (0.0, 95.0, 0.0)
_SKELETON = """\
HIERARCHY
ROOT Hips
{{
  OFFSET 0.000 0.000 0.000
  CHANNELS 6 Xposition Yposition Zposition {turns}
  JOINT Neck
  {{
    OFFSET 0.000 50.000 0.000
    CHANNELS 3 {turns}
    JOINT Head
    {{
      OFFSET 0.000 10.500 3.400
      CHANNELS 3 {turns}
      JOINT LeftEye
      {{
        OFFSET 3.150 4.500 6.600
        CHANNELS 3 {turns}
        End Site
        {{
          OFFSET 0.000 0.000 1.200
        }}
      }}
      JOINT RightEye
      {{
        OFFSET -3.150 4.500 6.600
        CHANNELS 3 {turns}
        End Site
        {{
          OFFSET 0.000 0.000 1.200
        }}
      }}
    }}
  }}
}}
MOTION
Frames: {count}
Frame Time: {step_s:.9f}
"""
_TURNS = "Yrotation Xrotation Zrotation"
_STILL = "0.0000 0.0000 0.0000"


def bvh_text(frames: Iterable[AvatarFrame], rate_hz: float, *, still: bool = False) -> str:
    """The contents of a ``.bvh``.

    Args:
        frames: at ``rate_hz``, as `rtrecon.avatar.takes.at_rate` gives them.
        rate_hz: of the file.
        still: the figure only turns its head; else it goes, hips and all, where the head goes,
            since programs take the place of the root alone.

    Raises:
        ArgumentError: there is no frame.
    """
    rows = [_row(frame, still=still) for frame in frames]
    if not rows:
        raise ArgumentError("a BVH needs a frame at least")
    head = _SKELETON.format(turns=_TURNS, count=len(rows), step_s=1.0 / rate_hz)
    return head + "\n".join(rows) + "\n"


def _row(frame: AvatarFrame, *, still: bool) -> str:
    x, y, z = (0.0, 0.0, 0.0) if still else arkit_position(carried(frame, HEAD_JOINT_M))
    left, up, forward = _HIPS_CM
    place = (x * _CM + left, y * _CM + up, z * _CM + forward)
    eyes = "".join(" " + _turn(from_angles(eye.pitch_rad, eye.yaw_rad, 0.0)) for eye in frame.eyes)
    return f"{_numbers(place)} {_STILL} {_STILL} {_turn(frame.rotation)}{eyes}"


def _turn(rotation: Quaternion) -> str:
    about_x, about_y, about_z = arkit_angles_deg(rotation)
    return _numbers((about_y, about_x, about_z))


def _numbers(values: Vector) -> str:
    return " ".join(f"{round(value, 4) + 0.0:.4f}" for value in values)  # without -0
