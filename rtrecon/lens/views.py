"""Which views of a board are worth keeping, and what to show next.

As ROS's camera_calibration does it: a view is told by where the board is, how large, and how
tilted; it is kept where no other is like it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from rtrecon.lens.board import Board, BoardView
from rtrecon.types import BgrImage, Float64Array

__all__ = ["GRID", "MOST_VIEWS", "ViewCollector"]

GRID = 5
"""Rows and columns of the cells of the picture that corners must have been in."""
MOST_VIEWS = 40
_ENOUGH_VIEWS = 12
_ENOUGH_CELLS = 0.8
_ENOUGH_TILT = 0.18  # of the near to the far side, either way, in both directions
_DIFFERENT = 0.12  # in at least one of: x, y, size, tilts; shares
_STILL = 0.004  # of the picture's width that corners may go between two pictures


class _Pose(NamedTuple):
    """Where a board is: shares of the picture, and how much one side seems longer."""

    x: float
    y: float
    size: float
    tilt_x: float
    tilt_y: float


class ViewCollector:
    """Keeps views of ``board`` in pictures of ``width`` x ``height`` until they are enough.

    Args:
        board: what to look for.
        width, height: of the pictures.
        must_be_still: leave out pictures in which the board moves: a hand's blur.

    Attributes:
        views: those kept.
        last: the board in the picture seen last, kept or not; None: it was not seen.
    """

    def __init__(self, board: Board, width: int, height: int, *, must_be_still: bool) -> None:
        self.board, self.size = board, (width, height)
        self.views: list[BoardView] = []
        self.last: BoardView | None = None
        self._must_be_still = must_be_still
        self._poses: list[_Pose] = []
        self._cells = np.zeros((GRID, GRID), bool)

    def look(self, image: BgrImage) -> bool:
        """Look at a picture; whether its view was kept."""
        before, self.last = self.last, self.board.find(image)
        view = self.last
        if view is None or len(self.views) >= MOST_VIEWS:
            return False
        if self._must_be_still and not (before is not None and self._is_still(before, view)):
            return False
        pose = self._pose(view)
        if any(_distance(pose, other) < _DIFFERENT for other in self._poses):
            return False
        self._poses.append(pose)
        self.views.append(view)
        cells = np.floor(view.corners_px / self.size * GRID).astype(int)
        x, y = np.clip(cells, 0, GRID - 1).T
        self._cells[y, x] = True
        return True

    @property
    def cells(self) -> Float64Array:
        """(GRID, GRID): 1 where corners were seen, from the top left."""
        return self._cells.astype(np.float64)

    @property
    def share(self) -> float:
        """How much of what is needed is there, 0 to 1."""
        tilts = [min(1.0, abs(tilt) / _ENOUGH_TILT) for tilt in self._tilts()]
        parts = (
            min(1.0, len(self.views) / _ENOUGH_VIEWS),
            min(1.0, float(self._cells.mean()) / _ENOUGH_CELLS),
            sum(tilts) / len(tilts),
        )
        return sum(parts) / len(parts)

    @property
    def is_done(self) -> bool:
        """Whether the views are enough."""
        return self.share >= 1.0

    @property
    def wish(self) -> str:
        """What to do next, in words for who holds the board."""
        if self.last is None:
            return f"show the board ({self.board}), whole and in even light"
        left, right, up, down = self._tilts()
        for tilt, side in ((left, "left"), (right, "right"), (up, "upper"), (down, "lower")):
            if tilt < _ENOUGH_TILT and len(self.views) >= 3:
                return f"turn the board so that its {side} side is nearer, by about 30 degrees"
        if float(self._cells.mean()) < _ENOUGH_CELLS:
            y, x = np.argwhere(~self._cells)[0]
            rows = ("upper", "upper", "middle", "lower", "lower")
            columns = ("left", "left", "middle", "right", "right")
            return f"bring the board to the {rows[y]} {columns[x]} of the picture, up to its edge"
        return "show it nearer, farther and tilted in other ways"

    def _tilts(self) -> tuple[float, float, float, float]:
        """The most so far with the left, right, upper and lower side nearer; zero or above."""
        x = [pose.tilt_x for pose in self._poses] or [0.0]
        y = [pose.tilt_y for pose in self._poses] or [0.0]
        return max(0.0, *x), max(0.0, *(-v for v in x)), max(0.0, *y), max(0.0, *(-v for v in y))

    def _is_still(self, before: BoardView, now: BoardView) -> bool:
        known = {tuple(corner): k for k, corner in enumerate(before.corners_board.tolist())}
        both = [
            (known[tuple(corner)], k)
            for k, corner in enumerate(now.corners_board.tolist())
            if tuple(corner) in known
        ]
        if not both:
            return False
        then, here = np.array(both).T
        moved = now.corners_px[here] - before.corners_px[then]
        return float(np.median(np.linalg.norm(moved, axis=1))) < _STILL * self.size[0]

    def _pose(self, view: BoardView) -> _Pose:
        H, _ = cv2.findHomography(view.corners_board[:, :2], view.corners_px)
        columns, rows = self.board.columns, self.board.rows
        outline = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64)
        corners = cv2.perspectiveTransform(outline[None], H)[0]
        x, y = view.corners_px.mean(axis=0) / self.size
        area = abs(float(cv2.contourArea(corners.astype(np.float32))))
        size = float(np.sqrt(area / (self.size[0] * self.size[1])))
        # In the picture's order, however the board is held: what is said is about the picture.
        corners = np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)
        top, right, bottom, left = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
        return _Pose(float(x), float(y), size, _longer(left, right), _longer(top, bottom))


def _longer(first: float, second: float) -> float:
    """By how much the first is longer, in shares; below zero where the second is."""
    return float(np.log(max(first, 1e-6) / max(second, 1e-6)))


def _distance(a: _Pose, b: _Pose) -> float:
    return max(abs(p - q) for p, q in zip(a, b, strict=True))
