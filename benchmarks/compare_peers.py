"""rtrecon's time a frame against MediaPipe Face Mesh and facenet-pytorch's MTCNN.

    python benchmarks/compare_peers.py [--cores 1 2] [--rounds 8] [--json FILE]

The bundled clip is decoded once, for all. Each program runs in an environment and a process of
its own, bound to the same cores, and waits while another one is measured; they take turns in
many short rounds, so that a machine that slows down meets all alike. The environments are made
when they are missing (`--mediapipe-python` and `--facenet-python` take existing ones). To choose
the cores: ``taskset -c 2,3 python benchmarks/compare_peers.py``. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from peers.environments import FACENET, MEDIAPIPE, python_of
from peers.report import AIMS, Row, markdown, ratio
from platformdirs import user_cache_dir

ROOT = Path(__file__).resolve().parent.parent
WORKERS = Path(__file__).resolve().parent / "peers"
ONE_THREAD_POOL = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
LEAST = 5  # pictures in a slice, however slow
CHECKED = 6  # pictures on which both MTCNNs must find the same faces
SAME_IOU = 0.99

sys.path.insert(0, str(ROOT))

from rtrecon.bench.combination import round_order  # noqa: E402
from rtrecon.bench.machine import machine_line  # noqa: E402
from rtrecon.bench.memory_source import forth_and_back  # noqa: E402
from rtrecon.capture import open_source  # noqa: E402
from rtrecon.faces.boxes import iou  # noqa: E402
from rtrecon.files import write_json  # noqa: E402
from rtrecon.host import describe_machine  # noqa: E402

SHOWN = (
    Row("mediapipe", "plain", "MediaPipe Face Mesh, 468 points"),
    Row("mediapipe", "refined", "MediaPipe Face Mesh, refined, 478 points"),
    Row("rtrecon", "frame", "rtrecon, whole frame: dense, metric, with colours and normals"),
    Row("rtrecon", "frame and triangles", "rtrecon, whole frame with triangles"),
    Row("facenet", "detect 80", "facenet-pytorch MTCNN, faces from 80 px"),
    Row("rtrecon", "detect 80", "rtrecon full detection, from 80 px"),
    Row("facenet", "detect 60", "facenet-pytorch MTCNN, from 60 px"),
    Row("rtrecon", "detect 60", "rtrecon full detection, from 60 px"),
    Row("facenet", "detect 20", "facenet-pytorch MTCNN, from 20 px"),
    Row("rtrecon", "detect 20", "rtrecon full detection, from 20 px"),
    Row("rtrecon", "detect live", "rtrecon detection as the live path does it, from 60 px"),
    Row("rtrecon", "track", "rtrecon tracked frame"),
)


class Worker:
    """A program in its own process; it sleeps between two questions."""

    def __init__(
        self, name: str, python: Path, pictures: Path, order: list[int], cpus: list[int]
    ) -> None:
        self.name = name
        bound = cpus if hasattr(os, "sched_setaffinity") else None
        start = {"pictures": str(pictures), "order": order, "cpus": bound, "cores": len(cpus)}
        environment = {**os.environ, **dict.fromkeys(ONE_THREAD_POOL, str(len(cpus)))}
        environment.pop("PYTHONPATH", None)
        if name == "rtrecon":
            environment["PYTHONPATH"] = str(ROOT)
        self._errors = tempfile.TemporaryFile(  # noqa: SIM115  (closed in `close`)
            "w+", encoding="utf-8", errors="replace"
        )
        self._process = subprocess.Popen(
            [str(python), str(WORKERS / f"{name}_worker.py"), json.dumps(start)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self.versions: dict[str, str] = self._read()["versions"]

    def ask(self, job: str, **question: object) -> dict[str, Any]:
        """Put one question, see `peers.worker`.

        Raises:
            SystemExit: the process has ended; its last words are in the message.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"job": job, **question}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; why is said below
        return self._read()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with suppress(OSError):  # what was not read any more is lost with it
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            said = self._errors.read()[-2000:]
            raise SystemExit(f"the {self.name} process ended with {self._process.wait()}:\n{said}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main() -> None:
    options = parse()
    pythons = {
        "mediapipe": python_of(MEDIAPIPE, options.environments, options.mediapipe_python),
        "facenet": python_of(FACENET, options.environments, options.facenet_python),
        "rtrecon": Path(sys.executable),
    }
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    if usable is None:
        print("this system cannot bind a process to cores: threads alone", file=sys.stderr)
        usable = list(range(os.cpu_count() or 1))
    if max(options.cores) > len(usable):
        raise SystemExit(f"--cores {max(options.cores)}: this process may use {len(usable)}")
    machine = describe_machine()
    parts = []
    with tempfile.TemporaryDirectory(prefix="rtrecon-peers-") as folder:
        count, shape = decode(options.source, options.frames, Path(folder))
        order = [forth_and_back(k, count) for k in range(max(1, 2 * count - 2))]
        for cores in options.cores:
            workers = {
                name: Worker(
                    name,
                    python,
                    Path(folder) / ("bgr.npy" if name == "rtrecon" else "rgb.npy"),
                    order,
                    usable[:cores],
                )
                for name, python in pythons.items()
            }
            try:
                parts.append(measure(workers, cores, count, options))
            finally:
                for worker in workers.values():
                    worker.close()
    report = {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "source": {"name": options.source, "pictures": count, "size_px": [shape[1], shape[0]]},
        "machine": machine,
        "machine_line": machine_line(machine),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "aims": [vars(aim) for aim in AIMS],
        "cores": parts,
    }
    print(markdown(report))
    if options.json is not None:
        write_json(options.json, report)
    differing = [p["cores"] for p in parts if not all(s["same"] for s in p["same_faces"].values())]
    if differing:
        raise SystemExit(f"both MTCNNs do not find the same faces (cores {differing})")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="demo", help="clip with one face (default: demo)")
    parser.add_argument("--frames", type=int, default=300, help="its first so many pictures")
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=0.7, help="each, in each round")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--mediapipe-python", type=Path, metavar="PATH")
    parser.add_argument("--facenet-python", type=Path, metavar="PATH")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path(user_cache_dir("rtrecon")) / "peers",
        metavar="DIR",
        help="where environments are made (default: %(default)s)",
    )
    options = parser.parse_args()
    if min(*options.cores, options.rounds, options.frames) < 1 or options.seconds <= 0:
        parser.error("--cores, --rounds, --frames and --seconds must be above zero")
    return options


