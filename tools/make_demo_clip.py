"""Make the bundled clip, rtrecon/data/demo.mp4, from the NASA portrait of scikit-image.

A still portrait, moved as a person before a webcam moves: sway, lean, turn of the head's
plane, changes of exposure, sensor noise. 10 s, 640x480, 30 Hz, H.264; the end meets the start.

    pip install scikit-image opencv-python numpy    # and ffmpeg on the PATH
    python tools/make_demo_clip.py
"""

import argparse
import subprocess
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT, RATE_HZ, SECONDS = 640, 480, 30, 10
FACE_CENTER = (224.0, 122.0)
ZOOM = 1.72
BORDER = 160


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="default: skimage.data.astronaut()")
    parser.add_argument("--crf", type=int, default=24, help="H.264 quality")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent.parent / "rtrecon/data/demo.mp4"
    )
    args = parser.parse_args()
    portrait = extended(read_portrait(args.picture))
    encoder = subprocess.Popen(
        ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "bgr24",
         "-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE_HZ), "-i", "-", "-c:v", "libx264",
         "-preset", "veryslow", "-crf", str(args.crf), "-pix_fmt", "yuv420p",
         "-movflags", "+faststart", str(args.out)],
        stdin=subprocess.PIPE,
    )  # fmt: skip
    assert encoder.stdin is not None
    rng = np.random.default_rng(1)
    for k in range(RATE_HZ * SECONDS):
        encoder.stdin.write(frame(portrait, k / (RATE_HZ * SECONDS), rng).tobytes())
    encoder.stdin.close()
    if encoder.wait() != 0:
        raise SystemExit("ffmpeg failed")
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


def read_portrait(path: Path | None) -> np.ndarray:
    if path is not None:
        return cv2.imread(str(path))
    from skimage import data

    return cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR)


def extended(portrait: np.ndarray) -> np.ndarray:
    """The portrait with its background carried on, softly, beyond its borders."""
    wide = cv2.copyMakeBorder(portrait, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REFLECT_101)
    soft = cv2.GaussianBlur(wide, (0, 0), 9)
    weight = np.zeros(wide.shape[:2], np.float32)
    weight[BORDER:-BORDER, BORDER:-BORDER] = 1
    weight = cv2.GaussianBlur(weight, (0, 0), 6)[..., None]
    return (wide * weight + soft * (1 - weight)).astype(np.uint8)


def frame(portrait: np.ndarray, phase: float, rng: np.random.Generator) -> np.ndarray:
    """The picture at ``phase`` in [0, 1) of the clip; all motion is periodic in it."""

    def wave(cycles: int, shift: float = 0.0) -> float:
        return float(np.sin(2 * np.pi * (cycles * phase + shift)))

    zoom = ZOOM * (1 + 0.07 * wave(1, 0.1) + 0.02 * wave(3))
    yaw, pitch = np.radians(9 * wave(1)) + np.radians(3 * wave(3)), np.radians(5 * wave(2, 0.2))
    roll = np.radians(4 * wave(1, 0.35) + 1.2 * wave(4))
    shift = np.array([34 * wave(1, 0.6) + 7 * wave(3), 16 * wave(2, 0.1) + 4 * wave(5)])
    # The portrait as a plane that turns about the face, seen by a camera with this focal length.
    focal = 620.0
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    R = (
        np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    )
    center = np.array(FACE_CENTER) + BORDER
    plane = np.array([[1, 0, -center[0]], [0, 1, -center[1]], [0, 0, 0]], dtype=np.float64)
    pose = R @ plane + np.array([[0, 0, 0], [0, 0, 0], [0, 0, focal / zoom]])
    at = np.array([WIDTH / 2, HEIGHT * 0.46]) + shift
    K = np.array([[focal, 0, at[0]], [0, focal, at[1]], [0, 0, 1]])
    image = cv2.warpPerspective(
        portrait, K @ pose, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    ).astype(np.float32)
    image *= 1 + 0.10 * wave(2, 0.4) + 0.04 * wave(5)
    image += rng.normal(0, 2.2, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
