"""The lens that explains views of a board, or why none does well enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.errors import DataError
from rtrecon.lens.board import BoardView
from rtrecon.types import Intrinsics

__all__ = ["CalibratedLens", "calibrate_lens", "largest_rms_px"]

_LEAST_VIEWS = 5
_FAR_OFF = 3.0  # times the median error: a view that was blurred, or a board that was bent
_MOST_UNSURE = 0.01  # of the focal length, one standard deviation


@dataclass(frozen=True, slots=True)
class CalibratedLens:
    """What `calibrate_lens` found.

    ``rms_px`` is between the corners seen and explained; ``focal_sigma`` the standard deviation of
    the focal length, as a share of it; ``views`` used, ``left_out`` for errors of their own.
    """

    intrinsics: Intrinsics
    rms_px: float
    focal_sigma: float
    views: int
    left_out: int


def largest_rms_px(width: int) -> float:
    """The error above which a calibration is refused: a thousandth of the width, half a pixel."""
    return max(0.5, width / 1000.0)


def calibrate_lens(views: Sequence[BoardView], width: int, height: int) -> CalibratedLens:
    """OpenCV's pinhole camera with k1, k2, p1, p2 (Zhang's method).

    Raises:
        DataError: there are too few views, the error is too large, or the views leave open what
            the focal length is; says what to do.
    """
    if len(views) < _LEAST_VIEWS:
        raise DataError(
            f"the board was seen in {len(views)} ways, {_LEAST_VIEWS} are the least: show it "
            "near, far, at all edges of the picture and tilted to each side"
        )
    kept = list(views)
    lens, errors_px = _solve(kept, width, height, 0)
    far_off = errors_px > _FAR_OFF * np.median(errors_px)
    if far_off.any() and len(kept) - far_off.sum() >= _LEAST_VIEWS:
        kept = [view for view, is_off in zip(kept, far_off, strict=True) if not is_off]
        lens, _ = _solve(kept, width, height, int(far_off.sum()))
    most_px = largest_rms_px(width)
    if not lens.rms_px <= most_px:
        raise DataError(
            f"the calibration is {lens.rms_px:.2f} px off, {most_px:.2f} is the most: make the "
            "board flat (glue it onto glass or wood), hold it still, in light without glare, and "
            "say what board it is (--board, --squares)"
        )
    if not lens.focal_sigma <= _MOST_UNSURE:
        raise DataError(
            f"the focal length is known to {100 * lens.focal_sigma:.1f} % only: show the board "
            "tilted by 30 degrees to each side, and large in the picture"
        )
    return lens


def _solve(
    views: Sequence[BoardView], width: int, height: int, left_out: int
) -> tuple[CalibratedLens, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    try:
        rms_px, K, dist, _, _, sigmas, _, errors_px = cv2.calibrateCameraExtended(
            [view.corners_board for view in views],
            [view.corners_px for view in views],
            (width, height),
            np.eye(3),
            np.zeros(5),
            flags=cv2.CALIB_FIX_K3,
        )
        fx, fy, cx, cy = (float(v) for v in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
        intrinsics = Intrinsics(
            fx, fy, cx, cy, width, height, tuple(float(v) for v in np.ravel(dist)[:4])
        )
    except (cv2.error, DataError) as error:
        raise DataError(
            "no camera explains these views: say what board it is (--board, --squares), and show "
            "it flat, near, far and tilted"
        ) from error
    sigma = max(float(sigmas[0, 0]) / fx, float(sigmas[1, 0]) / fy)
    lens = CalibratedLens(intrinsics, float(rms_px), sigma, len(views), left_out)
    return lens, np.ravel(np.asarray(errors_px, np.float64))
