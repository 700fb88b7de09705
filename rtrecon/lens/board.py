"""Boards of squares: drawn to be printed, and found in pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.errors import ArgumentError
from rtrecon.types import BgrImage, Float32Array

__all__ = ["PAPERS_MM", "Board", "BoardView"]

PAPERS_MM = {"a4": (297.0, 210.0), "letter": (279.4, 215.9), "a3": (420.0, 297.0)}
"""Width and height of sheets, lying."""
_PRINT_DPI = 300
_MARGIN_MM = 12.0  # what printers leave white, and room for the line of text
_MARKER_SHARE = 0.74  # of a square
_LEAST_CORNERS = 8
_SEARCHED_PX = 1280  # pictures wider than that are searched small first


@dataclass(frozen=True, slots=True, eq=False)
class BoardView:
    """A board in a picture.

    ``corners_board`` (n, 3) float32 in squares, z 0; ``corners_px`` (n, 2) float32.
    """

    corners_board: Float32Array
    corners_px: Float32Array


@dataclass(frozen=True)
class Board:
    """A chessboard, or a ChArUco board, whose markers say which corner is which: it may be seen
    in part, so that corners of the picture are reached.

    Args:
        kind: ``charuco`` or ``chessboard``.
        columns, rows: squares, 4 to 20. Of a chessboard one must be even and the other odd, or it
            would look the same upside down.

    Raises:
        ArgumentError: there is no such board.
    """

    kind: Literal["charuco", "chessboard"] = "charuco"
    columns: int = 9
    rows: int = 6

    def __post_init__(self) -> None:
        if not (4 <= self.columns <= 20 and 4 <= self.rows <= 20):
            raise ArgumentError(
                f"a board has 4 to 20 squares a side, such as 9x6, not {self.columns}x{self.rows}"
            )
        if self.kind == "chessboard" and self.columns % 2 == self.rows % 2:
            raise ArgumentError(
                f"a chessboard of {self.columns}x{self.rows} squares looks the same upside down: "
                f"take {self.columns}x{self.rows + 1}, or a charuco board"
            )

    def __str__(self) -> str:
        return f"{self.kind} {self.columns}x{self.rows}"

    @cached_property
    def _charuco(self) -> Any:
        # The smallest dictionary of OpenCV's that has enough markers: they differ the most.
        markers = self.columns * self.rows // 2
        name = next(n for n in (50, 100, 250) if n >= markers)
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_5X5_{name}"))
        return cv2.aruco.CharucoBoard((self.columns, self.rows), 1.0, _MARKER_SHARE, dictionary)

    @cached_property
    def _detector(self) -> Any:
        return cv2.aruco.CharucoDetector(self._charuco)

    def draw(self, square_px: int) -> npt.NDArray[np.uint8]:
        """(rows * square_px, columns * square_px) uint8, grey: the board without a margin."""
        size = (self.columns * square_px, self.rows * square_px)
        if self.kind == "charuco":
            drawn = self._charuco.generateImage(size, marginSize=0)
            return np.asarray(drawn, dtype=np.uint8)
        y, x = np.mgrid[0 : self.rows, 0 : self.columns]
        squares = np.where((x + y) % 2 == 0, 0, 255).astype(np.uint8)
        return np.asarray(squares.repeat(square_px, 0).repeat(square_px, 1))

    def page(self, paper: str) -> tuple[npt.NDArray[np.uint8], float, int]:
        """A sheet to print: (H, W) uint8 grey, the side of a square in mm, dots an inch.

        The squares are the largest whole millimetres that fit; a line says what to measure.

        Raises:
            ArgumentError: the paper is not known.
        """
        if paper not in PAPERS_MM:
            raise ArgumentError(f"paper is one of {', '.join(PAPERS_MM)}, not {paper!r}")
        width_mm, height_mm = PAPERS_MM[paper]
        if self.rows > self.columns:
            width_mm, height_mm = height_mm, width_mm
        square_mm = float(
            min(
                (width_mm - 2 * _MARGIN_MM) // self.columns,
                (height_mm - 2 * _MARGIN_MM) // self.rows,
            )
        )
        dot = _PRINT_DPI / 25.4
        sheet = np.full((round(height_mm * dot), round(width_mm * dot)), 255, np.uint8)
        size = (round(self.columns * square_mm * dot), round(self.rows * square_mm * dot))
        board = cv2.resize(self.draw(240), size, interpolation=cv2.INTER_AREA)
        board = np.where(board > 127, 255, 0).astype(np.uint8)
        top, left = (sheet.shape[0] - size[1]) // 2, (sheet.shape[1] - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = board
        words = (
            f"rtrecon  {self}, squares of {square_mm:g} mm: print at 100 %, glue it onto a board"
        )
        at = (left, top + size[1] + round(6 * dot))
        cv2.putText(sheet, words, at, cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0,), 2, cv2.LINE_AA)
        return sheet, square_mm, _PRINT_DPI

    def encode_page(self, paper: str, suffix: str) -> bytes:
        """`page` as the contents of a ``.png`` or ``.pdf`` file that knows its true size.

        Raises:
            ArgumentError: the paper or the suffix is not known.
        """
        kinds = {".png": "PNG", ".pdf": "PDF"}
        if suffix.lower() not in kinds:
            raise ArgumentError(f"a board is written as .pdf or .png, not {suffix!r}")
        from PIL import Image

        sheet, _, dpi = self.page(paper)
        written = io.BytesIO()
        image = Image.fromarray(sheet)
        if suffix.lower() == ".pdf":
            image.convert("1").save(written, "PDF", resolution=float(dpi), title=f"rtrecon {self}")
        else:
            image.convert("L").save(written, "PNG", dpi=(dpi, dpi), optimize=True)
        return written.getvalue()

    def find(self, image: BgrImage) -> BoardView | None:
        """The board in a picture, (H, W, 3) uint8 BGR; None where it is not seen well enough."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        return self._find_markers(grey) if self.kind == "charuco" else self._find_squares(grey)

    def _find_markers(self, grey: npt.NDArray[np.uint8]) -> BoardView | None:
        corners, ids, _, _ = self._detector.detectBoard(grey)
        if corners is None or ids is None or len(corners) < _LEAST_CORNERS:
            return None
        known = np.asarray(self._charuco.getChessboardCorners(), np.float32)[np.ravel(ids)]
        # Of one row alone no plane can be told.
        if len(np.unique(known[:, 0])) < 3 or len(np.unique(known[:, 1])) < 3:
            return None
        return BoardView(known, np.asarray(corners, np.float32).reshape(-1, 2))

    def _find_squares(self, grey: npt.NDArray[np.uint8]) -> BoardView | None:
        inner = (self.columns - 1, self.rows - 1)
        scale = min(1.0, _SEARCHED_PX / max(grey.shape))
        if scale < 1.0:
            # Without a board the search of a large picture takes a second.
            small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            if not cv2.checkChessboard(small, inner):
                return None
        elif not cv2.checkChessboard(grey, inner):
            return None
        found, corners = cv2.findChessboardCornersSB(grey, inner)
        if not found:
            return None
        y, x = np.mgrid[1 : self.rows, 1 : self.columns]
        known = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], axis=1).astype(np.float32)
        return BoardView(known, np.asarray(corners, np.float32).reshape(-1, 2))
