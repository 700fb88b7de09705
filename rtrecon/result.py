"""What comes out of the live pipeline for each frame: all that a consumer needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.stats import FrameTimes
from rtrecon.types import Frame

__all__ = ["Figures", "LiveResult"]


@dataclass(frozen=True, slots=True, eq=False)
class LiveResult:
    """One processed frame and its faces. Never written again: it may be kept and shared.

    Attributes:
        frame: the picture, its index and ``t_capture_ns`` (monotonic).
        faces: what was found in it.
        latency_ms: from the capture until the faces were ready.
        times: where that time went, by stage.
    """

    frame: Frame
    faces: Sequence[FaceReconstruction]
    latency_ms: float
    times: FrameTimes = field(default_factory=FrameTimes)


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures about a run, for people to look at.

    ``state`` is running, recording, no face, reconnecting, ended or failed.
    """

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
