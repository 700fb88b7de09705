"""What a view is given each time: a picture, its faces, and figures about the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage

__all__ = ["Figures", "ViewFrame"]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures about the run; ``state`` is running, no face, reconnecting, ended or failed."""

    fps: float
    latency_ms: float
    frames_dropped: int
    model: str
    provider: str
    state: str
    frames: int

    def line(self) -> str:
        """All of it on one line."""
        return (
            f"{self.fps:4.1f} fps  {self.latency_ms:3.0f} ms  {self.frames_dropped} dropped  "
            f"{self.model} on {self.provider}  {self.state}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class ViewFrame:
    """``image`` (H, W, 3) uint8 BGR and the faces that were found in it."""

    image: BgrImage
    faces: Sequence[FaceReconstruction]
    t_capture_ns: int
    figures: Figures
