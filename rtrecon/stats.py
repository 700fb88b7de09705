"""Figures of a run: latencies, stage times and counts, at a fixed memory cost."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rtrecon.host import peak_rss_mb

__all__ = ["STAGES", "WORK_STAGES", "FrameTimes", "RunStats", "Samples"]


@dataclass(slots=True)
class FrameTimes:
    """Where the time of one frame went, in nanoseconds; 0: the stage did not run."""

    track: int = 0
    detect: int = 0
    align: int = 0
    depth: int = 0
    geometry: int = 0


WORK_STAGES = tuple(stage.name for stage in fields(FrameTimes))
"""What a `Reconstructor` does with a frame, in that order."""
STAGES = ("capture", *WORK_STAGES, "view")
"""All that is timed: the camera's or decoder's part before, the first output that shows after."""


WARM_UP_FRAMES = 10
"""The first frames of a run, whose latency is counted apart: caches, the whole search for faces,
and a window that opens beside them make them slow, once."""


class Samples:
    """The newest ``capacity`` samples of one quantity, in a ring that never grows."""

    def __init__(self, capacity: int = 1 << 15) -> None:
        self._ring = np.zeros(capacity, dtype=np.float32)
        self.count = 0
        self.refused = 0

    def add(self, value: float) -> None:
        """Append one sample; the oldest one goes when the ring is full.

        What is not finite, or below zero, is no duration: it is left out, and counted.
        """
        if not 0.0 <= value < math.inf:
            self.refused += 1
            return
        self._ring[self.count % len(self._ring)] = value
        self.count += 1

    def values(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The samples kept, in no particular order; a view."""
        return self._ring[: min(self.count, len(self._ring))]

    def percentiles(self) -> dict[str, float]:
        """``{"p50", "p95", "p99"}``, rounded to a microsecond; empty without samples."""
        if self.count == 0:
            return {}
        p50, p95, p99 = np.percentile(self.values(), (50, 95, 99))
        return {
            "p50": round(float(p50), 3),
            "p95": round(float(p95), 3),
            "p99": round(float(p99), 3),
        }


class RunStats:
    """Counts and times of one run; written by the worker, read by the main thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.frames_processed = 0
        self.frames_with_face = 0
        self.frames_failed = 0
        """Frames that the reconstruction gave an error for."""
        self.values_dropped = 0
        """Coefficients, sets of landmarks and rotations that could not be used."""
        self.times_refused = 0
        """Frames that came from before the last one."""
        self.depths_dropped = 0
        """Predictions of depth or mask that were not finite."""
        self.faces_without_depth = 0
        """Faces, one a frame, of which not one pixel was known."""
        self.latency_ms = Samples()
        self.first_latency_ms = Samples(WARM_UP_FRAMES)
        self.settled_latency_ms = Samples()
        self.stage_ms = {stage: Samples() for stage in STAGES}
        self._first_done_ns = 0
        self._last_done_ns = 0
        self._recent_done_ns: list[int] = []

    def add_stage(self, stage: str, duration_ns: int) -> None:
        """Record one duration of ``stage`` (one of `STAGES`)."""
        self.stage_ms[stage].add(duration_ns * 1e-6)

    def add_times(self, times: FrameTimes) -> None:
        """Record the stages of a frame that ran."""
        for stage in WORK_STAGES:
            duration_ns = getattr(times, stage)
            if duration_ns:
                self.add_stage(stage, duration_ns)

    def add_frame(self, t_capture_ns: int, t_done_ns: int, *, has_face: bool) -> None:
        """Record that a frame's geometry was ready at ``t_done_ns`` (monotonic)."""
        with self._lock:
            if self.frames_processed == 0:
                self._first_done_ns = t_done_ns
            self.frames_processed += 1
            self.frames_with_face += has_face
            self._last_done_ns = t_done_ns
            latency_ms = (t_done_ns - t_capture_ns) * 1e-6
            self.latency_ms.add(latency_ms)
            is_first = self.frames_processed <= WARM_UP_FRAMES
            (self.first_latency_ms if is_first else self.settled_latency_ms).add(latency_ms)
            self._recent_done_ns.append(t_done_ns)
            if len(self._recent_done_ns) > 31:
                del self._recent_done_ns[0]

    @property
    def fps(self) -> float:
        """Frames per second from the first finished frame to the last: gaps, not frames."""
        with self._lock:
            gaps, span_ns = self.frames_processed - 1, self._last_done_ns - self._first_done_ns
        return gaps / (span_ns * 1e-9) if gaps > 0 and span_ns > 0 else 0.0

    @property
    def recent_fps(self) -> float:
        """The same over the last thirty frames."""
        with self._lock:
            done_ns = self._recent_done_ns
            if len(done_ns) < 2 or done_ns[-1] <= done_ns[0]:
                return 0.0
            return (len(done_ns) - 1) / ((done_ns[-1] - done_ns[0]) * 1e-9)

    def summary(self) -> dict[str, Any]:
        """The part of the ``--stats`` object that this class knows."""
        return {
            "frames_processed": self.frames_processed,
            "frames_with_face": self.frames_with_face,
            "frames_failed": self.frames_failed,
            "values_dropped": self.values_dropped,
            "times_refused": self.times_refused,
            "depths_dropped": self.depths_dropped,
            "faces_without_depth": self.faces_without_depth,
            "fps": round(self.fps, 2),
            # Of a run that was all warm-up there is nothing else.
            "latency_ms": (
                self.settled_latency_ms.percentiles() or self.first_latency_ms.percentiles()
            ),
            "warm_up": {
                "frames": min(self.frames_processed, WARM_UP_FRAMES),
                "latency_ms": self.first_latency_ms.percentiles(),
            },
            "stage_ms": {
                stage: samples.percentiles()
                for stage, samples in self.stage_ms.items()
                if samples.count
            },
            "peak_rss_mb": round(peak_rss_mb(), 1),
        }
