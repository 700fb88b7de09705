"""Does a long run grow? Memory, descriptors and threads over hundreds of thousands of frames.

    python benchmarks/soak.py [--frames 300000] [--model tiny|NAME|DIR] [--out OUTPUT ...]

The whole live path at full speed: the bundled clip over and over (opened anew each time), capture
thread, tracker, network, geometry, expression, and two outputs of its own, one that reads every
result and one too slow to see most of them; ``--out`` adds any that `rtrecon outputs` lists. The
clip jumps at its end, so the face jumps every ten seconds of film too.

``--model tiny`` is a network made on the spot: it answers with what the shipped model says of the
clip's first picture, plus a share of the picture itself, so that all that follows has work. With
``--unplug-every N`` the clip is a camera that fails after every N pictures and is opened again.

A row is printed as it is measured, so that a run that is broken off leaves its table. Exit code 1:
memory, descriptors or threads have grown (`verdict`).
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil

import rtrecon
from rtrecon.bench.memory_source import forth_and_back
from rtrecon.capture import Source
from rtrecon.depth.model import load_depth_model
from rtrecon.faces.align import crop_face
from rtrecon.pipeline import Reconstructor
from rtrecon.result import LiveResult
from rtrecon.types import BgrImage

WARM_SHARE = 0.2  # of the rows: what pools, caches and the allocator take at first
TINY_PX = 64
MOST_GROWTH_MB = 10.0  # between the medians of the first and the last third after that


@dataclass(frozen=True)
class Row:
    """One sample; counts are since the start."""

    frames: int
    minutes: float
    fps: float
    rss_mb: float
    descriptors: int
    threads: int
    with_face: int
    faces_lost: int
    reconnects: int
    values_dropped: int
    written: tuple[int, ...]
    dropped: tuple[int, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=300_000)
    parser.add_argument("--every", type=int, default=5_000, help="frames between samples")
    parser.add_argument("--model", default="tiny", help="tiny, a model's name or its folder")
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--out", action="append", default=[], help="further outputs")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--unplug-every", type=int, default=0)
    parser.add_argument("--json", type=Path, help="the rows, as they are measured")
    args = parser.parse_args()
    logging.getLogger("rtrecon").setLevel(logging.ERROR)  # thousands of reconnects are the point
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_model(Path(folder) / "tiny") if args.model == "tiny" else args.model
        rows = soak(args, model)
    problems = verdict(rows)
    print("\n" + ("; ".join(problems) or "nothing has grown"), flush=True)
    sys.exit(1 if problems else 0)


class Reads(rtrecon.Output):
    """Every result, all of it, and keeps the newest few as a caller might."""

    name = "reads"
    every_result = True

    def __init__(self) -> None:
        self._kept: deque[LiveResult] = deque(maxlen=4)

    def write(self, result: LiveResult) -> None:
        """Read it."""
        for face in result.faces:
            if not np.isfinite(face.T_camera_face).all() or not len(face.points_camera):
                raise rtrecon.OutputError(f"frame {result.frame.index}: a face that is none")
        self._kept.append(result)


class Slow(rtrecon.Output):
    """Too slow for most results: the newest wins."""

    name = "slow"

    def write(self, result: LiveResult) -> None:
        """Work on it for a while."""
        for face in result.faces:
            face.depth_in_frame(result.frame.image.shape)
        time.sleep(0.05)


class Unplugged(Source):
    """A camera of pictures in memory that fails after every ``lasts`` pictures."""

    is_live = True
    name = "camera of the soak"

    def __init__(self, pictures: BgrImage, lasts: int, rate_hz: float = 500.0) -> None:
        super().__init__()
        self._pictures, self._lasts, self._left = pictures, lasts, lasts
        self.rate_hz = rate_hz
        self.height, self.width = pictures.shape[1:3]

    def grab(self) -> bool:
        """At its rate, as often as it lasts."""
        assert self.rate_hz is not None
        time.sleep(1.0 / self.rate_hz)
        self._left -= 1
        return self._left >= 0

    def retrieve(self, out: BgrImage | None = None) -> BgrImage:
        """A copy of the picture."""
        picture = self._pictures[forth_and_back(self._lasts - self._left, len(self._pictures))]
        out = np.empty_like(picture) if out is None else out
        np.copyto(out, picture)
        return out

    def close(self) -> None:
        """No more pictures."""
        self._left = 0

    def again(self) -> Source:
        """The same, whole again."""
        return Unplugged(self._pictures, self._lasts, self.rate_hz or 500.0)


def soak(args: argparse.Namespace, model: str | Path) -> list[Row]:
    config = rtrecon.ReconstructorConfig(
        model=model, provider="cpu", threads=1, faces=args.faces, calibrate=args.calibrate
    )
    source: str | Source = "demo"
    if args.unplug_every:
        with rtrecon.open_source("demo") as clip:
            pictures = np.stack([frame.image for frame in clip][:60])
        source = Unplugged(pictures, args.unplug_every)
    outputs: list[str | rtrecon.Output] = [Reads(), Slow(), *args.out]
    session = rtrecon.live(
        source, outputs=outputs, config=config, every_frame=True, max_frames=args.frames, loop=True
    )
    process, rows, start_s = psutil.Process(), [], time.monotonic()
    next_frame = args.every
    with session:
        names = [o["name"] for o in session.stats()["outputs"]]
        head = ["frames", "min", "fps", "RSS MB", "descriptors", "threads", "with a face",
                "lost", "reconnects", "values dropped",
                *(f"{name}: written / dropped" for name in names)]  # fmt: skip
        print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|", flush=True)
        for _ in session.steps():
            if session.pipeline.stats.frames_processed < next_frame:
                continue
            next_frame += args.every
            rows.append(sample(session, process, start_s, rows[-1] if rows else None))
            print(line(rows[-1]), flush=True)
            if args.json is not None:
                args.json.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    if session.has_failed:
        raise SystemExit("an output has failed")
    return rows


def sample(
    session: rtrecon.LiveSession, process: psutil.Process, start_s: float, before: Row | None
) -> Row:
    gc.collect()  # what is only waiting for the collector is no leak
    stats = session.stats()
    minutes = (time.monotonic() - start_s) / 60.0
    frames = stats["frames_processed"]
    since = (0, 0.0) if before is None else (before.frames, before.minutes)
    return Row(
        frames=frames,
        minutes=round(minutes, 2),
        fps=round((frames - since[0]) / max((minutes - since[1]) * 60.0, 1e-9), 1),
        rss_mb=round(process.memory_info().rss / 2**20, 1),
        descriptors=process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
        threads=process.num_threads(),
        with_face=stats["frames_with_face"],
        faces_lost=stats["tracker"]["faces_lost"],
        reconnects=stats["capture"]["reconnects"],
        values_dropped=stats["values_dropped"],
        written=tuple(output["written"] for output in stats["outputs"]),
        dropped=tuple(output["dropped"] for output in stats["outputs"]),
    )


def line(row: Row) -> str:
    outputs = [f"{w} / {d}" for w, d in zip(row.written, row.dropped, strict=True)]
    cells = [row.frames, f"{row.minutes:.1f}", f"{row.fps:.0f}", f"{row.rss_mb:.1f}",
             row.descriptors, row.threads, row.with_face, row.faces_lost, row.reconnects,
             row.values_dropped, *outputs]  # fmt: skip
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def verdict(rows: Sequence[Row]) -> list[str]:
    """What has grown; nothing where all is well. The first rows are left out."""
    warm = rows[int(WARM_SHARE * len(rows)) :]
    third = len(warm) // 3
    if third == 0:
        return ["too few samples to tell"]
    problems = []
    for what, most in (("rss_mb", MOST_GROWTH_MB), ("descriptors", 0.0), ("threads", 0.0)):
        first, last = (
            float(np.median([getattr(row, what) for row in part]))
            for part in (warm[:third], warm[-third:])
        )
        if last - first > most:
            problems.append(f"{what} has grown from {first:g} to {last:g}")
    return problems


def tiny_model(folder: Path) -> Path:
    """A model that says of every picture what the shipped one says of the clip's first."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    shipped = load_depth_model("face-dpt", provider="cpu", threads=1)
    with rtrecon.open_source("demo") as clip, Reconstructor(provider="cpu", threads=1) as recon:
        image = next(iter(clip)).image
        face = recon.tracker.update(image, 0)[0]
    crop = crop_face(face.face, shipped.crop_spec, shipped.size_px)
    said = shipped.predict(image, [crop])[0]
    assert said.mask_logit is not None
    assert said.expression is not None
    assert said.landmarks68 is not None
    assert said.rotation is not None
    # A ninth of the pixels: the frames, not their pixels, are what is counted here.
    size = TINY_PX
    answers = {
        "relief": cv2.resize(said.value, (size, size), interpolation=cv2.INTER_AREA)[None, None],
        "mask": cv2.resize(said.mask_logit, (size, size), interpolation=cv2.INTER_AREA)[None, None],
        "expression": said.expression[None],
        "landmarks": said.landmarks68[None],
        "rotation": said.rotation[None],
    }
    # How much of the picture is added: a rotation stays one.
    shares = {"relief": 0.002, "mask": 0.1, "expression": 0.1, "landmarks": 0.001, "rotation": 0.0}
    nodes = [
        helper.make_node("ReduceMean", ["image", "over_colours"], ["grey"], keepdims=1),
        helper.make_node("ReduceMean", ["image", "over_all"], ["light"], keepdims=1),
        helper.make_node("Squeeze", ["light", "last"], ["light3"]),
        helper.make_node("Squeeze", ["light", "last_two"], ["light2"]),
    ]
    constants = {
        "over_colours": np.array([1], np.int64),
        "over_all": np.array([1, 2, 3], np.int64),
        "last": np.array([3], np.int64),
        "last_two": np.array([2, 3], np.int64),
    }
    added = {"relief": "grey", "mask": "grey", "expression": "light2", "landmarks": "light3",
             "rotation": "light3"}  # fmt: skip
    for name, answer in answers.items():
        constants[f"{name}_is"] = answer.astype(np.float32)
        constants[f"{name}_share"] = np.array([shares[name]], np.float32)
        nodes += [
            helper.make_node("Mul", [added[name], f"{name}_share"], [f"{name}_adds"]),
            helper.make_node("Add", [f"{name}_is", f"{name}_adds"], [name]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, size, size])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *answer.shape[1:]])
            for name, answer in answers.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    folder.mkdir(parents=True)
    onnx.save(made, folder / "model.onnx")
    manifest = {
        "name": "tiny",
        "kind": "relief",
        "relief_along": "ray" if shipped.manifest.along_ray else "axis",
        "input": {"name": "image", "size": [size, size], "color": "RGB", "range": [0, 1]},
        "outputs": {name: name for name in answers},
        "expression_names": list(shipped.expression_names),
        "crop": {"kind": "landmarks", "side": shipped.crop_spec.side},
    }
    (folder / "model.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()
