"""Unit quaternions as plain tuples: for one head they are faster than arrays."""

from __future__ import annotations

import math

from rtrecon.types import Float64Array

__all__ = [
    "IDENTITY",
    "Quaternion",
    "Vector",
    "angle_between",
    "conjugate",
    "from_angles",
    "from_matrix",
    "multiply",
    "rotate",
    "to_angles",
    "to_matrix",
    "toward",
]

Quaternion = tuple[float, float, float, float]
"""x, y, z, w; of length 1."""
Vector = tuple[float, float, float]

IDENTITY: Quaternion = (0.0, 0.0, 0.0, 1.0)


def from_matrix(R: Float64Array) -> Quaternion:
    """Of a (3, 3) rotation; w is not negative."""
    (a, b, c), (d, e, f), (g, h, i) = R.tolist()
    trace = a + e + i
    if trace > 0.0:
        s = 2.0 * math.sqrt(1.0 + trace)
        q = ((h - f) / s, (c - g) / s, (d - b) / s, 0.25 * s)
    elif a >= e and a >= i:
        s = 2.0 * math.sqrt(1.0 + a - e - i)
        q = (0.25 * s, (b + d) / s, (c + g) / s, (h - f) / s)
    elif e >= i:
        s = 2.0 * math.sqrt(1.0 + e - a - i)
        q = ((b + d) / s, 0.25 * s, (f + h) / s, (c - g) / s)
    else:
        s = 2.0 * math.sqrt(1.0 + i - a - e)
        q = ((c + g) / s, (f + h) / s, 0.25 * s, (d - b) / s)
    return _unit(q)


def to_matrix(q: Quaternion) -> tuple[Vector, Vector, Vector]:
    """Rows of the rotation."""
    x, y, z, w = q
    return (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )


def from_angles(pitch_rad: float, yaw_rad: float, roll_rad: float) -> Quaternion:
    """Roll about z first, then pitch about x, then yaw about y: the turns of `to_angles`."""
    sx, cx = math.sin(0.5 * pitch_rad), math.cos(0.5 * pitch_rad)
    sy, cy = math.sin(0.5 * yaw_rad), math.cos(0.5 * yaw_rad)
    sz, cz = math.sin(0.5 * roll_rad), math.cos(0.5 * roll_rad)
    turned = multiply((0.0, sy, 0.0, cy), (sx, 0.0, 0.0, cx))
    return multiply(turned, (0.0, 0.0, sz, cz))


def to_angles(q: Quaternion) -> Vector:
    """Pitch, yaw and roll in radians, with R = Ry(yaw) Rx(pitch) Rz(roll)."""
    (_, _, c), (d, e, f), (_, _, i) = to_matrix(q)
    return math.asin(min(max(-f, -1.0), 1.0)), math.atan2(c, i), math.atan2(d, e)


def conjugate(q: Quaternion) -> Quaternion:
    """The turn back."""
    return -q[0], -q[1], -q[2], q[3]


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """``b`` first, then ``a``."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(q: Quaternion, v: Vector) -> Vector:
    """``v`` turned by ``q``."""
    a, b, c = to_matrix(q)
    return (
        a[0] * v[0] + a[1] * v[1] + a[2] * v[2],
        b[0] * v[0] + b[1] * v[1] + b[2] * v[2],
        c[0] * v[0] + c[1] * v[1] + c[2] * v[2],
    )


def angle_between(a: Quaternion, b: Quaternion) -> float:
    """Radians, 0 to pi."""
    dot = abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3])
    return 2.0 * math.acos(min(dot, 1.0))


def toward(a: Quaternion, b: Quaternion, share: float) -> Quaternion:
    """From ``a`` (share 0) to ``b`` (share 1), the short way round."""
    sign = 1.0 if a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] >= 0.0 else -1.0
    own, other = 1.0 - share, share * sign
    return _unit(
        (
            own * a[0] + other * b[0],
            own * a[1] + other * b[1],
            own * a[2] + other * b[2],
            own * a[3] + other * b[3],
        )
    )


def _unit(q: Quaternion) -> Quaternion:
    x, y, z, w = q
    length = math.sqrt(x * x + y * y + z * z + w * w)
    scale = (-1.0 if w < 0.0 else 1.0) / length
    return x * scale, y * scale, z * scale, w * scale
