"""Do avatars' outputs grow? 100,000 results through each of five, to receivers on this machine.

    python benchmarks/soak_avatars.py [--frames 100000] [--out OUTPUT ...]

A made-up face turns, blinks, goes and comes back; nothing is reconstructed, and every result is
written to every output on one thread, as fast as that goes. A thread reads what arrives and checks
its size. After a third of the frames every receiver hangs up, after two thirds it is there again.
With ``--out`` other outputs than the five, which need receivers of their own.

A row is printed as it is measured. Exit code 1: memory, descriptors or threads have grown, or a
receiver that was there got nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import math
import selectors
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
from soak import verdict

from rtrecon.avatar.rotations import from_angles, to_matrix
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mean_head import mean_head
from rtrecon.output import Output, Run
from rtrecon.outputs.registry import make_output
from rtrecon.result import LiveResult
from rtrecon.types import Expression, Frame

FIVE = ("vmc", "openseeface", "ifacialmocap", "livelink", "osc")
NAMES = ARKIT_NAMES[:51]
RATE_HZ = 30
GONE_OF, GONE_FOR = 900, 60  # of so many frames, so many are without a face
PICTURE = np.zeros((480, 640, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Row:
    """One sample; counts are since the start."""

    frames: int
    seconds: float
    cpu_ms: float
    rss_mb: float
    descriptors: int
    threads: int
    received: tuple[int, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--out", action="append", default=[], help="these outputs instead")
    args = parser.parse_args()
    logging.getLogger("rtrecon").setLevel(logging.ERROR)  # that receivers go is the point
    with Receivers(0 if args.out else len(FIVE)) as receivers:
        texts = args.out or [
            f"{name}://127.0.0.1:{port}{'?listen=0' if name == 'ifacialmocap' else ''}"
            for name, port in zip(FIVE, receivers.ports, strict=True)
        ]
        rows = soak([make_output(text) for text in texts], receivers, args.frames, args.rows)
    problems = verdict(rows)
    problems += [
        f"{FIVE[k]} was received {count} times" for k, count in enumerate(rows[-1].received)
        if count < args.frames // 4
    ]  # fmt: skip
    print("\n" + ("; ".join(problems) or "nothing has grown"), flush=True)
    sys.exit(1 if problems else 0)


class Receivers:
    """Sockets that are read, counted and, for a while, not there."""

    def __init__(self, count: int) -> None:
        self.received = [0] * count
        self.ports: list[int] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ends = False
        self._count = count
        self._thread = threading.Thread(target=self._read, name="receivers")

    def __enter__(self) -> Receivers:
        self.come()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()
        self.go()

    def come(self) -> None:
        """Listen, where they did before if they did."""
        with self._lock:
            for k in range(self._count):
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                made.setblocking(False)
                made.bind(("127.0.0.1", self.ports[k] if self.ports else 0))
                self._sockets.append(made)
            self.ports = [made.getsockname()[1] for made in self._sockets]

    def go(self) -> None:
        """Hang up."""
        with self._lock:
            for made in self._sockets:
                made.close()
            self._sockets.clear()

    def descriptors_of_others(self, process: psutil.Process) -> int:
        """Of the process, without these sockets, which come and go."""
        with self._lock:
            counted = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
            return int(counted) - len(self._sockets)

    def _read(self) -> None:
        while not self._ends:
            with self._lock, selectors.DefaultSelector() as selector:
                for k, made in enumerate(self._sockets):
                    selector.register(made, selectors.EVENT_READ, k)
                ready = selector.select(0.002) if self._sockets else []
                for key, _ in ready:
                    assert isinstance(key.fileobj, socket.socket)
                    with contextlib.suppress(BlockingIOError):
                        while True:
                            assert 8 <= len(key.fileobj.recv(4096)) <= 1785
                            self.received[key.data] += 1
            if not ready:
                time.sleep(0.002)


def soak(outputs: Sequence[Output], receivers: Receivers, frames: int, rows: int) -> list[Row]:
    run, process = Run(rate_hz=RATE_HZ, width=640, height=480), psutil.Process()
    for output in outputs:
        output.open(run)
    head = ["frames", "s", "CPU ms a frame", "RSS MB", "descriptors", "threads"]
    head += [f"{output.name} received" for output in outputs[: len(receivers.received)]]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|", flush=True)
    made: list[Row] = []
    start_s, cpu_s = time.monotonic(), time.process_time()
    every = max(1, frames // rows)
    for k, result in enumerate(results(frames), start=1):
        for output in outputs:
            output.write(result)
        if k == frames // 3:
            receivers.go()
        elif k == 2 * frames // 3:
            receivers.come()
        if k % every == 0:
            gc.collect()  # what is only waiting for the collector is no leak
            used_s, cpu_s = time.process_time() - cpu_s, time.process_time()
            made.append(
                Row(
                    frames=k,
                    seconds=round(time.monotonic() - start_s, 1),
                    cpu_ms=round(1000.0 * used_s / every, 2),
                    rss_mb=round(process.memory_info().rss / 2**20, 1),
                    descriptors=receivers.descriptors_of_others(process),
                    threads=process.num_threads(),
                    received=tuple(receivers.received),
                )
            )
            print(line(made[-1]), flush=True)
    for output in outputs:
        output.close()
    return made


def results(count: int) -> Iterator[LiveResult]:
    """A face that turns, blinks and talks, and is gone now and then."""
    head = mean_head()
    points = (head.points[:68] - head.eyes_middle).astype(np.float32)
    for k in range(count):
        frame = Frame(PICTURE, k, k * 1_000_000_000 // RATE_HZ)
        gone = k % GONE_OF >= GONE_OF - GONE_FOR
        yield LiveResult(frame, [] if gone else [face(k / RATE_HZ, points)], 5.0)


def face(t_s: float, points: np.ndarray) -> Any:
    turn = [0.3 * math.sin(t_s / period) for period in (1.7, 2.3, 3.1)]
    T = np.eye(4)
    T[:3, :3] = to_matrix(from_angles(*turn))
    T[:3, 3] = 0.05 * math.sin(t_s), 0.0, 0.6
    phases = np.arange(len(NAMES)) * 0.37
    values = np.clip(np.sin(t_s * 2.0 + phases), 0.0, 1.0)
    camera = (points @ T[:3, :3].T + T[:3, 3]).astype(np.float32)
    return SimpleNamespace(
        id=0,
        T_camera_face=T,
        box_px=np.array([200, 120, 440, 400], dtype=np.float32),
        expression=Expression(NAMES, values),
        landmarks68_px=camera[:, :2] / camera[:, 2:] * np.float32(550) + np.float32(240),
        landmarks68_camera=camera,
    )


def line(row: Row) -> str:
    cells = [row.frames, row.seconds, row.cpu_ms, f"{row.rss_mb:.1f}", row.descriptors,
             row.threads, *row.received]  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    main()
