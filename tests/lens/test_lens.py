"""A board in pictures of a known camera gives that camera again."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from rtrecon.errors import ArgumentError, DataError
from rtrecon.lens import Board, BoardView, ViewCollector, calibrate_lens
from rtrecon.types import BgrImage
from tests.lens.scene import TRUE, picture, pictures

CHARUCO, CHESSBOARD = Board(), Board("chessboard")


@pytest.fixture(scope="module")
def shown() -> dict[str, list[BgrImage]]:
    return {board.kind: list(pictures(board)) for board in (CHARUCO, CHESSBOARD)}


@pytest.mark.parametrize("board", [CHARUCO, CHESSBOARD], ids=str)
def test_the_true_camera_is_found(shown: dict[str, list[BgrImage]], board: Board) -> None:
    collector = ViewCollector(board, 640, 480, must_be_still=False)
    assert "show the board" in collector.wish
    shares = []
    for image in shown[board.kind]:
        collector.look(image)
        shares.append(collector.share)
    assert shares == sorted(shares)
    assert shares[3] < 0.9
    assert collector.is_done
    assert not collector.look(shown[board.kind][-1])  # it is known already
    lens = calibrate_lens(collector.views, 640, 480)
    found = lens.intrinsics
    assert found.fx == pytest.approx(TRUE.fx, rel=0.005)
    assert found.fy == pytest.approx(TRUE.fy, rel=0.005)
    assert (found.cx, found.cy) == pytest.approx((TRUE.cx, TRUE.cy), abs=2.5)
    assert found.dist == pytest.approx(TRUE.dist, abs=0.02)
    assert lens.rms_px < 0.3
    assert (lens.views, lens.left_out) == (len(collector.views), 0)


def test_words_say_what_is_missing() -> None:
    collector = ViewCollector(CHARUCO, 640, 480, must_be_still=False)
    for x in (-0.1, 0.0, 0.1):
        collector.look(picture(CHARUCO, TRUE, (0, 0, 0), (x, 0, 0.5)))
    assert "left side is nearer" in collector.wish
    collector.look(picture(CHARUCO, TRUE, (0, 35, 180), (0, 0, 0.5)))  # upside down as well
    collector.look(picture(CHARUCO, TRUE, (0, 35, 0), (0, 0, 0.5)))
    assert "upper side is nearer" in collector.wish
    for turn in (38, -38):
        collector.look(picture(CHARUCO, TRUE, (turn, 0, 0), (0, 0, 0.45)))
    assert "bring the board to the upper" in collector.wish


def test_a_board_that_moves_is_waited_for() -> None:
    collector = ViewCollector(CHARUCO, 640, 480, must_be_still=True)
    places = (0.0, 0.03, 0.06, 0.0601)
    kept = [collector.look(picture(CHARUCO, TRUE, (0, 9, 0), (x, 0, 0.5))) for x in places]
    assert kept == [False, False, False, True]


def test_a_part_of_a_charuco_board_is_enough() -> None:
    image = picture(CHARUCO, TRUE, (10, 20, 0), (0.12, 0.06, 0.4))
    view = CHARUCO.find(image)
    assert view is not None
    assert 8 <= len(view.corners_px) < 40
    assert CHESSBOARD.find(image) is None


@pytest.mark.parametrize("board", [CHARUCO, CHESSBOARD], ids=str)
def test_no_board(board: Board) -> None:
    assert board.find(np.full((480, 640, 3), 128, np.uint8)) is None
    assert board.find(np.zeros((1080, 1920, 3), np.uint8)) is None


def projected(turns: list[tuple[float, float, float]], bend: float = 0.0) -> list[BoardView]:
    """Corners alone, of a board that may be bent by so many squares."""
    y, x = np.mgrid[1:6, 1:9].astype(np.float64)
    flat = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], 1)
    bent = flat + np.stack([0 * x.ravel(), 0 * x.ravel(), bend * (x.ravel() - 4.5) ** 2 / 16], 1)
    views = []
    for k, turn in enumerate(turns):
        at = np.array([-4.5 + 0.7 * (k % 3 - 1), -3.0, 16.0 + k % 2])
        seen, _ = cv2.projectPoints(bent, np.radians(turn), at, TRUE.matrix(), np.array(TRUE.dist))
        views.append(BoardView(flat.astype(np.float32), seen.reshape(-1, 2).astype(np.float32)))
    return views


def test_a_view_that_is_far_off_is_left_out() -> None:
    turns = [(x, y, 0.0) for x in (-30.0, 0.0, 30.0) for y in (-30.0, 5.0, 30.0)]
    views = projected(turns)
    rng = np.random.default_rng(0)
    noisy = [v.corners_px + rng.normal(0, 0.05, v.corners_px.shape) for v in views]
    noisy[4] += rng.normal(0, 2.0, noisy[4].shape)  # blurred
    views = [
        BoardView(v.corners_board, n.astype(np.float32)) for v, n in zip(views, noisy, strict=True)
    ]
    lens = calibrate_lens(views, 640, 480)
    assert (lens.views, lens.left_out) == (8, 1)
    assert lens.intrinsics.fx == pytest.approx(TRUE.fx, rel=0.01)


@pytest.mark.parametrize(
    ("views", "words"),
    [
        (list, "seen in 0 ways"),
        (lambda: projected([(0.0, 0.0, 0.0)] * 3), "seen in 3 ways"),
        (lambda: noisy_views([(0.0, 0.4 * k, 0.0) for k in range(8)]), "tilted by 30 degrees"),
        (
            lambda: projected([(x, y, 0) for x in (-30, 0, 30) for y in (-30, 0, 30)], bend=1.0),
            "make the board flat",
        ),
    ],
)
def test_what_is_not_good_enough(views: Callable[[], list[BoardView]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        calibrate_lens(views(), 640, 480)


def noisy_views(turns: list[tuple[float, float, float]]) -> list[BoardView]:
    rng = np.random.default_rng(0)
    return [
        BoardView(
            v.corners_board,
            (v.corners_px + rng.normal(0, 0.15, v.corners_px.shape)).astype(np.float32),
        )
        for v in projected(turns)
    ]


@pytest.mark.parametrize(
    "arguments",
    [("charuco", 3, 6), ("charuco", 9, 21), ("chessboard", 9, 7), ("chessboard", 8, 6)],
)
def test_boards_that_cannot_be(arguments: tuple[str, int, int]) -> None:
    with pytest.raises(ArgumentError, match=r"such as 9x6|upside down"):
        Board(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("board", [CHARUCO, CHESSBOARD, Board("charuco", 5, 8)], ids=str)
@pytest.mark.parametrize("paper", ["a4", "letter", "a3"])
def test_a_page_has_its_true_size(board: Board, paper: str) -> None:
    sheet, square_mm, dpi = board.page(paper)
    assert square_mm == int(square_mm)
    dark = np.argwhere(sheet[: int(sheet.shape[0] * 0.93)] < 128)
    rows, columns = np.ptp(dark, axis=0) + 1
    drawn_mm = columns / dpi * 25.4, rows / dpi * 25.4
    assert drawn_mm[0] == pytest.approx(board.columns * square_mm, abs=0.3)
    view = board.find(cv2.cvtColor(cv2.resize(sheet, None, fx=0.25, fy=0.25), cv2.COLOR_GRAY2BGR))
    assert view is not None
    assert len(view.corners_px) == (board.columns - 1) * (board.rows - 1)


def test_files_to_print() -> None:
    png = Image.open(io.BytesIO(CHARUCO.encode_page("a4", ".png")))
    assert png.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert (png.width / 300 * 25.4, png.height / 300 * 25.4) == pytest.approx((297, 210), abs=0.1)
    pdf = CHARUCO.encode_page("letter", ".PDF")
    assert pdf.startswith(b"%PDF")
    assert b"/MediaBox [ 0 0 792" in pdf  # 11 inches of 72 points
    with pytest.raises(ArgumentError, match=r"pdf or \.png"):
        CHARUCO.encode_page("a4", ".svg")
    with pytest.raises(ArgumentError, match="paper is one of"):
        CHARUCO.encode_page("a9", ".png")
