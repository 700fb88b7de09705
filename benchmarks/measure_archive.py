"""What an archive costs over a plain loop, and what a second core brings: `rtrecon archive`.

    python benchmarks/measure_archive.py [--seconds 60] [--rounds 3] [--workers 2]

Makes as many films as workers from the bundled clip, forward and backward so that nothing jumps,
and reconstructs them in turns: by a plain loop in one process with one thread (`open_source` and a
`Reconstructor`, results dropped), by an archive with one worker, and by one with several on Ray.
Each run is a process of its own. Rates are of the work, from the first task to the last file;
what starting takes is beside them. Needs as many idle cores as workers, and the extra `cluster`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from rtrecon.archive.engine import Engine, HereEngine, RayEngine
from rtrecon.archive.inputs import find_inputs
from rtrecon.archive.job import ArchiveJob
from rtrecon.archive.units import Options
from rtrecon.capture import open_source
from rtrecon.host import describe_machine
from rtrecon.pipeline import Reconstructor
from rtrecon.types import BgrImage

RATE_HZ = 30
MOST_DIFFERENT = 300  # pictures that are kept in memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each film")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--films", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        print(json.dumps(measure(args.child, args.films, args.workers)))
        return
    with tempfile.TemporaryDirectory() as name:
        films = Path(name) / "films"
        films.mkdir()
        for k in range(args.workers):
            write_film(films / f"{k}.mp4", args.seconds)
        found: dict[str, list[dict[str, float]]] = {"loop": [], "one": [], "all": []}
        for turn in range(args.rounds):
            for kind in found:
                found[kind].append(run_child(kind, films, args.workers))
                rate = found[kind][-1]["pictures_per_s"]
                print(f"round {turn + 1}: {kind} {rate:.1f} pictures/s", file=sys.stderr)
    report(found, args.workers)


def run_child(kind: str, films: Path, workers: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", kind, "--films", str(films)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--workers", str(workers)],
        check=True,
        stdout=subprocess.PIPE,
        env=environment,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(kind: str, films: Path, workers: int) -> dict[str, float]:
    """In a process of its own: pictures a second, and seconds that starting takes."""
    start_s = time.perf_counter()
    if kind == "loop":
        return plain_loop(next(films.iterdir()), start_s)
    with tempfile.TemporaryDirectory() as out:
        inputs, _ = find_inputs([str(films)])
        # The archive's defaults.
        job = ArchiveJob(inputs, Options(provider="cpu"), Path(out))
        engine: Engine = HereEngine() if kind == "one" else RayEngine(workers)
        try:
            tally = job.run(engine)
        finally:
            engine.close()
    end_s = time.perf_counter()
    worked_s = tally.pictures / tally.pictures_per_s
    return {"pictures_per_s": tally.pictures_per_s, "start_s": end_s - start_s - worked_s}


def plain_loop(film: Path, start_s: float) -> dict[str, float]:
    pictures = 0
    with Reconstructor(provider="cpu", threads=1) as recon, open_source(film) as source:
        begun_s = time.perf_counter()
        for frame in source:
            recon(frame)
            pictures += 1
        worked_s = time.perf_counter() - begun_s
    return {"pictures_per_s": pictures / worked_s, "start_s": begun_s - start_s}


def report(found: dict[str, list[dict[str, float]]], workers: int) -> None:
    rates = {kind: [run["pictures_per_s"] for run in runs] for kind, runs in found.items()}
    medians = {kind: statistics.median(values) for kind, values in rates.items()}
    overheads = [1.0 - one / loop for one, loop in zip(rates["one"], rates["loop"], strict=True)]
    gains = [many / one for many, one in zip(rates["all"], rates["one"], strict=True)]
    machine = describe_machine()
    print(f"{machine['cpu']}, {machine['cores_usable']} cores, load {machine['load_average_1min']}")
    for kind, title in (
        ("loop", "plain loop, one thread"),
        ("one", "archive, one worker"),
        ("all", f"archive, {workers} workers on Ray"),
    ):
        spread = f"{min(rates[kind]):.1f} to {max(rates[kind]):.1f}"
        start_s = statistics.median(run["start_s"] for run in found[kind])
        print(
            f"{title}: {medians[kind]:.1f} pictures/s ({spread}), {start_s:.1f} s to start and end"
        )
    print(f"overhead over the loop: {statistics.median(overheads):.1%} (demand: under 10 %)")
    print(f"{workers} workers over one: {statistics.median(gains):.2f} (demand: 1.7 for two)")


def write_film(path: Path, seconds: float) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE_HZ)
        stream.options = {"preset": "veryfast", "crf": "20"}
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures_for(round(seconds * RATE_HZ))):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE_HZ)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def pictures_for(count: int) -> Iterator[BgrImage]:
    clip = []
    with open_source("demo") as source:
        for frame in source:
            clip.append(frame.image)
            if len(clip) == MOST_DIFFERENT:
                break
    both = [*clip, *clip[::-1]]
    for number in range(count):
        yield both[number % len(both)]


if __name__ == "__main__":
    main()
