"""A canvas that becomes SVG inside a page; colours follow the page's light or dark ground."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rtrecon.bench.canvas import Anchor, Color
from rtrecon.bench.charts import WIDTH, Chart

__all__ = ["chart_svg"]


def chart_svg(chart: Chart) -> str:
    """``chart`` as one svg element; it needs the custom properties ``--ink`` and so on."""
    canvas = _SvgCanvas()
    chart.draw(canvas)
    return (
        f'<svg viewBox="0 0 {WIDTH} {chart.height}" role="img" '
        f'aria-label="{escape(chart.title)}">' + "".join(canvas.parts) + "</svg>"
    )


class _SvgCanvas:
    """See `rtrecon.bench.canvas.Canvas`."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def rect(
        self, x: float, y: float, width: float, height: float, color: Color, hint: str = ""
    ) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" '
            f'fill="var(--{color})">{_title(hint)}</rect>'
        )

    def line(
        self, x0: float, y0: float, x1: float, y1: float, color: Color, width: float = 1.0
    ) -> None:
        self.parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" '
            f'stroke="var(--{color})" stroke-width="{width:g}"/>'
        )

    def polygon(self, points: Sequence[tuple[float, float]], color: Color, hint: str = "") -> None:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polygon points="{path}" fill="var(--{color})">{_title(hint)}</polygon>'
        )

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
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{weight} '
            f'fill="var(--{color})">{escape(text)}</text>'
        )


def _title(hint: str) -> str:
    return f"<title>{escape(hint)}</title>" if hint else ""
