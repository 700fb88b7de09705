"""A plain window while a camera is calibrated: its picture, mirrored, and what is missing."""

from __future__ import annotations

import logging
import os

import cv2
import numpy as np

from rtrecon.lens.views import GRID, ViewCollector
from rtrecon.outputs.window.display import has_display
from rtrecon.types import BgrImage

__all__ = ["BoardWindow", "open_window"]

logger = logging.getLogger(__name__)

_TITLE = "rtrecon calibrate-camera (q: close)"
_GREEN, _WHITE, _BLACK = (80, 200, 80), (255, 255, 255), (0, 0, 0)


def open_window() -> BoardWindow | None:
    """A window where there is a display, and OpenCV can open windows on it."""
    displayed, reason = has_display()
    if not displayed:
        logger.debug("no window: %s", reason)
        return None
    # OpenCV's Qt says of each text that it brings no fonts of its own; the system's are taken.
    os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
    try:
        return BoardWindow()
    except cv2.error as error:
        logger.info("no window: this OpenCV opens none (%s)", str(error).strip().split("\n")[-1])
        return None


class BoardWindow:
    """The window; used by the main thread alone."""

    def __init__(self) -> None:
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)

    def show(self, image: BgrImage, collector: ViewCollector) -> bool:
        """Draw; False once the user has closed it."""
        cv2.imshow(_TITLE, draw_guide(image, collector))
        key = cv2.waitKey(1) & 0xFF
        if key in (27, ord("q")) or cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self.close()
            return False
        return True

    def close(self) -> None:
        """Take it away."""
        try:
            cv2.destroyWindow(_TITLE)
        except cv2.error:
            logger.debug("the window was gone", exc_info=True)


def draw_guide(image: BgrImage, collector: ViewCollector) -> BgrImage:
    """The picture as in a mirror: cells that are covered, corners, and what to do next.

    (H, W, 3) uint8 BGR, new.
    """
    height, width = image.shape[:2]
    shade = np.zeros_like(image)
    for y, x in np.argwhere(collector.cells > 0):
        first = (int(x * width / GRID), int(y * height / GRID))
        last = (int((x + 1) * width / GRID) - 1, int((y + 1) * height / GRID) - 1)
        cv2.rectangle(shade, first, last, _GREEN, -1)
    drawn = cv2.addWeighted(image, 1.0, shade, 0.25, 0.0)
    if collector.last is not None:
        for x, y in collector.last.corners_px:
            cv2.circle(drawn, (round(float(x)), round(float(y))), 3, _GREEN, -1, cv2.LINE_AA)
    drawn = np.ascontiguousarray(drawn[:, ::-1])
    scale = width / 1100
    words = f"{round(100 * collector.share)} %  {collector.wish}"
    at = (round(12 * scale), height - round(16 * scale))
    for colour, thick in ((_BLACK, 4), (_WHITE, 1)):
        cv2.putText(
            drawn,
            words,
            at,
            cv2.FONT_HERSHEY_SIMPLEX,
            0.7 * scale,
            colour,
            max(1, round(thick * scale)),
            cv2.LINE_AA,
        )
    return np.asarray(drawn, dtype=np.uint8)
