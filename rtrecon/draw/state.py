"""What is drawn each time: a picture, its faces, and figures about the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.result import Figures
from rtrecon.types import BgrImage

__all__ = ["Figures", "ViewFrame"]


@dataclass(frozen=True, slots=True, eq=False)
class ViewFrame:
    """``image`` (H, W, 3) uint8 BGR and the faces that were found in it."""

    image: BgrImage
    faces: Sequence[FaceReconstruction]
    t_capture_ns: int
    figures: Figures
