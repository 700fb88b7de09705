"""Time this project's face detector and tracker against facenet-pytorch's MTCNN.

In one process, on the same frames, in interleaved rounds, with the same number of threads.
Needs the environment of export_mtcnn.py, with OpenCV:

    mtcnn-env/bin/pip install onnxruntime opencv-python-headless
    PYTHONPATH=. mtcnn-env/bin/python benchmarks/compare_mtcnn.py [--threads 2]
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import facenet_pytorch
import numpy as np
import torch

from rtrecon.faces.boxes import iou
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.faces.tracker import FaceTracker

PORTRAIT = Path(__file__).parent.parent / "tests/data/faces/portrait.jpg"


def frames(width: int, height: int, count: int) -> list[np.ndarray]:
    """A portrait that moves a little, ``height`` x ``width``."""
    portrait = cv2.imread(str(PORTRAIT))
    pictures = []
    for k in range(count):
        scale = height / 480 * (1.3 + 0.1 * np.sin(0.3 * k))
        x, y = width / 2 + 0.06 * width * np.sin(0.2 * k), height / 2
        matrix = np.array([[scale, 0, x - scale * 225], [0, scale, y - scale * 117]])
        pictures.append(
            cv2.warpAffine(portrait, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        )
    return pictures


def rounds(contestants: dict[str, Callable[[int], object]], count: int) -> dict[str, float]:
    """Median milliseconds of each, a frame of each in turn."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for k in range(-2, count):
        for name, run in contestants.items():
            start = time.perf_counter()
            run(max(k, 0))
            if k >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--frames", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    ours = Mtcnn(threads=options.threads)
    pictures = frames(640, 480, options.frames)
    colours = [cv2.cvtColor(p, cv2.COLOR_BGR2RGB) for p in pictures]
    print(f"640x480, {options.threads} thread(s), median ms")
    for least in (20, 60, 80):
        theirs = facenet_pytorch.MTCNN(keep_all=True, min_face_size=least)
        for picture, colour in zip(pictures[::7], colours[::7], strict=True):
            boxes, _ = theirs.detect(colour)
            found = ours.detect(picture, least)
            same = len(boxes) == len(found)
            same = same and all(iou(f.box_px, b) > 0.95 for f, b in zip(found, boxes, strict=True))
            if not same:
                raise SystemExit(f"not the same faces from {least} px: {boxes}, {found}")
        tracker = FaceTracker(ours, redetect_every=10**6)
        clock = iter(range(10**9))
        medians = rounds(
            {
                "facenet-pytorch": lambda k, theirs=theirs: theirs.detect(colours[k]),
                "detect": lambda k, least=least: ours.detect(pictures[k], least),
                "live": lambda k, least=least: ours.detect_live(pictures[k], least),
                "tracked": lambda k, tracker=tracker, clock=clock: tracker.update(
                    pictures[k], next(clock) * 33_000_000
                ),
            },
            options.frames,
        )
        reference = medians["facenet-pytorch"]
        row = ", ".join(f"{n} {v:.2f} ({reference / v:.1f}x)" for n, v in medians.items())
        print(f"faces from {least} px: {row}")
    for width, height in ((640, 480), (1280, 720), (1920, 1080), (3840, 2160)):
        large = frames(width, height, 6)
        tracker = FaceTracker(ours, redetect_every=10**6)
        clock = iter(range(10**9))
        medians = rounds(
            {
                "live": lambda k, large=large: ours.detect_live(large[k % 6]),
                "tracked": lambda k, large=large, tracker=tracker, clock=clock: tracker.update(
                    large[k % 2], next(clock) * 33_000_000
                ),
            },
            options.frames,
        )
        print(f"{width}x{height}: " + ", ".join(f"{n} {v:.2f}" for n, v in medians.items()))


if __name__ == "__main__":
    main()
