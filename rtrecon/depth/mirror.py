"""A face's words when the picture is mirrored: which landmark and which coefficient is which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtrecon.types import Float32Array

__all__ = ["FLIP_68", "flip_expression", "flip_landmarks", "flip_name", "flip_rotation"]

# fmt: off
FLIP_68 = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47,
    46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60,
    67, 66, 65,
)
"""Of iBUG's 68 landmarks, the one that takes each one's place."""
# fmt: on


def flip_name(name: str) -> str:
    """The coefficient that takes a coefficient's place: ``Left`` for ``Right`` and back.

    What looks in or out still does, with the other eye: `eyeLookInLeft` is `eyeLookInRight`.
    """
    if "Left" in name:
        return name.replace("Left", "Right")
    return name.replace("Right", "Left")


def flip_expression(values: Float32Array, names: Sequence[str]) -> Float32Array:
    """(k,) coefficients of the mirrored face, in the same order.

    A name whose partner is not there keeps its own value.
    """
    place = {name: k for k, name in enumerate(names)}
    return values[[place.get(flip_name(name), k) for k, name in enumerate(names)]]


def flip_landmarks(shares: Float32Array) -> Float32Array:
    """(68, 2) of the mirrored crop, from shares of the crop."""
    flipped = shares[list(FLIP_68)]
    flipped[:, 0] = 1.0 - flipped[:, 0]
    return flipped


def flip_rotation(R: Float32Array) -> Float32Array:
    """(3, 3) of the mirrored head: x changes its sign in both frames."""
    sign = np.array([-1.0, 1.0, 1.0], dtype=R.dtype)
    return np.asarray(R * np.outer(sign, sign).astype(R.dtype))
