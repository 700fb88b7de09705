"""Error maps and a plot over the frames, drawn with OpenCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.evaluate.dataset import DepthSample
from rtrecon.evaluate.report import PredictorReport
from rtrecon.geometry.portrait import depth_colors
from rtrecon.types import BgrImage, Float32Array

__all__ = ["color_error", "draw_error_maps", "draw_frame_plot"]

_TILE = 300
_INK, _FAINT, _PAPER = (40, 40, 40), (225, 225, 225), 255
_RANGE_MM = 10.0
# Okabe and Ito's colours, told apart by colour-blind eyes too; BGR.
_LINES = (
    (178, 114, 0), (0, 94, 213), (115, 158, 0), (167, 121, 204), (0, 159, 230), (233, 180, 86)
)  # fmt: skip


def color_error(error_mm: Float32Array, range_mm: float = _RANGE_MM) -> BgrImage:
    """(H, W, 3) BGR: white no error, red predicted too far, blue too near, NaN grey."""
    nothing = ~np.isfinite(error_mm)
    share = np.clip(np.where(nothing, 0.0, error_mm) / range_mm, -1.0, 1.0)[..., None]
    white = np.array([247.0, 247.0, 247.0])
    far, near = np.array([43.0, 24.0, 178.0]), np.array([172.0, 102.0, 33.0])
    color = np.where(share > 0, white + share * (far - white), white - share * (near - white))
    color[nothing] = 150.0
    return np.asarray(color, dtype=np.uint8)


def draw_error_maps(
    sample: DepthSample, predictions: Mapping[str, Float32Array | None]
) -> BgrImage:
    """The picture, the measured depth, and each predictor's error after removing its median."""
    rows, columns = np.nonzero(sample.scored)
    margin = 8
    y0, x0 = max(int(rows.min()) - margin, 0), max(int(columns.min()) - margin, 0)
    box = np.s_[y0 : int(rows.max()) + margin, x0 : int(columns.max()) + margin]
    measured = np.where(sample.scored, sample.depth_m, np.float32(np.nan))
    inside = measured[sample.scored]
    low, high = np.percentile(inside, (1, 99))
    tiles = [
        _tile("picture", sample.image[box]),
        _tile("measured", depth_colors(-measured[box], float(-high), float(-low))),
    ]
    for name, depth in predictions.items():
        if depth is None:
            tiles.append(_tile(f"{name}: no face", np.full_like(sample.image[box], 150)))
            continue
        error = (np.where(sample.scored, depth, np.float32(np.nan)) - sample.depth_m) * 1e3
        known = error[np.isfinite(error)]
        error = error - (np.median(known) if known.size else 0.0)
        mae = float(np.abs(known - np.median(known)).mean()) if known.size else float("nan")
        tiles.append(_tile(f"{name}: {mae:.1f} mm", color_error(error[box].astype(np.float32))))
    tiles.append(_legend())
    return np.hstack(tiles)


def draw_frame_plot(
    reports: Sequence[PredictorReport], size: tuple[int, int] = (1100, 460)
) -> BgrImage:
    """``mae_mm`` over the frames, a line a predictor; frames without a face are gaps."""
    width, height = size
    left, right, top, bottom = 70, width - 240, 40, height - 50
    plot = np.full((height, width, 3), _PAPER, dtype=np.uint8)
    values = [np.array([score.mae_mm for score in report.scores]) for report in reports]
    known = np.concatenate(values) if values else np.zeros(0)
    known = known[np.isfinite(known)]
    limit = _nice_limit(float(known.max()) if known.size else 1.0)
    _text(plot, "depth error after removing the median, mm", (left, 24))
    for share in np.linspace(0.0, 1.0, 6):
        y = round(bottom - share * (bottom - top))
        cv2.line(plot, (left, y), (right, y), _FAINT, 1)
        _text(plot, f"{share * limit:g}", (left - 44, y + 5))
    _text(plot, f"frame (of {len(reports[0].ids) if reports else 0})", (left, height - 16))
    for number, (report, series) in enumerate(zip(reports, values, strict=True)):
        color = _LINES[number % len(_LINES)]
        x = left + (np.arange(len(series)) + 0.5) / max(len(series), 1) * (right - left)
        y = bottom - np.where(np.isfinite(series), series, 0.0) / limit * (bottom - top)
        points = np.round(np.stack([x, y], axis=1)).astype(np.int32)
        for run in np.split(np.arange(len(series)), np.flatnonzero(~np.isfinite(series))):
            good = points[run[np.isfinite(series[run])]]
            cv2.polylines(plot, [good.reshape(-1, 1, 2)], False, color, 2, cv2.LINE_AA)
            if len(series) <= 100:
                for px, py in good.tolist():
                    cv2.circle(plot, (px, py), 3, color, -1, cv2.LINE_AA)
        y_label = top + 12 + 26 * number
        cv2.line(plot, (right + 16, y_label), (right + 44, y_label), color, 3, cv2.LINE_AA)
        mean = report.overall()["mae_mm"]
        # Of a long name, which is a path, its end says more.
        name = report.name if len(report.name) <= 17 else f"..{report.name[-15:]}"
        _text(plot, f"{name}  {mean:.1f}", (right + 52, y_label + 5))
    return plot


def _nice_limit(value: float) -> float:
    power = 10.0 ** np.floor(np.log10(max(value, 1e-6)))
    return float(next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value))


def _tile(title: str, image: npt.NDArray[np.uint8]) -> BgrImage:
    scale = _TILE / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    )
    tile = np.full((_TILE + 30, _TILE + 10, 3), _PAPER, dtype=np.uint8)
    tile[30 : 30 + size[1], : size[0]] = small
    _text(tile, title, (2, 20))
    return tile


def _legend() -> BgrImage:
    legend = np.full((_TILE + 30, 90, 3), _PAPER, dtype=np.uint8)
    ramp = np.linspace(_RANGE_MM, -_RANGE_MM, _TILE, dtype=np.float32)[:, None].repeat(16, axis=1)
    legend[30:, 4:20] = color_error(ramp)
    _text(legend, "mm", (4, 20))
    for value in (_RANGE_MM, _RANGE_MM / 2, 0.0, -_RANGE_MM / 2, -_RANGE_MM):
        y = 30 + round((_RANGE_MM - value) / (2 * _RANGE_MM) * (_TILE - 1))
        _text(legend, f"{value:+.0f}", (26, int(np.clip(y + 5, 42, _TILE + 28))))
    return legend


def _text(image: BgrImage, text: str, at: tuple[int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
