"""What comes out of the live pipeline for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import Frame

__all__ = ["LiveResult"]


@dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """One processed frame and its faces."""

    frame: Frame
    faces: Sequence[FaceReconstruction]
    latency_ms: float
