"""The window as an output: drawn and asked for its keys by the main thread."""

from __future__ import annotations

from rtrecon.draw.state import ViewFrame
from rtrecon.errors import MissingExtraError, UserError
from rtrecon.host import has_open3d
from rtrecon.output import Output, Run
from rtrecon.outputs.window.display import has_display, on_display_lost
from rtrecon.outputs.window.window import FaceWindow
from rtrecon.result import LiveResult
from rtrecon.threads import end_suddenly

__all__ = ["WindowOutput"]


class WindowOutput(Output):
    """The moving face in 3D with the picture inset, on the main thread.

    Keys: see `rtrecon.outputs.window.inset.KEYS`. Snapshots and recordings are asked of the run.

    Args:
        width, height: of the window in pixels.
    """

    name = "window"
    summary = "the face in 3D with the picture inset; the mouse turns it"
    on_main_thread = True
    is_view = True

    def __init__(self, *, width: int = 1280, height: int = 720) -> None:
        self._size_px = (width, height)
        self._run = Run()
        self._last: LiveResult | None = None
        self._shown_state = ""
        self._frozen = False
        self._lost = False

    @classmethod
    def missing(cls) -> str:
        """Whether Open3D and a display are there."""
        if not has_open3d():
            return str(MissingExtraError("Open3D", "window"))
        displayed, reason = has_display()
        return "" if displayed else reason

    def open(self, run: Run) -> None:
        """Open the window.

        Raises:
            UserError: there is no display. RtreconError: Open3D or a driver is missing.
        """
        displayed, reason = has_display()
        if not displayed:
            raise UserError(f"no window can be opened: {reason}; use --view none --record DIR")
        self._run = run
        on_display_lost(self._end)
        self._window = FaceWindow(*self._size_px)

    def write(self, result: LiveResult) -> None:
        """Show one result, unless the view is frozen; drawn by the next `tick`."""
        self._last = result
        if self._lost:
            return
        if not self._frozen:
            self._show(result)

    def tick(self) -> bool:
        """Draw, and pass the keys on; False once the window was closed or q was pressed."""
        # A camera that was lost gives no results that could say so.
        if self._last is not None and not self._frozen and self._run.state() != self._shown_state:
            self._show(self._last)
        if not self._window.tick():
            return False
        for command in self._window.poll_commands():
            if command == "freeze":
                self._frozen = not self._frozen
            else:
                self._run.ask(command)
        return True

    def close(self) -> None:
        """Close the window."""
        if not self._lost:
            self._window.close()

    def _end(self) -> None:
        """The X server has gone: Xlib ends the process, so the run ends as well as it can."""
        if not self._lost:  # what is done at the end may meet it again
            self._lost = True
            end_suddenly("the display was lost")

    def _show(self, result: LiveResult) -> None:
        self._shown_state = self._run.state()
        frame, figures = result.frame, self._run.figures(result)
        self._window.update(ViewFrame(frame.image, result.faces, frame.t_capture_ns, figures))
