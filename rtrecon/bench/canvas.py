"""What charts are drawn with: a few shapes, in colours that have names.

The same charts become SVG in the page (`rtrecon.bench.svg`) and a picture
(`rtrecon.bench.raster`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

__all__ = ["COLORS", "Anchor", "Canvas", "Color", "Tone"]


class Tone(NamedTuple):
    """A colour on light and on dark ground, as #rrggbb."""

    light: str
    dark: str


COLORS: dict[str, Tone] = {
    "ground": Tone("#ffffff", "#15181c"),
    "ink": Tone("#1b1f24", "#e8eaed"),
    "muted": Tone("#5b6470", "#9aa4b0"),
    "grid": Tone("#e1e5ea", "#2d333b"),
    "bar": Tone("#2f6fb2", "#6aa9e9"),
    "fill": Tone("#a9c8e8", "#2f5680"),
    "mark": Tone("#c2410c", "#f59e6b"),
    # Stages: apart in hue and in lightness, for every kind of colour vision.
    "detect": Tone("#882255", "#c9648f"),
    "track": Tone("#e69f00", "#f0b94a"),
    "align": Tone("#56b4e9", "#8accf0"),
    "depth": Tone("#0072b2", "#3d93cf"),
    "geometry": Tone("#009e73", "#3fbf98"),
    "other": Tone("#b5bcc5", "#5d6672"),
}
"""By name; charts know no others."""

Color = str
Anchor = Literal["start", "middle", "end"]


class Canvas(Protocol):
    """Shapes in pixels, origin at the top left corner. Text stands on its baseline."""

    def rect(
        self, x: float, y: float, width: float, height: float, color: Color, hint: str = ""
    ) -> None:
        """A filled rectangle; ``hint`` is shown where pointing at it is possible."""

    def line(
        self, x0: float, y0: float, x1: float, y1: float, color: Color, width: float = 1.0
    ) -> None:
        """A straight line."""

    def polygon(self, points: Sequence[tuple[float, float]], color: Color, hint: str = "") -> None:
        """A filled polygon."""

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
        """One line of text."""
