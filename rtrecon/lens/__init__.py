"""Calibration of cameras: a printed board, views of it, and the lens that explains them."""

from rtrecon.lens.board import Board, BoardView
from rtrecon.lens.solve import CalibratedLens, calibrate_lens
from rtrecon.lens.views import ViewCollector

__all__ = ["Board", "BoardView", "CalibratedLens", "ViewCollector", "calibrate_lens"]
