"""How fast is the page? Real server, real browser, and a camera whose pictures carry a number.

    python benchmarks/measure_page.py [--camera browser|server] [--view face] [--transport ws]

Chromium (headless, GL by the processor) shows the page; its camera is the bundled clip with a
number burnt into each picture (`time_code`). The number comes back in a small picture layer of each
result, so that the time from a picture's capture to the draw of its mesh is known to the
millisecond on one clock, `performance.now()` of the page. Server and browser share this machine.

With ``--camera server`` the server plays the clip itself; then there is no such latency, and the
rate is what is asked. A row is one run; the last is the median. Exit code 1: an aim is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import time_code
import web_page

import rtrecon

PICTURE_PX = 128  # of the layer that brings the number back
AIMS = {
    "results_hz": 15.0,
    "late_p50_ms": 200.0,
    "late_p95_ms": 400.0,
    "kilobytes": 40.0,
    "server_ms": 30.0,
    "packing_ms": 3.0,
}
AT_LEAST = {"results_hz"}
SERVER_CAMERA_HZ = 30.0


@dataclass(frozen=True)
class Figures:
    """Of one run; medians over its results unless the name says otherwise.

    Attributes:
        results_hz: drawn results a second.
        late_p50_ms, late_p95_ms: from capture in the browser to the drawn mesh.
        kilobytes: of a result, without the layer that brings the number.
        server_ms: from the grab of the picture to its packed result.
        packing_ms: of that, packing.
        page_ms: from a result's arrival in the page to its draw.
        server_cpu_ms: of all the server's threads, for each result it sent.
        browser_cores, server_cores: that they kept busy.
        load: of the machine.
    """

    results_hz: float
    late_p50_ms: float
    late_p95_ms: float
    kilobytes: float
    server_ms: float
    packing_ms: float
    page_ms: float
    server_cpu_ms: float
    browser_cores: float
    server_cores: float
    load: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--camera", choices=("browser", "server"), default="browser")
    parser.add_argument("--view", choices=("face", "avatar", "picture"), default="face")
    parser.add_argument("--transport", choices=("webrtc", "ws"), default="webrtc")
    parser.add_argument("--size", default="640x480", help="of the page, pixels")
    parser.add_argument("--seconds", type=float, default=20.0, help="of one run, after --warm")
    parser.add_argument("--warm", type=float, default=15.0, help="until the camera's rate settles")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clip", default="demo", help="a source of rtrecon to make the camera of")
    parser.add_argument("--serve", nargs="*", default=[], help="further options of rtrecon serve")
    parser.add_argument("--json", type=Path, help="the rows")
    parser.add_argument("--screenshot", type=Path, help="of the last run")
    args = parser.parse_args()
    why = web_page.why_no_browser()
    if why:
        sys.exit(why)
    print(f"{machine()}\n`python benchmarks/measure_page.py {' '.join(sys.argv[1:])}`\n")
    names = [field.name for field in fields(Figures)]
    print("| run | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|", flush=True)
    rows: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "camera.y4m"
        if args.camera == "browser":
            with rtrecon.open_source(args.clip) as source:
                time_code.write_clip(clip, (frame.image for frame in source))
        for k in range(args.runs):
            rows.append(measure(args, clip))
            print(line(str(k + 1), rows[-1]), flush=True)
    middle = Figures(*(statistics.median(column) for column in columns(rows)))
    print(line("median", middle))
    spread = Figures(*(max(column) - min(column) for column in columns(rows)))
    print(line("range", spread), flush=True)
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    missed = verdict(middle, is_server_camera=args.camera == "server")
    print("\n" + ("; ".join(missed) or "all aims are reached"))
    sys.exit(1 if missed else 0)


def measure(args: argparse.Namespace, clip: Path) -> Figures:
    """One server, one browser, one page, for some seconds."""
    is_browser = args.camera == "browser"
    source = [] if is_browser else [args.clip]
    width, height = (int(part) for part in args.size.split("x"))
    query = f"?view={args.view}" + ("&camera=1" if is_browser else "")
    query += "&transport=ws" if args.transport == "ws" else ""
    with (
        web_page.Server([*source, *args.serve]) as server,
        web_page.chromium(clip if is_browser else None) as browser,
    ):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        page.add_init_script(time_code.JS_READ + web_page.JS_WATCH_RESULTS)
        page.goto(server.url + query)
        web_page.wait_until(page, "window.rtreconPage !== undefined")
        extra = {"layers": ["picture"], "picture_px": PICTURE_PX} if is_browser else {}
        page.evaluate("(extra) => rtreconWatchResults(extra)", extra)
        web_page.wait_until(page, "rtreconResults.some((r) => r.header.faces.length)")
        if is_browser:
            track = "rtreconPage.camera.stream.getVideoTracks()[0]"
            page.evaluate(f"() => {{ rtreconWatchCamera({track}); }}")
        page.wait_for_timeout(1000 * args.warm)
        processes = Processes(server)
        drawn: list[dict[str, Any]] = []
        late_ms: list[float] = []
        web_page.drawn_results(page)
        until_s = time.monotonic() + args.seconds
        start_s = time.monotonic()
        while time.monotonic() < until_s:
            page.wait_for_timeout(1000)
            newest = web_page.drawn_results(page)
            late_ms += web_page.late_ms(page, newest) if is_browser else []
            drawn += newest
        seconds = time.monotonic() - start_s
        busy_server_s, busy_browser_s = processes.busy_s()
        packing_ms = page.evaluate(PACKING_MS)
        if args.screenshot is not None:
            page.screenshot(path=args.screenshot)
    if is_browser and len(late_ms) < len(drawn) // 2:
        raise RuntimeError(
            f"{len(late_ms)} of {len(drawn)} results have a number that was captured"
        )
    sizes = [r["bytes"] - (r["header"]["picture"] or (0, 0))[1] for r in drawn]
    return Figures(
        results_hz=round(len(drawn) / seconds, 1),
        late_p50_ms=percentile(late_ms, 50),
        late_p95_ms=percentile(late_ms, 95),
        kilobytes=round(statistics.median(sizes) / 1000, 1),
        server_ms=percentile([r["header"]["age_ms"] for r in drawn], 50),
        packing_ms=packing_ms,
        page_ms=percentile([r["drawn_ms"] - r["received_ms"] for r in drawn], 50),
        server_cpu_ms=round(1000 * busy_server_s / max(len(drawn), 1), 1),
        browser_cores=round(busy_browser_s / seconds, 2),
        server_cores=round(busy_server_s / seconds, 2),
        load=round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else float("nan"),
    )


PACKING_MS = "rtreconDebug.state?.server_ms ?? NaN"


class Processes:
    """Processor time of the server and of the browser from now on, children and all."""

    def __init__(self, server: web_page.Server) -> None:
        assert server.process is not None
        self._server = psutil.Process(server.process.pid)
        self._start_s = self._now_s()

    def busy_s(self) -> tuple[float, float]:
        """Of the server, of the browser."""
        server_s, browser_s = self._now_s()
        return server_s - self._start_s[0], browser_s - self._start_s[1]

    def _now_s(self) -> tuple[float, float]:
        server_s = sum(self._server.cpu_times()[:2])
        browser_s = 0.0
        for process in psutil.Process().children(recursive=True):
            if process.pid != self._server.pid:
                with contextlib.suppress(psutil.Error):
                    browser_s += sum(process.cpu_times()[:2])
        return server_s, browser_s


def columns(rows: Sequence[Figures]) -> list[tuple[float, ...]]:
    return list(zip(*(asdict(row).values() for row in rows), strict=True))


def percentile(values: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(values, percent)), 1) if values else float("nan")


def line(name: str, row: Figures) -> str:
    return "| " + " | ".join([name, *(f"{value:.4g}" for value in asdict(row).values())]) + " |"


def verdict(figures: Figures, *, is_server_camera: bool = False) -> list[str]:
    """The aims that are missed; what was not measured is none of them."""
    aims = dict(AIMS)
    if is_server_camera:
        aims["results_hz"] = SERVER_CAMERA_HZ * 0.97  # the clip's own rate, measured over seconds
    missed = []
    for name, aim in aims.items():
        value = getattr(figures, name)
        if value < aim if name in AT_LEAST else value > aim:
            missed.append(f"{name} is {value:.4g}, the aim {aim:.4g}")
    return missed


def machine() -> str:
    """What it ran on."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if text.startswith("model name"):
                model = text.split(":", 1)[1].strip()
                break
    return f"{psutil.cpu_count()} hardware threads of {model}, {platform.system()}"


if __name__ == "__main__":
    main()
