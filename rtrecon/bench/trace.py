"""A run of the live pipeline as a Chrome trace: threads, frames and stages.

The format is the JSON of the Trace Event Format, which Perfetto and chrome://tracing open:
complete events (``X``) for what takes time, flow events (``s``, ``t``, ``f``) that lead a frame
from thread to thread, instant events (``i``) for frames that were dropped, metadata (``M``) for
the names. Times are microseconds of the monotonic clock since the first picture.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rtrecon.bench.drawing import Drawer
from rtrecon.bench.measure import settle
from rtrecon.bench.memory_source import MemorySource
from rtrecon.capture import CaptureThread
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.live_pipeline import LivePipeline
from rtrecon.pipeline import Reconstructor
from rtrecon.stats import WORK_STAGES, FrameTimes, RunStats
from rtrecon.types import BgrImage, Frame, PilImage

__all__ = ["TracedReconstructor", "trace_events", "trace_pipeline"]

_CAPTURE, _WORKER, _VIEW = 1, 2, 3


class TracedReconstructor(Reconstructor):
    """A `Reconstructor` that remembers when each frame was worked on.

    ``calls`` holds frame index, start and end (monotonic nanoseconds), stage times, faces.
    """

    calls: list[tuple[int, int, int, FrameTimes, int]]

    def __call__(self, frame: Frame | BgrImage | PilImage | str | Path) -> list[FaceReconstruction]:
        """As `Reconstructor`."""
        start_ns = time.monotonic_ns()
        found = super().__call__(frame)
        if isinstance(frame, Frame):
            end_ns = time.monotonic_ns()
            self.calls.append((frame.index, start_ns, end_ns, self.times, len(found)))
        return found


def trace_pipeline(
    reconstructor: TracedReconstructor,
    pictures: BgrImage,
    seconds: float,
    rate_hz: float,
    drawer: Drawer,
    label: str,
) -> dict[str, Any]:
    """Run the pipeline at a camera's pace, drawing on this thread; returns the trace object."""
    reconstructor.calls = []
    settle(reconstructor, pictures, rate_hz)
    reconstructor.calls.clear()
    source = MemorySource(pictures, rate_hz, max(3, round(seconds * rate_hz)), timed=True)
    capture = CaptureThread(source, policy="newest", pace=True)
    views: list[tuple[int, int, int]] = []
    with LivePipeline(capture, reconstructor, RunStats()) as pipeline:
        while True:
            running = pipeline.running
            result = pipeline.take(timeout_s=0.1)
            if result is not None:
                start_ns = time.monotonic_ns()
                drawer.draw(result)
                views.append((result.frame.index, start_ns, time.monotonic_ns()))
            elif not running:
                break
    grabs = list(zip(source.grabbed_ns, source.retrieved_ns, strict=False))
    return {
        "traceEvents": trace_events(grabs, reconstructor.calls, views, drawer.view, label),
        "displayTimeUnit": "ms",
        "otherData": {"label": label, "camera_rate_hz": rate_hz},
    }


def trace_events(
    grabs: list[tuple[int, int]],
    calls: list[tuple[int, int, int, FrameTimes, int]],
    views: list[tuple[int, int, int]],
    view_name: str,
    label: str,
) -> list[dict[str, Any]]:
    """Events of what happened, all times monotonic nanoseconds.

    Args:
        grabs: when each frame was taken and when it was copied, by frame index.
        calls: see `TracedReconstructor`. Stages follow one another within a call: each is
            placed at the end of the one before.
        views: frame index, start and end of drawing.
        view_name: what was drawn on.
        label: name of the process.
    """
    pid = os.getpid()
    zero_ns = min([grab for grab, _ in grabs] + [start for _, start, *_ in calls], default=0)

    def event(phase: str, tid: int, name: str, at_ns: int, **more: Any) -> dict[str, Any]:
        ts_us = (at_ns - zero_ns) / 1e3
        return {"ph": phase, "pid": pid, "tid": tid, "name": name, "ts": ts_us, **more}

    def complete(
        tid: int, name: str, category: str, start_ns: int, end_ns: int, **args: Any
    ) -> dict[str, Any]:
        duration_us = max(0, end_ns - start_ns) / 1e3
        return event("X", tid, name, start_ns, cat=category, dur=duration_us, args=args)

    def flow(phase: str, tid: int, index: int, at_ns: int) -> dict[str, Any]:
        more = {"bp": "e"} if phase == "f" else {}
        return event(phase, tid, "frame", at_ns, cat="frame", id=index, **more)

    events: list[dict[str, Any]] = [
        _named("process_name", pid, 0, f"rtrecon {label}"),
        _named("thread_name", pid, _CAPTURE, "capture"),
        _named("thread_name", pid, _WORKER, "worker"),
        _named("thread_name", pid, _VIEW, f"main: view ({view_name})"),
    ]
    processed = {index for index, *_ in calls}
    drawn = {index for index, *_ in views}
    for index, (grabbed_ns, copied_ns) in enumerate(grabs):
        name = f"frame {index}"
        events.append(complete(_CAPTURE, name, "capture", grabbed_ns, copied_ns, frame=index))
        if index in processed:
            events.append(flow("s", _CAPTURE, index, grabbed_ns))
        else:
            events.append(event("i", _CAPTURE, f"dropped {index}", copied_ns, cat="drop", s="t"))
    taken = dict(enumerate(grabs))
    for index, start_ns, end_ns, times, faces in calls:
        more = {"frame": index, "faces": faces}
        if index in taken:
            more["grab_to_geometry_us"] = (end_ns - taken[index][0]) // 1000
        events.append(complete(_WORKER, f"frame {index}", "frame", start_ns, end_ns, **more))
        events.append(flow("t" if index in drawn else "f", _WORKER, index, start_ns))
        at_ns = start_ns
        for stage in WORK_STAGES:
            duration_ns = getattr(times, stage)
            if duration_ns:
                stop_ns = min(at_ns + duration_ns, end_ns)
                events.append(complete(_WORKER, stage, "stage", at_ns, stop_ns, frame=index))
                at_ns = stop_ns
    for index, start_ns, end_ns in views:
        events.append(complete(_VIEW, f"frame {index}", "view", start_ns, end_ns, frame=index))
        events.append(flow("f", _VIEW, index, start_ns))
    return events


def _named(name: str, pid: int, tid: int, text: str) -> dict[str, Any]:
    return {"ph": "M", "pid": pid, "tid": tid, "name": name, "ts": 0, "args": {"name": text}}
