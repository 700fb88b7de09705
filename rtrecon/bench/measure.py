"""One round of one combination: as fast as it can, and at a camera's pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from rtrecon.bench.memory_source import MemorySource, forth_and_back
from rtrecon.capture import CaptureThread
from rtrecon.live_pipeline import LivePipeline
from rtrecon.pipeline import Reconstructor
from rtrecon.result import LiveResult
from rtrecon.stats import WORK_STAGES, RunStats
from rtrecon.types import BgrImage, Frame

__all__ = ["measure_paced", "measure_unpaced", "settle"]

_SETTLING_FRAMES = 5  # the first has a full detection, the next fill the pools of memory
_LEAST_FRAMES = 3
_SLOT_FRAMES = 8  # more than the capture thread has slots


def settle(reconstructor: Reconstructor, pictures: BgrImage, rate_hz: float) -> int:
    """Forget the round before and find the face again; returns the time after it (monotonic)."""
    reconstructor.reset()
    step_ns = int(1e9 / rate_hz)
    t_ns = time.monotonic_ns() - _SETTLING_FRAMES * step_ns
    picture = np.array(pictures[0])
    for k in range(_SETTLING_FRAMES):
        reconstructor(Frame(picture, k, t_ns))
        t_ns += step_ns
    return t_ns


def measure_unpaced(
    reconstructor: Reconstructor, pictures: BgrImage, seconds: float, rate_hz: float
) -> dict[str, Any]:
    """Reconstruct picture after picture for ``seconds`` on the calling thread.

    Pictures are stamped as a camera of ``rate_hz`` would, so that tracker and filters see the
    same motion however fast the model is. Copying a picture in counts for the rate, not for
    the time of a frame.

    Returns:
        ``frame_ms``, ``capture_ms`` and ``stage_ms`` (a list each, a stage only where it ran),
        ``done_s`` (since the start), ``wall_s``, ``cpu_s``, ``faces`` (mean).
    """
    t_ns = settle(reconstructor, pictures, rate_hz)
    step_ns = int(1e9 / rate_hz)
    slot = np.empty_like(np.asarray(pictures[0]))
    frame_ms: list[float] = []
    capture_ms: list[float] = []
    done_s: list[float] = []
    stage_ms: dict[str, list[float]] = {stage: [] for stage in WORK_STAGES}
    faces = 0
    cpu_start_s = time.process_time()
    start_ns = time.perf_counter_ns()
    end_ns = start_ns + int(seconds * 1e9)
    now_ns = start_ns
    while now_ns < end_ns or len(frame_ms) < _LEAST_FRAMES:
        np.copyto(slot, pictures[forth_and_back(len(frame_ms), len(pictures))])
        frame = Frame(slot, len(frame_ms), t_ns)
        copied_ns = time.perf_counter_ns()
        found = reconstructor(frame)
        done_ns = time.perf_counter_ns()
        capture_ms.append((copied_ns - now_ns) * 1e-6)
        frame_ms.append((done_ns - copied_ns) * 1e-6)
        done_s.append((done_ns - start_ns) * 1e-9)
        _add_stages(stage_ms, reconstructor)
        faces += len(found)
        t_ns += step_ns
        now_ns = time.perf_counter_ns()
    return {
        "frame_ms": _rounded(frame_ms),
        "capture_ms": _rounded(capture_ms),
        "stage_ms": {stage: _rounded(times) for stage, times in stage_ms.items()},
        "done_s": _rounded(done_s, 6),
        "wall_s": (now_ns - start_ns) * 1e-9,
        "cpu_s": time.process_time() - cpu_start_s,
        "faces": faces / len(frame_ms),
    }


def measure_paced(
    reconstructor: Reconstructor,
    pictures: BgrImage,
    seconds: float,
    rate_hz: float,
    draw: Callable[[LiveResult], None] | None = None,
) -> dict[str, Any]:
    """The live pipeline behind a camera of ``rate_hz``: newest frame wins, the rest is dropped.

    ``draw`` is called on this thread with each result that it finds, as a view would be. The
    first frames, for which the capture thread's slots are touched for the first time, are in
    none of the figures.

    Returns:
        ``latency_ms`` (grab to geometry) and ``stage_ms``; ``captured``, ``dropped``,
        ``processed``, ``fps``, ``cpu_s_per_frame``; with ``draw`` also ``view_ms`` and ``drawn_ms``
        (grab to the end of drawing).
    """
    settle(reconstructor, pictures, rate_hz)
    frame_count = _SLOT_FRAMES + max(_LEAST_FRAMES, round(seconds * rate_hz))
    source = MemorySource(pictures, rate_hz, frame_count, timed=True)
    capture = CaptureThread(source, policy="newest", pace=True)
    stats = _SettledStats(source)
    view_ms: list[float] = []
    drawn_ms: list[float] = []
    cpu_start_s = time.process_time()
    with LivePipeline(capture, reconstructor, stats) as pipeline:
        while True:
            running = pipeline.running
            result = pipeline.take(timeout_s=0.1)
            if result is None:
                if not running:
                    break
                continue
            if draw is not None:
                settled = stats.is_settled(result.frame.t_capture_ns)
                draw_ns = time.perf_counter_ns()
                draw(result)
                if settled:
                    view_ms.append((time.perf_counter_ns() - draw_ns) * 1e-6)
                    drawn_ms.append((time.monotonic_ns() - result.frame.t_capture_ns) * 1e-6)
        cpu_s = time.process_time() - cpu_start_s
    measured = {
        "latency_ms": _rounded(stats.latency_ms.values().tolist()),
        "stage_ms": {
            stage: _rounded(stats.stage_ms[stage].values().tolist()) for stage in WORK_STAGES
        },
        "captured": len(source.grabbed_ns) - _SLOT_FRAMES,
        "dropped": len(source.grabbed_ns) - _SLOT_FRAMES - stats.frames_processed,
        "processed": stats.frames_processed,
        "fps": stats.fps,
        "cpu_s_per_frame": cpu_s / max(stats.frames_in_all, 1),
    }
    if draw is not None:
        measured["view_ms"], measured["drawn_ms"] = _rounded(view_ms), _rounded(drawn_ms)
    return measured


class _SettledStats(RunStats):
    """Figures without the first frames of ``source``."""

    def __init__(self, source: MemorySource) -> None:
        super().__init__()
        self._source = source
        self._of_frame: list[tuple[str, int]] = []
        self.frames_in_all = 0

    def is_settled(self, t_capture_ns: int) -> bool:
        """Whether a frame taken then counts."""
        grabbed_ns = self._source.grabbed_ns
        return len(grabbed_ns) > _SLOT_FRAMES and t_capture_ns >= grabbed_ns[_SLOT_FRAMES]

    def add_stage(self, stage: str, duration_ns: int) -> None:
        """Keep it until the frame is known."""
        self._of_frame.append((stage, duration_ns))

    def add_frame(self, t_capture_ns: int, t_done_ns: int, *, has_face: bool) -> None:
        """Record the frame and its stages if it counts."""
        self.frames_in_all += 1
        if self.is_settled(t_capture_ns):
            for stage, duration_ns in self._of_frame:
                super().add_stage(stage, duration_ns)
            super().add_frame(t_capture_ns, t_done_ns, has_face=has_face)
        self._of_frame.clear()


def _add_stages(stage_ms: dict[str, list[float]], reconstructor: Reconstructor) -> None:
    times = reconstructor.times
    for stage in WORK_STAGES:
        duration_ns = getattr(times, stage)
        if duration_ns:
            stage_ms[stage].append(duration_ns * 1e-6)


def _rounded(values: list[float], digits: int = 3) -> list[float]:
    return [round(value, digits) for value in values]
