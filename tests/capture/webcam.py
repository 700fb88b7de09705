"""A webcam for tests: OpenCV's ``VideoCapture`` of the bundled clip, over and over."""

from __future__ import annotations

import time

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.capture.sources import DEMO_CLIP

_VideoCapture = cv2.VideoCapture  # the real one, whatever a test puts in its place


class Webcam:
    """Stands in for ``cv2.VideoCapture`` of a device; the instance is the class, as it were.

    Attributes: ``plugged_in``; ``refused``, the backends that cannot open it; ``opened`` index
    and backend of each try; ``clip``, what it sees; ``asked``, what was set last, by property;
    ``only_size``, which it gives whatever is asked; ``period_s``, how long a picture takes;
    ``released``, how often.
    """

    def __init__(self) -> None:
        self.plugged_in = True
        self.clip = DEMO_CLIP
        self.period_s = 0.0
        self.refused: set[int] = set()
        self.opened: list[tuple[int, int]] = []
        self.asked: dict[int, float] = {}
        self.only_size: tuple[int, int] | None = (640, 480)
        self.released = 0

    def __call__(self, index: int, backend: int) -> _Open:
        self.opened.append((index, backend))
        return _Open(self, works=self.plugged_in and backend not in self.refused)


class _Open:
    """One opened device."""

    def __init__(self, webcam: Webcam, *, works: bool) -> None:
        self._webcam = webcam
        self._works = works
        self._clip = _VideoCapture(str(webcam.clip), cv2.CAP_FFMPEG)

    def isOpened(self) -> bool:
        return self._works

    def set(self, name: int, value: float) -> bool:
        self._webcam.asked[name] = value
        return True

    def get(self, name: int) -> float:
        if self._webcam.only_size is not None:
            width, height = self._webcam.only_size
            fixed = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}
            if name in fixed:
                return float(fixed[name])
        return float(self._webcam.asked.get(name, self._clip.get(name)))

    def grab(self) -> bool:
        if not self._webcam.plugged_in:
            return False
        time.sleep(self._webcam.period_s)
        if self._clip.grab():
            return True
        self._clip.set(cv2.CAP_PROP_POS_FRAMES, 0)
        return bool(self._clip.grab())

    def retrieve(
        self, out: npt.NDArray[np.uint8] | None = None
    ) -> tuple[bool, npt.NDArray[np.uint8] | None]:
        ok, image = self._clip.retrieve() if out is None else self._clip.retrieve(out)
        return ok, image

    def release(self) -> None:
        self._webcam.released += 1
        self._clip.release()
