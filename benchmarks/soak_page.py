"""Does the page's server grow while viewers come and go?

    python benchmarks/soak_page.py [--minutes 60] [--camera server|browser] [--hz 10]

``rtrecon serve`` in a process of its own plays the bundled clip. A viewer asks for a face with
depth, picture and head at ``--hz`` results a second, stays for ``--stay`` seconds, leaves as a tab
that is closed does (every third time without a word, as a phone that is out of reach does), and is
back after ``--away``. Every tenth does not say what it has shown. With ``--camera browser`` a
headless Chromium comes and goes in the same way, and its camera is the run's, over WebRTC.

A row is printed as it is measured, so that a run that is broken off leaves its table. Exit code 1:
memory, descriptors or threads of the server have grown (`soak.verdict`), or a viewer got nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import time_code
import web_page
from soak import WARM_SHARE, verdict
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import rtrecon

LAYERS = ["texture", "depth", "head", "points"]
RUDE_OF, SILENT_OF = 3, 10  # of so many viewers one leaves without a word, one never says shown


@dataclass(frozen=True)
class Row:
    """One sample; counts are since the start."""

    minutes: float
    rss_mb: float
    descriptors: int
    threads: int
    viewers: int
    results: int
    megabytes: float
    server_cores: float
    empty: int


@dataclass
class Counts:
    """What viewers got."""

    viewers: int = 0
    results: int = 0
    bytes: int = 0
    empty: int = 0  # viewers that got nothing
    trouble: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=30)
    parser.add_argument("--camera", choices=("server", "browser"), default="server")
    parser.add_argument("--hz", type=float, default=10.0)
    parser.add_argument("--stay", type=float, default=20.0, help="seconds")
    parser.add_argument("--away", type=float, default=5.0, help="seconds")
    parser.add_argument("--serve", nargs="*", default=[], help="further options of rtrecon serve")
    args = parser.parse_args()
    source = ["demo"] if args.camera == "server" else []
    counts, ends = Counts(), threading.Event()
    with web_page.Server([*source, *args.serve]) as server:
        comers: list[Callable[[], None]] = [lambda: clients(server, args, counts, ends)]
        if args.camera == "browser":
            comers.append(lambda: senders(server, args, counts, ends))
        threads = [threading.Thread(target=comer) for comer in comers]
        for thread in threads:
            thread.start()
        try:
            rows = watch(server, args, counts)
        finally:
            ends.set()
            for thread in threads:
                thread.join()
    problems = verdict(rows)
    if server.exit_code is not None and server.exit_code != 0:
        problems.append(f"the server ended with {server.exit_code}: {''.join(server.said)[-2000:]}")
    problems += [counts.trouble] if counts.trouble else []
    problems += [f"{counts.empty} viewers got nothing"] if counts.empty else []
    print(f"\n{slope_mb_an_hour(rows):+.1f} MB an hour after the first fifth")
    print("; ".join(problems) or "nothing has grown", flush=True)
    sys.exit(1 if problems else 0)


def watch(server: web_page.Server, args: argparse.Namespace, counts: Counts) -> list[Row]:
    """Sample the server until the time is over."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    print("| " + " | ".join(Row.__annotations__) + " |\n" + "|---" * 9 + "|", flush=True)
    rows: list[Row] = []
    start_s, busy_s, before_s = time.monotonic(), 0.0, time.monotonic()
    for k in range(1, args.rows + 1):
        time.sleep(max(0.0, start_s + 60.0 * args.minutes * k / args.rows - time.monotonic()))
        now_s, used_s = time.monotonic(), sum(process.cpu_times()[:2])
        rows.append(
            Row(
                minutes=round((now_s - start_s) / 60.0, 2),
                rss_mb=round(process.memory_info().rss / 2**20, 1),
                descriptors=process.num_fds() if hasattr(process, "num_fds") else 0,
                threads=process.num_threads(),
                viewers=counts.viewers,
                results=counts.results,
                megabytes=round(counts.bytes / 1e6, 1),
                server_cores=round((used_s - busy_s) / (now_s - before_s), 2),
                empty=counts.empty,
            )
        )
        busy_s, before_s = used_s, now_s
        print("| " + " | ".join(str(value) for value in vars(rows[-1]).values()) + " |", flush=True)
        if counts.trouble:
            break
    return rows


def clients(
    server: web_page.Server, args: argparse.Namespace, counts: Counts, ends: threading.Event
) -> None:
    """Viewers without a browser, one after the other."""
    try:
        while not ends.is_set():
            got = visit(server, args, counts, ends)
            counts.viewers += 1
            counts.empty += not got and not ends.is_set() and args.camera == "server"
            ends.wait(args.away)
    except Exception as error:
        counts.trouble = f"a viewer: {error!r}"


def visit(
    server: web_page.Server, args: argparse.Namespace, counts: Counts, ends: threading.Event
) -> int:
    """One viewer; gives how many results it got."""
    is_rude = counts.viewers % RUDE_OF == RUDE_OF - 1
    is_silent = counts.viewers % SILENT_OF == SILENT_OF - 1
    socket = connect(server.url.replace("http", "ws") + "ws", max_size=None, open_timeout=30)
    socket.send(json.dumps({"type": "hello", "protocol": 1, "agent": "soak"}))
    socket.send(json.dumps({"type": "want", "layers": LAYERS, "max_hz": args.hz}))
    until_s, got = time.monotonic() + args.stay, 0
    with contextlib.suppress(ConnectionClosed):
        while time.monotonic() < until_s and not ends.is_set():
            with contextlib.suppress(TimeoutError):
                message = socket.recv(timeout=0.5)
                if isinstance(message, str):
                    continue
                got += 1
                counts.results += 1
                counts.bytes += len(message)
                length = int.from_bytes(message[4:8], "little")
                if not is_silent:
                    seq = json.loads(message[8 : 8 + length])["seq"]
                    socket.send(json.dumps({"type": "shown", "seq": seq}))
    if is_rude:
        socket.close_socket()
    socket.close()
    return got


def senders(
    server: web_page.Server, args: argparse.Namespace, counts: Counts, ends: threading.Event
) -> None:
    """Chromium's page comes with its camera, stays, and goes."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "camera.mjpeg"
            with rtrecon.open_source("demo") as source:
                time_code.write_clip(clip, (frame.image for frame in source))
            while not ends.is_set():
                with web_page.chromium(clip) as browser:
                    page = browser.new_page(viewport={"width": 320, "height": 240})
                    page.add_init_script(web_page.JS_WATCH_RESULTS)
                    page.goto(server.url + "?camera=1&view=face")
                    web_page.wait_until(page, "window.rtreconDebug?.drawn > 0")
                    page.evaluate(f"rtreconWatchResults({{max_hz: {args.hz}}})")
                    until_s = time.monotonic() + 3 * args.stay
                    while time.monotonic() < until_s and not ends.is_set():
                        page.wait_for_timeout(500)
                    page.close()
                    ends.wait(args.away)
    except Exception as error:
        counts.trouble = f"the sender's browser: {error!r}"


def slope_mb_an_hour(rows: Sequence[Row]) -> float:
    """Of a straight line through what follows the warm-up."""
    kept = rows[int(len(rows) * WARM_SHARE) :]
    if len(kept) < 2:
        return float("nan")
    hours = [row.minutes / 60.0 for row in kept]
    return float(np.polyfit(hours, [row.rss_mb for row in kept], 1)[0])


if __name__ == "__main__":
    main()
