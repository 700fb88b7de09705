from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtrecon.bench.config import ALONE_STAGES, AVATAR_PARTS
from rtrecon.bench.drawing import open_drawer, view_to_use
from rtrecon.bench.figures import paced_figures, unpaced_figures
from rtrecon.bench.measure import measure_paced, measure_unpaced
from rtrecon.bench.pictures import load_footage, write_pictures
from rtrecon.bench.stage_measure import StageBench
from rtrecon.bench.trace import TracedReconstructor, trace_events, trace_pipeline
from rtrecon.capture.sources import DEMO_CLIP
from rtrecon.errors import UserError
from rtrecon.pipeline import Reconstructor
from rtrecon.stats import STAGES, WORK_STAGES, FrameTimes
from rtrecon.types import BgrImage


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> BgrImage:
    """Twelve pictures with two faces each."""
    footage = load_footage(str(DEMO_CLIP))
    footage.pictures = footage.pictures[:12]
    path = tmp_path_factory.mktemp("pictures") / "two.npy"
    write_pictures(footage, (640, 480), 2, path)
    return np.load(path, mmap_mode="r").view(np.ndarray)


@pytest.fixture(scope="module")
def reconstructor(dome_model: Path) -> Reconstructor:
    return Reconstructor(dome_model, faces=2, fov_deg=60)


def test_as_fast_as_it_can(reconstructor: Reconstructor, pictures: BgrImage) -> None:
    measured = measure_unpaced(reconstructor, pictures, 0.2, 30.0)
    frames = len(measured["frame_ms"])
    assert frames >= 3
    assert len(measured["done_s"]) == len(measured["capture_ms"]) == frames
    assert measured["done_s"] == sorted(measured["done_s"])
    assert measured["faces"] == 2.0
    for stage in ("track", "depth", "geometry"):
        assert len(measured["stage_ms"][stage]) == frames
    # The stages are parts of the frames, the frames parts of the whole.
    stages_ms = sum(sum(times) for times in measured["stage_ms"].values())
    assert 0 < stages_ms <= sum(measured["frame_ms"]) + 0.01 * frames
    assert sum(measured["frame_ms"]) <= 1000 * measured["wall_s"]
    assert measured["cpu_s"] > 0
    figures = unpaced_figures([measured])
    assert figures is not None
    assert figures.faces_per_frame == 2.0


def test_at_a_cameras_pace_every_frame_is_seen_or_dropped(
    reconstructor: Reconstructor, pictures: BgrImage
) -> None:
    drawn: list[int] = []
    measured = measure_paced(
        reconstructor, pictures, 0.4, 50.0, lambda result: drawn.append(result.frame.index)
    )
    assert measured["captured"] == 20
    assert measured["processed"] + measured["dropped"] == 20
    assert len(measured["latency_ms"]) == measured["processed"]
    assert drawn == sorted(set(drawn))
    # The first eight fill the capture thread's slots: drawn, and in no figure.
    settled = sum(index >= 8 for index in drawn)
    assert len(measured["drawn_ms"]) == len(measured["view_ms"]) == settled >= 1
    figures = paced_figures([measured], 50.0)
    assert figures is not None
    assert figures.grab_to_drawn is not None
    assert figures.grab_to_drawn.samples == settled
    assert figures.latency is not None
    assert figures.latency.min_ms > 0


def test_each_stage_alone(reconstructor: Reconstructor, pictures: BgrImage) -> None:
    bench = StageBench(reconstructor, pictures, 30.0, 2, open_drawer("offscreen"))
    for stage in ALONE_STAGES:
        parts = bench.measure(stage, 0.01)
        assert list(parts) == [stage, *(AVATAR_PARTS if stage == "avatar" else ())]
        for name, times_ms in parts.items():
            assert len(times_ms) >= 5, name
            assert min(times_ms) > 0, name


def test_one_list_of_stages() -> None:
    assert set(WORK_STAGES) <= set(ALONE_STAGES)
    assert ("capture", *WORK_STAGES, "view") == STAGES


def test_the_offscreen_view_needs_no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("rtrecon.outputs.window.display.sys.platform", "linux")
    assert view_to_use("none") == "offscreen"
    with pytest.raises(UserError, match="no display"):
        open_drawer("window")


def _check_trace(trace: dict[str, Any]) -> None:
    """What the Trace Event Format asks of a file."""
    trace = json.loads(json.dumps(trace))
    events = trace["traceEvents"]
    threads = {
        (e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"
    }
    assert {"capture", "worker"} <= set(threads.values())
    assert any("view" in name for name in threads.values())
    assert [e["args"]["name"] for e in events if e["name"] == "process_name"] != []
    flows: dict[int, list[str]] = {}
    for event in events:
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["ts"] >= 0
        assert event["ph"] in "XMstfi"
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert isinstance(event["args"]["frame"], int)
            assert (event["pid"], event["tid"]) in threads
        if event["ph"] in "stf":
            flows.setdefault(event["id"], []).append(event["ph"])
        if event["ph"] == "i":
            assert event["s"] == "t"
    for steps in flows.values():
        assert steps in (["s", "f"], ["s", "t", "f"])
    # On one thread events follow one another or lie within one another.
    for thread in threads:
        spans = sorted(
            (e["ts"], -e["dur"])
            for e in events
            if e["ph"] == "X" and (e["pid"], e["tid"]) == thread
        )
        ends: list[float] = []
        for start_us, negative_us in spans:
            while ends and ends[-1] <= start_us + 1e-6:
                ends.pop()
            end_us = start_us - negative_us
            assert not ends or end_us <= ends[-1] + 1e-6
            ends.append(end_us)


def test_a_trace_of_the_pipeline(dome_model: Path, pictures: BgrImage) -> None:
    reconstructor = TracedReconstructor(dome_model, faces=2, fov_deg=60)
    trace = trace_pipeline(
        reconstructor, pictures, 0.5, 30.0, open_drawer("offscreen"), "dome, 2 faces"
    )
    _check_trace(trace)
    complete = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    frames = {e["args"]["frame"] for e in complete if e["cat"] == "frame"}
    dropped = {e["name"] for e in trace["traceEvents"] if e["ph"] == "i"}
    assert len(frames) + len(dropped) == 15
    assert {e["name"] for e in complete if e["cat"] == "stage"} <= set(WORK_STAGES)
    assert {e["args"]["frame"] for e in complete if e["cat"] == "view"} <= frames


def test_trace_events_of_known_times() -> None:
    ms = 1_000_000
    times = FrameTimes(track=2 * ms, align=ms, depth=5 * ms, geometry=ms)
    events = trace_events(
        grabs=[(100 * ms, 101 * ms), (133 * ms, 134 * ms)],
        calls=[(0, 102 * ms, 112 * ms, times, 1)],
        views=[(0, 113 * ms, 120 * ms)],
        view_name="offscreen",
        label="m",
    )
    _check_trace({"traceEvents": events})
    depth = next(e for e in events if e["name"] == "depth")
    assert (depth["ts"], depth["dur"], depth["args"]["frame"]) == (5000.0, 5000.0, 0)
    frame = next(e for e in events if e.get("cat") == "frame" and e["ph"] == "X")
    assert frame["args"]["grab_to_geometry_us"] == 12000
    assert [e["name"] for e in events if e["ph"] == "i"] == ["dropped 1"]
