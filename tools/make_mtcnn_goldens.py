"""Make the pictures of tests/data/faces and what facenet-pytorch's MTCNN answers on them.

Needs an environment of its own (see export_mtcnn.py), with OpenCV:

    mtcnn-env/bin/pip install opencv-python-headless
    mtcnn-env/bin/python tools/make_mtcnn_goldens.py astronaut.png

``astronaut.png`` is NASA's portrait of Eileen Collins, public domain, as scikit-image ships
it (``skimage.data.astronaut``, 512 x 512). Existing pictures are kept unless ``--pictures``
is given, so that the answers can be made again for the very same files.
"""

import argparse
import importlib.metadata
import json
from pathlib import Path

import cv2
import facenet_pytorch
import numpy as np
import torch

PARAMETERS = {"min_face_size": 20, "thresholds": [0.6, 0.7, 0.7], "factor": 0.709}
FACE_CENTER = (225.0, 117.0)
FACE_HEIGHT = 110.0


def paste(
    canvas: np.ndarray,
    portrait: np.ndarray,
    center: tuple[float, float],
    face_px: float,
    roll_deg: float = 0.0,
) -> None:
    """Blend the portrait's head into ``canvas``, its face ``face_px`` high at ``center``."""
    scale = face_px / FACE_HEIGHT
    turn = np.deg2rad(roll_deg)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.column_stack([linear, np.array(center) - linear @ FACE_CENTER])
    size = (canvas.shape[1], canvas.shape[0])
    mask = np.zeros(portrait.shape[:2], dtype=np.float32)
    cv2.ellipse(mask, (225, 117), (85, 105), 0, 0, 360, 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 8)
    # Shrink first: a plain warp of a large shrink aliases.
    blurred = cv2.GaussianBlur(portrait, (0, 0), max(0.4 / scale, 0.3))
    head = cv2.warpAffine(blurred, matrix, size).astype(np.float32)
    weight = cv2.warpAffine(mask, matrix, size)[..., None]
    canvas[:] = np.round(canvas * (1 - weight) + head * weight).astype(np.uint8)


def room(width: int, height: int, seed: int) -> np.ndarray:
    """A smooth, faceless background."""
    noise = np.random.default_rng(seed).uniform(40, 210, (6, 8, 3)).astype(np.float32)
    wall = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(wall, 0, 255).astype(np.uint8)


def pictures(portrait: np.ndarray) -> dict[str, np.ndarray]:
    """Name to BGR picture."""
    made = {"portrait": portrait, "none": room(320, 240, 1)}
    made["none"][60:180, 100:220] = portrait[390:510, 20:140]
    made["small"] = room(320, 240, 2)
    paste(made["small"], portrait, (170, 120), 30)
    made["several"] = room(640, 480, 3)
    paste(made["several"], portrait, (150, 180), 190)
    # Mirrored about the middle of the face.
    mirrored = np.ascontiguousarray(np.roll(portrait[:, ::-1], 450 - 511, axis=1))
    paste(made["several"], mirrored, (420, 150), 110, -8)
    paste(made["several"], portrait, (330, 370), 70, 6)
    paste(made["several"], mirrored, (540, 380), 45)
    made["rotated"] = room(400, 400, 4)
    paste(made["rotated"], portrait, (200, 200), 160, 22)
    noise = np.random.default_rng(5).normal(0, 3, (400, 400, 3))
    made["dark"] = room(400, 400, 5)
    paste(made["dark"], portrait, (210, 190), 140)
    made["dark"] = np.clip(made["dark"] * 0.2 + noise, 0, 255).astype(np.uint8)
    made["border"] = room(320, 240, 6)
    paste(made["border"], portrait, (30, 60), 140)
    paste(made["border"], mirrored, (285, 180), 120)
    made["odd"] = room(331, 187, 7)
    paste(made["odd"], portrait, (160, 90), 120, -10)
    return made


def main() -> None:
    """Write pictures and answers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("portrait", type=Path)
    parser.add_argument("--pictures", action="store_true", help="make the pictures anew")
    default = Path(__file__).parent.parent / "tests/data/faces"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    portrait = cv2.imread(str(options.portrait))
    if portrait is None or portrait.shape != (512, 512, 3):
        raise SystemExit(f"{options.portrait} is not the 512 x 512 portrait")
    reference = facenet_pytorch.MTCNN(keep_all=True, **PARAMETERS)
    answers = []
    for name, picture in pictures(portrait).items():
        path = options.out / f"{name}.jpg"
        if options.pictures or not path.exists():
            cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        image = cv2.imread(str(path))
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        boxes, scores, landmarks = reference.detect(rgb, landmarks=True)
        faces = [] if boxes is None else zip(boxes, scores, landmarks, strict=True)
        answers.append(
            {
                "file": path.name,
                "faces": [
                    {
                        "box": [round(float(v), 3) for v in box],
                        "prob": round(float(score), 6),
                        "landmarks": [[round(float(v), 3) for v in mark] for mark in marks],
                    }
                    for box, score, marks in faces
                ],
            }
        )
        print(f"{path.name}: {len(answers[-1]['faces'])} faces")
    version = importlib.metadata.version("facenet-pytorch")
    golden = {
        "reference": f"facenet-pytorch {version} MTCNN(keep_all=True), float32 CPU, "
        f"torch {torch.__version__}",
        "parameters": PARAMETERS,
        "images": answers,
    }
    text = json.dumps(golden, indent=1) + "\n"
    (options.out / "mtcnn_golden.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
