"""Moving pictures of a real portrait, with the truth about where its face is."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

DATA = Path(__file__).parents[1] / "data" / "faces"
LANDMARKS = np.array(
    [[205.0, 101.7], [246.8, 103.7], [224.7, 129.0], [201.7, 139.2], [245.3, 141.9]]
)
"""Of portrait.jpg, as facenet-pytorch has them."""
CENTER = LANDMARKS.mean(axis=0)
HEIGHT = 110.0  # of the face's box in portrait.jpg


@dataclass(frozen=True)
class Pose:
    """Where the face is: centre of its landmarks, height of its box, roll."""

    x: float
    y: float
    height_px: float = 140.0
    roll_rad: float = 0.0

    def matrix(self):
        scale = self.height_px / HEIGHT
        turn = scale * np.array(
            [
                [np.cos(self.roll_rad), -np.sin(self.roll_rad)],
                [np.sin(self.roll_rad), np.cos(self.roll_rad)],
            ]
        )
        return np.column_stack([turn, np.array([self.x, self.y]) - turn @ CENTER])

    def landmarks(self):
        M = self.matrix()
        return LANDMARKS @ M[:, :2].T + M[:, 2]


def portrait(tint=None, mirrored=False):
    """The portrait, perhaps with other colours or mirrored about its face: another person."""
    image = cv2.imread(str(DATA / "portrait.jpg"))
    if tint is not None:
        image = np.clip(image * np.array(tint), 0, 255).astype(np.uint8)
    if mirrored:
        image = np.ascontiguousarray(np.roll(image[:, ::-1], round(2 * CENTER[0]) - 511, axis=1))
    return image


def scene(people, width=640, height=480, noise=None, gain=1.0):
    """(H, W, 3) uint8: ``people`` (portrait, pose) pasted from far to near on a plain wall."""
    picture = np.full((height, width, 3), 120, dtype=np.uint8)
    mask = np.zeros((512, 512), dtype=np.uint8)
    cv2.ellipse(mask, (225, 117), (80, 100), 0, 0, 360, 255, -1)
    for image, pose in people:
        M = pose.matrix()
        head = cv2.warpAffine(image, M, (width, height))
        inside = cv2.warpAffine(mask, M, (width, height)) > 127
        picture[inside] = head[inside]
    if noise is None and gain == 1.0:
        return picture
    bright = picture.astype(np.float32) * np.float32(gain)
    if noise is not None:
        bright += 4 * noise.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(bright, 0, 255).astype(np.uint8)


def unit(landmarks):
    """Length of a face: the larger of the eyes-to-mouth and the eye distance."""
    down = landmarks[3:].mean(axis=0) - landmarks[:2].mean(axis=0)
    return max(np.linalg.norm(down), np.linalg.norm(landmarks[1] - landmarks[0]))
