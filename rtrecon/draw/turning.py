"""The head of a face, turned to and fro."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rtrecon.draw.marks import put_large
from rtrecon.draw.raster import BACKGROUND, orbit, paint
from rtrecon.geometry.mesh import UInt8Array
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage

if TYPE_CHECKING:
    from rtrecon.draw.live_head import HeadView, LiveHead

__all__ = ["NO_FACE", "TurningHead", "cut_out", "dimmed", "largest"]

NO_FACE = "no face"
_TURN_S, _YAW_DEG, _PITCH_DEG = 4.0, 38.0, 8.0
_EXTENT_M = 0.33
_LEAST_STEP_S = 0.06  # a head costs as much as all else of a frame: of 30 a second every second one
_DIM = 0.4


class TurningHead:
    """Draws the largest face's head; once there is none, the last one that was, dimmed.

    It remembers what was seen of each person. For one thread.
    """

    def __init__(self) -> None:
        self._heads: LiveHead | None = None
        self._last: HeadView | None = None
        self._drawn: tuple[float, BgrImage] | None = None

    def draw(
        self, faces: Sequence[FaceReconstruction], size_px: tuple[int, int], t_s: float
    ) -> BgrImage:
        """(height, width, 3) uint8 BGR; what was drawn less than 0.06 s before is drawn again.

        Args:
            faces: of one frame.
            size_px: width and height; as high as 33 cm at the face.
            t_s: since the first.

        Raises:
            ModelError: the head model is not installed, or damaged.
        """
        width, height = size_px
        if faces and self._drawn is not None:
            at_s, picture = self._drawn
            if 0.0 < t_s - at_s < _LEAST_STEP_S and picture.shape[:2] == (height, width):
                return picture.copy()
        self._drawn = None
        if faces:
            if self._heads is None:
                from rtrecon.draw.live_head import LiveHead  # much to import for runs without it

                self._heads = LiveHead()
            self._last = self._heads(largest(faces), round(t_s * 1e9))
        if self._last is None:
            picture = np.full((height, width, 3), BACKGROUND, dtype=np.uint8)
        else:
            yaw_deg = float(_YAW_DEG * np.sin(2 * np.pi * t_s / _TURN_S))
            picture, _ = paint(
                self._last.surface,
                orbit(yaw_deg, _PITCH_DEG),
                size_px,
                center=self._last.center,
                extent_m=_EXTENT_M,
            )
        if not faces:
            picture = dimmed(picture)
            put_large(picture, NO_FACE)
        else:
            self._drawn = t_s, picture.copy()
        return picture


def cut_out(view: HeadView, size_px: tuple[int, int], yaw_deg: float = 0.0) -> UInt8Array:
    """The head on nothing, (height, width, 4) uint8 BGRA."""
    picture, alpha = paint(
        view.surface,
        orbit(yaw_deg),
        size_px,
        center=view.center,
        extent_m=_EXTENT_M,
        fine=True,
    )
    # What was averaged with the background at the outline is taken apart again.
    share = np.maximum(alpha[..., None].astype(np.float32), 1.0) / 255.0
    own = BACKGROUND + (picture.astype(np.float32) - BACKGROUND) / share
    return np.dstack([np.clip(own, 0, 255).astype(np.uint8), alpha])


def dimmed(picture: BgrImage) -> BgrImage:
    """What was, and is not seen any more: nearer to the background."""
    return np.asarray(BACKGROUND + _DIM * (picture.astype(np.float32) - BACKGROUND), np.uint8)


def largest(faces: Sequence[FaceReconstruction]) -> FaceReconstruction:
    """The face with the widest box."""
    return max(faces, key=lambda face: float(np.ptp(face.box_px[[0, 2]])))
