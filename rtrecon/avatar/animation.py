"""A performance for a rigged head, from frames as avatars get them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import Vector, from_angles, rotate
from rtrecon.errors import ArgumentError
from rtrecon.head.animation import HeadAnimation

__all__ = ["HEAD_JOINT_M", "carried", "head_animation"]

HEAD_JOINT_M: Vector = (0.0, 0.045, 0.078)
"""Where the mean head turns on its neck, in the head frame."""


def carried(frame: AvatarFrame, joint_m: Vector) -> Vector:
    """Where the neck carries a head that turns about ``joint_m`` (head frame), metres.

    The eyes come to lie where they were seen: what the turn alone moves them by is taken off.
    """
    turned = rotate(frame.rotation, joint_m)
    x, y, z = (p - j + t for p, j, t in zip(frame.position_m, joint_m, turned, strict=True))
    return x, y, z


def head_animation(
    frames: Iterable[AvatarFrame],
    *,
    joint_m: Vector = HEAD_JOINT_M,
    still: bool = False,
    name: str = "take",
) -> HeadAnimation:
    """Keyframes at the frames' times, from the first one's on.

    A frame that is not later than the one before counts for nothing.

    Args:
        frames: of one take.
        joint_m: where the head turns, in its own frame.
        still: the head turns, but goes nowhere.
        name: of the animation.

    Raises:
        ArgumentError: there is no frame.
    """
    kept: list[AvatarFrame] = []
    for frame in frames:
        if not kept or frame.t_s > kept[-1].t_s:
            kept.append(frame)
    if not kept:
        raise ArgumentError("an animation needs a frame at least")
    eyes = [[from_angles(e.pitch_rad, e.yaw_rad, 0.0) for e in frame.eyes] for frame in kept]
    way = None if still else np.array([carried(frame, joint_m) for frame in kept])
    return HeadAnimation(
        times_s=np.array([frame.t_s - kept[0].t_s for frame in kept]),
        coefficients=np.array([frame.coefficients for frame in kept], dtype=np.float32),
        head_rotation=np.array([frame.rotation for frame in kept]),
        eye_rotation=np.array(eyes),
        head_position_m=way,
        name=name,
    )
