"""Pictures of a board by a known camera, lens and all: what a calibration must find again."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from rtrecon.lens.board import Board
from rtrecon.types import BgrImage, Intrinsics

TRUE = Intrinsics(610.0, 606.0, 326.0, 233.0, 640, 480, (-0.14, 0.06, 0.001, -0.0015))
_SQUARE_PX = 80
_MARGIN = 1  # squares of white about it


def picture(
    board: Board, camera: Intrinsics, turn_deg: tuple[float, float, float], at: tuple[float, ...]
) -> BgrImage:
    """``board`` with squares of 28 mm, turned about x, y, z, its middle ``at`` in metres."""
    drawn = cv2.copyMakeBorder(
        board.draw(_SQUARE_PX), *[_MARGIN * _SQUARE_PX] * 4, cv2.BORDER_CONSTANT, value=(255,)
    )
    drawn = cv2.GaussianBlur(drawn, None, 1.2)  # of it a pixel sees about two
    R = np.eye(3)
    for axis, angle in enumerate(np.radians(turn_deg)):
        turn = np.zeros(3)
        turn[axis] = angle
        R = cv2.Rodrigues(turn)[0] @ R
    middle = 0.028 * np.array([board.columns, board.rows, 0]) / 2
    T = np.array(at) - R @ middle
    y, x = np.mgrid[0 : camera.height, 0 : camera.width]
    pixels = np.stack([x, y], -1).reshape(-1, 1, 2)
    rays = cv2.undistortPoints(
        pixels.astype(np.float64),
        camera.matrix(),
        np.array(camera.dist),
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 1e-7),
    ).reshape(-1, 2)
    rays = np.column_stack([rays, np.ones(len(rays))])
    depth = (R[:, 2] @ T) / (rays @ R[:, 2])
    on_board = (rays * depth[:, None] - T) @ R / 0.028
    source = ((on_board[:, :2] + _MARGIN) * _SQUARE_PX - 0.5).astype(np.float32)
    source = source.reshape(camera.height, camera.width, 2)
    seen = cv2.remap(drawn, source, None, cv2.INTER_LINEAR, borderValue=(90.0,))
    noise = np.random.default_rng(0).normal(0, 2, seen.shape)
    grey = np.clip(seen * 0.8 + 20 + noise, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))


def pictures(board: Board, camera: Intrinsics = TRUE) -> Iterator[BgrImage]:
    """As a person would show it: at the edges, near, far, tilted to each side."""
    for x, y in ((-0.12, -0.08), (0.12, -0.08), (-0.12, 0.08), (0.12, 0.08), (0.0, 0.0)):
        yield picture(board, camera, (20 * np.sign(y), -20 * np.sign(x), 3), (x, y, 0.45))
    for turn in ((35, 0, 0), (-35, 0, 0), (0, 35, 0), (0, -35, 5), (25, 25, 10), (-25, 25, -8)):
        yield picture(board, camera, turn, (0.0, 0.0, 0.42))
    for x, y, z in ((-0.1, 0, 0.55), (0.1, 0, 0.6), (0, -0.06, 0.36), (0, 0.06, 0.36)):
        yield picture(board, camera, (12, -15, 2), (x, y, z))
