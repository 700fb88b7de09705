"""What the page's server does with a result: time of packing on one core, and bytes.

    python benchmarks/measure_web.py                   # the bundled clip
    python benchmarks/measure_web.py --frames 200

Times are the thread's own (CPU), so that other programs on the machine do not count. The page in
a browser is measured by `measure_page.py`.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from typing import Any

import numpy as np

import rtrecon
from rtrecon.outputs.web.layers import Layers
from rtrecon.outputs.web.wire import ResultPacker
from rtrecon.result import LiveResult

SETS = {
    "coefficients and pose": Layers(),
    "picture 320": Layers(picture_px=320),
    "depth + texture": Layers(texture_px=256, depth=True),
    "head + texture": Layers(texture_px=256, head=True),
    "head + texture + picture": Layers(picture_px=320, texture_px=256, head=True),
    "all": Layers(picture_px=320, texture_px=256, depth=True, head=True, points=True),
}
WARM_UP = 5


def measure(frames: int, source: str) -> dict[str, Any]:
    packers = {name: ResultPacker() for name in SETS}
    known: dict[str, frozenset[int]] = dict.fromkeys(SETS, frozenset())
    times_ms: dict[str, list[float]] = {name: [] for name in SETS}
    sizes: dict[str, list[int]] = {name: [] for name in SETS}
    with rtrecon.Reconstructor() as reconstruct, rtrecon.open_source(source, loop=True) as pictures:
        for n, frame in zip(range(frames + WARM_UP), pictures, strict=False):
            result = LiveResult(frame, reconstruct(frame), 0.0)
            for name, layers in SETS.items():
                start_ns = time.thread_time_ns()
                packed = packers[name].pack(n, result, [(layers, known[name])])
                took_ms = (time.thread_time_ns() - start_ns) * 1e-6
                (message,) = packed.values()
                known[name] = message.tints
                if n >= WARM_UP:
                    times_ms[name].append(took_ms)
                    sizes[name].append(len(message.data))
    return {
        name: {
            "ms_p50": round(float(np.percentile(times_ms[name], 50)), 2),
            "ms_p95": round(float(np.percentile(times_ms[name], 95)), 2),
            "kB_p50": round(float(np.percentile(sizes[name], 50)) / 1000, 1),
            "kB_p95": round(float(np.percentile(sizes[name], 95)) / 1000, 1),
        }
        for name in SETS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", nargs="?", default="demo")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.frames, options.source)
    if options.json:
        print(json.dumps({"machine": platform.platform(), "sets": rows}, indent=1))
        return
    print(f"{'layers':<26}{'ms p50':>8}{'p95':>7}{'kB p50':>9}{'p95':>7}")
    for name, row in rows.items():
        print(
            f"{name:<26}{row['ms_p50']:8.2f}{row['ms_p95']:7.2f}{row['kB_p50']:9.1f}{row['kB_p95']:7.1f}"
        )


if __name__ == "__main__":
    main()