def decode(source: str, most: int, folder: Path) -> tuple[int, tuple[int, ...]]:
    """Write the pictures as BGR and as RGB, so that no program pays for the conversion."""
    pictures = []
    with open_source(source) as opened:
        for frame in opened:
            pictures.append(np.array(frame.image))
            if len(pictures) >= most:
                break
    if not pictures:
        raise SystemExit(f"{source} holds no picture")
    np.save(folder / "bgr.npy", np.stack(pictures))
    np.save(folder / "rgb.npy", np.stack([cv2.cvtColor(p, cv2.COLOR_BGR2RGB) for p in pictures]))
    return len(pictures), pictures[0].shape


def measure(
    workers: dict[str, Worker], cores: int, count: int, options: argparse.Namespace
) -> dict[str, Any]:
    """All rounds on ``cores`` cores; the first, in which everything warms up, does not count."""
    slices: list[list[dict[str, Any]]] = [[] for _ in SHOWN]
    for number in range(-1, options.rounds):
        print(f"{cores} core(s), round {number + 1} of {options.rounds}", file=sys.stderr)
        for k in round_order(len(SHOWN), max(number, 0)):
            worker = workers[SHOWN[k].program]
            seconds = options.seconds if number >= 0 else min(options.seconds, 0.5)
            answer = worker.ask(SHOWN[k].job, seconds=seconds, least=LEAST)
            if number >= 0:
                slices[k].append(answer)
    rows = {row.key: row.figures(its) for row, its in zip(SHOWN, slices, strict=True)}
    return {
        "cores": cores,
        "versions": {name: worker.versions for name, worker in workers.items()},
        "rows": rows,
        "same_faces": same_faces(workers, count),
        "ratios": [ratio(aim, rows) for aim in AIMS],
    }


def same_faces(workers: dict[str, Worker], count: int) -> dict[str, dict[str, Any]]:
    """How alike the faces of both MTCNNs are, for each smallest face."""
    result = {}
    chosen = np.linspace(0, count - 1, min(CHECKED, count)).astype(int).tolist()
    for job in [row.job for row in SHOWN if row.program == "facenet"]:
        theirs = workers["facenet"].ask(job, pictures=chosen)["faces"]
        ours = workers["rtrecon"].ask(job, pictures=chosen)["faces"]
        overlaps, offsets = [], []
        same = sum(len(faces) for faces in theirs) > 0
        for one, other in zip(theirs, ours, strict=True):
            same = same and len(one) == len(other)
            for face in one:
                match = (
                    max(
                        other,
                        key=lambda f, face=face: iou(np.array(f["box"]), np.array(face["box"])),
                    )
                    if other
                    else None
                )
                if match is None:
                    same = False
                    continue
                overlaps.append(float(iou(np.array(match["box"]), np.array(face["box"]))))
                apart = np.subtract(match["landmarks"], face["landmarks"])
                offsets.append(float(np.abs(apart).max()))
        result[job] = {
            "same": bool(same and min(overlaps, default=0.0) > SAME_IOU),
            "faces": len(overlaps),
            "pictures": len(chosen),
            "least_iou": min(overlaps, default=None),
            "landmarks_off_px": max(offsets, default=None),
        }
    return result


if __name__ == "__main__":
    main()
