"""The measured process of `compare_peers.py`: waits for a line, measures, answers a line.

Standard library and numpy alone: it runs in the environments of all peers. Started as
``python WORKER.py START`` where START is a JSON object: ``pictures`` (an .npy file of
(n, H, W, 3) uint8), ``order`` (in which order they are shown, again and again), ``cpus``
(numbers of the cores to stay on; null: no choice on this system), ``cores`` (how many).

Each line of standard input is ``{"job": NAME, "seconds": S, "least": N}`` and is answered with
``ms`` (of each picture), ``cpu_s``, ``faces`` (pictures with one), ``detections`` (full ones in
these pictures, null if it is not known); or ``{"job": NAME, "pictures": [...]}``, answered with
the faces in each of those. Between lines it waits in a read.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Job:
    """What is timed, ``run`` (picture, running number), and how to read what it returns."""

    run: Callable[[np.ndarray, int], Any]
    count: Callable[[Any], int]
    describe: Callable[[Any], list[dict[str, Any]]] | None = None
    detections: Callable[[], int] | None = None


def serve(open_jobs: Callable[[int], tuple[dict[str, Job], dict[str, str]]]) -> None:
    """Answer until standard input ends.

    ``open_jobs`` takes the number of cores and returns the jobs by name and the versions of
    what they use. It imports the libraries: by then the process is bound to its cores, and
    so are all threads that they start.
    """
    start = json.loads(sys.argv[1])
    if start["cpus"] is not None:
        os.sched_setaffinity(0, start["cpus"])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    pictures = np.load(start["pictures"], mmap_mode="c")
    jobs, versions = open_jobs(start["cores"])
    versions = {"python": ".".join(str(v) for v in sys.version_info[:3]), **versions}
    shown = dict.fromkeys(jobs, 0)

    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    answer({"jobs": list(jobs), "versions": versions})
    for line in sys.stdin:
        asked = json.loads(line)
        job = jobs[asked["job"]]
        if "pictures" in asked:
            faces = [job.describe(job.run(pictures[i].copy(), i)) for i in asked["pictures"]]
            answer({"faces": faces})
            continue
        first = shown[asked["job"]]
        reply = _measure(job, pictures, start["order"], first, asked["seconds"], asked["least"])
        shown[asked["job"]] += len(reply["ms"])
        answer(reply)


def _measure(
    job: Job, pictures: np.ndarray, order: list[int], first: int, seconds: float, least: int
) -> dict[str, Any]:
    """Picture after picture, where the last call stopped: trackers see one smooth video."""
    times_ms: list[float] = []
    faces, cpu_s = 0, 0.0
    before = job.detections() if job.detections else None
    end = time.perf_counter() + seconds
    while len(times_ms) < least or time.perf_counter() < end:
        k = first + len(times_ms)
        picture = pictures[order[k % len(order)]].copy()  # as a decoder leaves it: near at hand
        cpu_start, start = time.process_time(), time.perf_counter()
        result = job.run(picture, k)
        times_ms.append(1e3 * (time.perf_counter() - start))
        cpu_s += time.process_time() - cpu_start
        faces += job.count(result) > 0
    return {
        "ms": times_ms,
        "cpu_s": cpu_s,
        "faces": faces,
        "detections": None if before is None else job.detections() - before,
    }
