"""A canvas that becomes a picture, drawn with OpenCV: no plotting library is needed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rtrecon.bench.canvas import COLORS, Anchor, Color
from rtrecon.bench.charts import WIDTH, make_charts
from rtrecon.bench.machine import machine_line
from rtrecon.bench.results import Report
from rtrecon.draw.png import encode_png
from rtrecon.types import BgrImage

__all__ = ["draw_charts", "draw_png"]

_SCALE = 2  # picture pixels a canvas pixel: text stays sharp
_SHIFT = 4  # fractional bits of OpenCV's coordinates
_FONT = cv2.FONT_HERSHEY_DUPLEX
_LETTER = 30.0  # canvas size of text at OpenCV's scale 1
_GAP, _HEADER = 34, 44


def draw_png(report: Report) -> bytes:
    """All charts of a report, one below the other, as the bytes of a PNG file."""
    return encode_png(draw_charts(report))


def draw_charts(report: Report) -> BgrImage:
    """All charts of a report, (H, W, 3) uint8 BGR on white."""
    charts = make_charts(report)
    height = 76 + sum(chart.height + _HEADER + _GAP for chart in charts) + (0 if charts else 60)
    canvas = _RasterCanvas(height)
    canvas.text(16, 34, f"rtrecon bench: {report.common}", "ink", 20)
    canvas.text(16, 58, machine_line(report.machine)[:150], "muted", 11)
    if not charts:
        canvas.text(16, 110, "no combination gave figures", "mark", 14)
    y = 76 + 12
    for chart in charts:
        canvas.offset = 0
        canvas.text(16, y + 12, chart.title, "ink", 16)
        canvas.text(16, y + 32, chart.note, "muted", 11)
        canvas.offset = y + _HEADER
        chart.draw(canvas)
        y += chart.height + _HEADER + _GAP
    return canvas.image


class _RasterCanvas:
    """See `rtrecon.bench.canvas.Canvas`; ``offset`` is added to every y."""

    def __init__(self, height: int) -> None:
        self.offset = 0.0
        self.image: BgrImage = np.empty((height * _SCALE, WIDTH * _SCALE, 3), dtype=np.uint8)
        self.image[:] = _bgr("ground")

    def rect(
        self, x: float, y: float, width: float, height: float, color: Color, hint: str = ""
    ) -> None:
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        self.polygon(corners, color, hint)

    def line(
        self, x0: float, y0: float, x1: float, y1: float, color: Color, width: float = 1.0
    ) -> None:
        thickness = max(1, round(width * _SCALE))
        ends = self._points([(x0, y0), (x1, y1)])
        cv2.line(self.image, ends[0], ends[1], _bgr(color), thickness, cv2.LINE_AA, shift=_SHIFT)

    def polygon(self, points: Sequence[tuple[float, float]], color: Color, hint: str = "") -> None:
        del hint  # a picture cannot be pointed at
        corners = np.array(self._points(points), dtype=np.int32)
        # The ridges are not convex.
        cv2.fillPoly(self.image, [corners], _bgr(color), cv2.LINE_AA, shift=_SHIFT)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        color: Color = "ink",
        size: float = 13.0,
        anchor: Anchor = "start",
        bold: bool = False,
    ) -> None:
        text = text.replace("…", "..").encode("ascii", "replace").decode()
        scale, thickness = size / _LETTER * _SCALE, 2 if bold else 1
        (width, _), _ = cv2.getTextSize(text, _FONT, scale, thickness)
        x -= {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * width / _SCALE
        at = (round(x * _SCALE), round((y + self.offset) * _SCALE))
        cv2.putText(self.image, text, at, _FONT, scale, _bgr(color), thickness, cv2.LINE_AA)

    def _points(self, points: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
        unit = _SCALE << _SHIFT
        return [(round(x * unit), round((y + self.offset) * unit)) for x, y in points]


def _bgr(color: Color) -> tuple[int, int, int]:
    value = int(COLORS[color].light[1:], 16)
    return value & 255, value >> 8 & 255, value >> 16
