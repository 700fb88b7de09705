"""How results are drawn while they are measured: in the window, or off screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from rtrecon.errors import UserError
from rtrecon.output import Run
from rtrecon.outputs.window.display import has_display
from rtrecon.result import LiveResult

__all__ = ["Drawer", "open_drawer", "view_to_use"]

_OFFSCREEN_PX = (640, 480)

View = Literal["offscreen", "window"]


class Drawer:
    """Draws one result a call; ``close`` ends it."""

    def __init__(
        self, view: View, draw: Callable[[LiveResult], None], close: Callable[[], None]
    ) -> None:
        self.view, self.draw, self.close = view, draw, close


def view_to_use(asked: Literal["none", "offscreen", "window"]) -> View:
    """The view that was asked for, else the window where there is a display."""
    if asked != "none":
        return asked
    return "window" if has_display()[0] else "offscreen"


def open_drawer(view: View) -> Drawer:
    """Open a view.

    Raises:
        UserError: there is no display for a window.
        RtreconError: the window cannot be opened.
    """
    if view == "offscreen":
        return Drawer(view, _Offscreen().draw, lambda: None)
    displayed, reason = has_display()
    if not displayed:
        raise UserError(f"no window can be opened: {reason}; take --view offscreen")
    from rtrecon.outputs.window.output import WindowOutput

    window = WindowOutput()
    window.open(Run(model="bench"))

    def draw(result: LiveResult) -> None:
        window.write(result)
        window.tick()

    return Drawer(view, draw, window.close)


class _Offscreen:
    """Draws as the preview does, and shows nobody."""

    def __init__(self) -> None:
        from rtrecon.draw.turning import TurningHead

        self._turning = TurningHead()

    def draw(self, result: LiveResult) -> None:
        if result.faces:
            self._turning.draw(result.faces, _OFFSCREEN_PX, 0.0)
