"""A head's turn and place in the frames of others.

Ours: x to the picture's right (the person's own left), y down, z into the head. Pitch about x is
positive with the nose down, yaw about y toward the person's own right, roll about z with a tilt
to the own left shoulder. All of these are for a head that is not mirrored; for one that is,
mirror it first.
"""

from __future__ import annotations

import math

from rtrecon.avatar.rotations import Quaternion, Vector, to_angles, to_matrix

__all__ = [
    "arkit_angles_deg",
    "arkit_position",
    "live_link_angles",
    "mirrored_position",
    "mirrored_rotation",
    "osf_angles_deg",
    "osf_rotation",
    "osf_translation",
    "unity_position",
    "unity_rotation",
    "vrm1_rotation",
]

OSF_UNIT_M = 0.122
"""OpenSeeFace's unit of length."""


def mirrored_rotation(q: Quaternion) -> Quaternion:
    """In our frame."""
    return q[0], -q[1], -q[2], q[3]


def mirrored_position(v: Vector) -> Vector:
    """In our frame."""
    return -v[0], v[1], v[2]


def unity_rotation(q: Quaternion) -> Quaternion:
    """Unity and VMC: left-handed, y up, the avatar faces +z and its right is +x."""
    return q  # all three axes change their sign, which leaves a turn as it is


def unity_position(v: Vector) -> Vector:
    """Unity and VMC."""
    return -v[0], -v[1], -v[2]


def vrm1_rotation(q: Quaternion) -> Quaternion:
    """three.js and a normalised bone of VRM 1: right-handed, y up, faces +z."""
    return q[0], -q[1], -q[2], q[3]


def arkit_angles_deg(q: Quaternion) -> Vector:
    """ARKit and iFacialMocap: right-handed, y up, z out of the face; about x, y and z."""
    pitch, yaw, roll = to_angles(q)
    return math.degrees(pitch), -math.degrees(yaw), -math.degrees(roll)


def arkit_position(v: Vector) -> Vector:
    """ARKit and iFacialMocap."""
    return v[0], -v[1], -v[2]


def live_link_angles(q: Quaternion) -> Vector:
    """Live Link Face, radians: yaw (own left), pitch (nose up), roll (own right) positive."""
    pitch, yaw, roll = to_angles(q)
    return -yaw, -pitch, -roll


def osf_rotation(q: Quaternion) -> tuple[Vector, Vector, Vector]:
    """OpenSeeFace: rows of the rotation, whose first two axes are the picture's y and x."""
    right, down, ahead = to_matrix(q)
    return down, right, (-ahead[0], -ahead[1], -ahead[2])


def osf_translation(v: Vector) -> Vector:
    """OpenSeeFace, in its unit, of metres in the camera's frame."""
    return -v[1] / OSF_UNIT_M, -v[0] / OSF_UNIT_M, -v[2] / OSF_UNIT_M


def osf_angles_deg(q: Quaternion) -> Vector:
    """OpenSeeFace's Euler angles: those that ``cv2.RQDecomp3x3`` gives, kept from jumping.

    The rotation is Rz Ry Rx with the middle angle within 90 degrees; a head that looks ahead is
    at (180, 0, 90).
    """
    a, b, c = osf_rotation(q)
    middle = math.degrees(math.asin(min(max(-c[0], -1.0), 1.0)))
    about_x = math.degrees(math.atan2(c[1] + 0.0, c[2]))  # of -0.0 it would be -180
    about_z = math.degrees(math.atan2(b[0], a[0]))
    return about_x, middle, about_z
