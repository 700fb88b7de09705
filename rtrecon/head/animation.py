"""How a head moves over time, as files of it carry it."""

from __future__ import annotations

from dataclasses import dataclass

from rtrecon.errors import ArgumentError
from rtrecon.types import Float32Array, Float64Array

__all__ = ["HeadAnimation"]


@dataclass(frozen=True, slots=True, eq=False)
class HeadAnimation:
    """A recorded performance, to be played by a `RiggedHead`.

    All rotations are unit quaternions x, y, z, w in our frame (x to the picture's right, y down,
    z into the head); writers turn them to what their format wants.

    Attributes:
        times_s: (t,) increasing, of at least one moment.
        coefficients: (t, 52) in [0, 1], in the order of ARKit's names.
        head_rotation: (t, 4) of the head.
        eye_rotation: (t, 2, 4) of the eyes against the head, the person's left one first;
            None: they look ahead.
        head_position_m: (t, 3) where the head went from where it is at rest; None: nowhere.
        name: what programs list it as.

    Raises:
        ArgumentError: the lengths do not agree, or times do not increase.
    """

    times_s: Float64Array
    coefficients: Float32Array
    head_rotation: Float64Array
    eye_rotation: Float64Array | None = None
    head_position_m: Float64Array | None = None
    name: str = "take"

    def __post_init__(self) -> None:
        t = len(self.times_s)
        shapes: list[tuple[str, tuple[int, ...] | None, tuple[int, ...]]] = [
            ("coefficients", self.coefficients.shape, (t, 52)),
            ("head_rotation", self.head_rotation.shape, (t, 4)),
        ]
        if self.eye_rotation is not None:
            shapes.append(("eye_rotation", self.eye_rotation.shape, (t, 2, 4)))
        if self.head_position_m is not None:
            shapes.append(("head_position_m", self.head_position_m.shape, (t, 3)))
        for name, found, wanted in shapes:
            if found != wanted:
                raise ArgumentError(f"an animation's {name} must be {wanted}, not {found}")
        if t == 0 or not bool((self.times_s[1:] > self.times_s[:-1]).all()):
            raise ArgumentError("an animation's times must increase, and there must be one")
