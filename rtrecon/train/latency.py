"""How long networks of several sizes take in ONNX Runtime: the basis for choosing one.

Time does not depend on the weights, so the networks are measured untrained.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rtrecon.train.export import write_onnx
from rtrecon.train.network import SIZES, FaceDpt, NetworkConfig

__all__ = ["Latency", "format_table", "measure_ms", "measure_sizes"]


@dataclass(frozen=True, slots=True)
class Latency:
    """One network: its size, and times of a crop by number of threads.

    ``cpu_ms`` is the least processor time, which other work on the machine hardly changes;
    ``wall_ms`` the least time on the clock.
    """

    name: str
    parameters: int
    file_mb: float
    cpu_ms: Mapping[int, float]
    wall_ms: Mapping[int, float]


def measure_sizes(
    sizes: Mapping[str, NetworkConfig] = SIZES,
    threads: tuple[int, ...] = (1, 2),
    runs: int = 60,
    rounds: int = 3,
) -> list[Latency]:
    """Export each network untrained and time it; the rounds alternate between the networks.

    Alternating spreads what else the machine does over all of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths, counts = {}, {}
        for k, (name, config) in enumerate(sizes.items()):
            torch.manual_seed(0)
            network = FaceDpt(config).eval()
            counts[name] = sum(p.numel() for p in network.parameters())
            paths[name] = Path(folder) / f"{k}.onnx"
            write_onnx(network, paths[name])
        times: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for name, config in sizes.items():
                for count in threads:
                    found = measure_ms(paths[name], config.size_px, count, runs)
                    times.setdefault((name, count), []).extend(found)
        return [
            Latency(
                name,
                counts[name],
                paths[name].stat().st_size / 1e6,
                {count: min(cpu for cpu, _ in times[name, count]) for count in threads},
                {count: min(wall for _, wall in times[name, count]) for count in threads},
            )
            for name in sizes
        ]


def measure_ms(path: Path, size_px: int, threads: int, runs: int) -> list[tuple[float, float]]:
    """Milliseconds of processor and of clock for each of ``runs`` crops, five uncounted before."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).random((1, 3, size_px, size_px), dtype=np.float32)
    outputs = ["relief", "mask"]
    for _ in range(5):
        session.run(outputs, {"image": image})
    found = []
    for _ in range(runs):
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        session.run(outputs, {"image": image})
        cpu_s, wall_s = time.process_time() - start_cpu_s, time.perf_counter() - start_s
        found.append((cpu_s * 1e3, wall_s * 1e3))
    return found


def format_table(rows: list[Latency]) -> str:
    """The measurements as a Markdown table."""
    threads = list(rows[0].cpu_ms)
    lines = [
        "| network | parameters | file | "
        + " | ".join(f"{t} thread{'s' * (t > 1)}: processor / clock" for t in threads)
        + " |",
        "|---" * (3 + len(threads)) + "|",
    ]
    for row in rows:
        times = " | ".join(f"{row.cpu_ms[t]:.1f} / {row.wall_ms[t]:.1f} ms" for t in threads)
        lines.append(
            f"| {row.name} | {row.parameters / 1e6:.2f} M | {row.file_mb:.1f} MB | {times} |"
        )
    return "\n".join(lines)
