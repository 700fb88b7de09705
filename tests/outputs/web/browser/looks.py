"""What a screenshot shows, in numbers."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from rtrecon.types import BgrImage

CANVAS = "rtreconPage.stage.canvas"


def view(page: Any) -> BgrImage:
    """The 3D view as it is on the screen (h, w, 3), without what lies over it at its edges."""
    box = page.evaluate(
        f"""() => {{
            const {{x, y, width, height}} = {CANVAS}.getBoundingClientRect();
            return {{x, y, width, height}};
        }}"""
    )
    png = page.screenshot(clip=box)
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def middle(image: BgrImage) -> BgrImage:
    """Where a followed face is: the middle half of the shorter side."""
    height, width = image.shape[:2]
    half = min(height, width) // 4
    y, x = height // 2, width // 2
    return image[y - half : y + half, x - half : x + half]


def skin_share(image: BgrImage) -> float:
    """Share of pixels as red, and as bright, as this clip's face (and as no background of ours)."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hue, saturation, value = (hsv[:, :, k].astype(int) for k in range(3))
    return float(((hue < 22) & (saturation > 40) & (saturation < 190) & (value > 90)).mean())


def changed_share(before: BgrImage, after: BgrImage, levels: int = 12) -> float:
    """Share of pixels that differ by more than so many grey levels."""
    difference = np.abs(before.astype(int) - after.astype(int)).max(axis=2)
    return float((difference > levels).mean())
