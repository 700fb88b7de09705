"""The live window: Open3D's non-blocking visualizer, on the main thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from rtrecon.draw.live_head import HeadView, LiveHead
from rtrecon.draw.raster import orbit
from rtrecon.draw.state import ViewFrame
from rtrecon.errors import RtreconError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.host import import_open3d
from rtrecon.outputs.window.inset import BACKGROUND, KEYS, Banner, Inset
from rtrecon.outputs.window.scene import Heads, Look, Points, Style, Wires, middle_of
from rtrecon.types import BgrImage, Float32Array, Float64Array

__all__ = ["KEYS", "Command", "FaceWindow"]

logger = logging.getLogger(__name__)

Command = Literal["freeze", "snapshot", "record", "calibrate", "mirror", "quit"]

_STYLES: tuple[Style, ...] = ("points", "mesh", "wireframe")
_HEAD_M = (0.26, 0.33)  # width and height that the first view leaves for a head
_SLOW_DRAW_S = 0.03  # no display that waits for its next picture takes so long
_FREE = 0.55  # share of the window's width that the faces have at least
_SPAN_STEP = 1.1  # the view keeps its distance until what it must show changes by so much
_FOV_DEG = 30.0
_FOLLOW = 0.25  # share of the way to the face's centre that the view goes each frame
_SWAY_DEG, _SWAY_S = 16.0, 9.0
_KEYS_OF_OUR_OWN = "=-"  # Open3D's keys that stay: the size of the points
_PRINT_SCREEN = 283  # GLFW's number
_WORDS = {
    "no face": "no face",
    "reconnecting": "camera lost, trying again",
    "ended": "the end",
    "failed": "camera lost",
}
"""By state: what is said large."""


class FaceWindow:
    """A window with the faces as whole heads, the picture inset, and keys.

    It sways to and fro until the mouse turns it. A face that is lost stays, dimmed.

    All calls belong on the main thread.

    Args:
        width, height: of the window in pixels.
        title: of it.
        sways: to and fro, until it is touched.

    Raises:
        RtreconError: Open3D or a library of the system that it needs is missing, or the
            window cannot be opened.
    """

    def __init__(
        self, width: int = 1280, height: int = 720, title: str = "rtrecon", *, sways: bool = True
    ) -> None:
        self._o3d = o3d = import_open3d()
        o3d.utility.set_verbosity_level(o3d.utility.VerbosityLevel.Error)
        self._window = o3d.visualization.VisualizerWithKeyCallback()
        if not self._window.create_window(title, width, height):
            raise RtreconError(
                "the window cannot be opened: is there an OpenGL driver? "
                "On Debian: apt-get install libegl1 libgl1 libgl1-mesa-dri"
            )
        self._style: Style = "mesh"
        self._by_depth = False
        self._lit = False
        self._help = False
        self._open = True
        self._commands: list[Command] = []
        self._view: ViewFrame | None = None
        self._center: Float32Array = np.full(3, np.inf, dtype=np.float32)
        self._live = LiveHead()
        self._held: Sequence[FaceReconstruction] = ()
        self._views: Sequence[HeadView] = ()
        self._drawn: ViewFrame | None = None
        self._sways, self._is_swaying, self._still_s = sways, sways, time.monotonic()
        self._frozen = False
        self._changed = True
        self._is_new = False
        self._next_draw_s = 0.0
        self._span_m = _HEAD_M[1]
        self._point_px = 0.0
        self._home: Float64Array | None = None  # extrinsic while the user has not moved the view
        self._inset = Inset(o3d, self._window)
        self._banner = Banner(o3d, self._window)
        self._heads = Heads(o3d, self._window)
        self._points = Points(o3d, self._window)
        self._wires = Wires(o3d, self._window)
        options = self._window.get_render_option()
        options.background_color = np.full(3, BACKGROUND / 255)
        options.mesh_shade_option = o3d.visualization.MeshShadeOption.Color
        options.light_on = False
        options.mesh_show_back_face = True
        actions = {ord(key.upper()): action for key, action in self._actions().items()}
        # Open3D's own keys leave files in the working folder, or a view that no key brings back.
        for code in (*range(ord(" "), ord("`") + 1), _PRINT_SCREEN):
            if chr(code) not in _KEYS_OF_OUR_OWN:
                self._window.register_key_callback(code, actions.get(code, lambda _: False))
        self._reset_view()

    def update(self, view: ViewFrame) -> None:
        """Show another frame; it is drawn by the next `tick` that draws."""
        self._view = view
        self._changed = self._is_new = True

    def _prepare(self) -> None:
        """Put the newest frame into the scene; those that are never drawn cost nothing."""
        view = self._view
        if view is None or not self._is_new:
            return
        self._is_new = False
        self._draw_faces(view)
        self._inset.draw(view, frozen=self._frozen, with_keys=self._help)
        self._banner.say(_WORDS.get(view.figures.state, "" if view.faces else _WORDS["no face"]))
        self._sway()
        self._inset.place()
        self._banner.place()

    def tick(self) -> bool:
        """Handle events, and draw if anything changed; False once the window was closed.

        Where drawing is slow, it waits for one of the next calls.
        """
        if not self._open:
            return False
        self._changed |= self._inset.place() | self._banner.place()
        start_s = time.perf_counter()
        drawn = self._changed and start_s >= self._next_draw_s
        if drawn:
            self._prepare()
            # Sets a mark: `poll_events` draws. The mouse and the keys set it too.
            self._window.update_renderer()
            self._changed = False
        if not self._window.poll_events():
            self._open = False
        if drawn:
            end_s = time.perf_counter()
            # Drawing holds Python's lock. Without a graphics card it takes long: as long again
            # is then left to the threads that reconstruct.
            slow = end_s - start_s > _SLOW_DRAW_S
            self._next_draw_s = 2 * end_s - start_s if slow else end_s
        return self._open

    def poll_commands(self) -> list[Command]:
        """What the user has asked for since the last call."""
        commands, self._commands = self._commands, []
        return commands

    def capture(self) -> BgrImage:
        """What the window shows, (H, W, 3) uint8 BGR."""
        self._prepare()
        self._inset.place()
        self._banner.place()
        shown = np.asarray(self._window.capture_screen_float_buffer(do_render=True))
        return np.ascontiguousarray((shown[..., ::-1] * 255).astype(np.uint8))

    def close(self) -> None:
        """Close the window; further calls do nothing."""
        if self._window is not None:
            self._window.destroy_window()
            self._window = None
        self._open = False

    def _actions(self) -> dict[str, Callable[[Any], bool]]:
        def command(name: Command) -> Callable[[Any], bool]:
            def note(_: Any) -> bool:
                self._commands.append(name)
                return False

            return note

        def change(apply: Callable[[], None]) -> Callable[[Any], bool]:
            def react(_: Any) -> bool:
                apply()
                if self._view is not None:
                    self.update(self._view)
                return False

            return react

        return {
            "m": change(self._next_style),
            "l": change(self._toggle_light),
            "d": change(self._toggle_depth),
            "h": change(self._toggle_help),
            "r": change(self._begin_again),
            "f": self._freeze,
            "s": command("snapshot"),
            "v": command("record"),
            "c": command("calibrate"),
            "x": command("mirror"),
            "q": command("quit"),
        }

    def _freeze(self, _: Any) -> bool:
        self._commands.append("freeze")
        self._frozen = not self._frozen
        if self._view is not None:
            self.update(self._view)
        return False

    def _next_style(self) -> None:
        self._style = _STYLES[(_STYLES.index(self._style) + 1) % len(_STYLES)]

    def _toggle_light(self) -> None:
        self._lit = not self._lit
        self._window.get_render_option().light_on = self._lit

    def _toggle_depth(self) -> None:
        self._by_depth = not self._by_depth

    def _toggle_help(self) -> None:
        self._help = not self._help

    def _begin_again(self) -> None:
        self._is_swaying, self._still_s = self._sways, time.monotonic()
        self._reset_view()

    def _is_touched(self) -> bool:
        """Whether the user has moved the view since it was last reset."""
        parameters = self._window.get_view_control().convert_to_pinhole_camera_parameters()
        return self._home is None or not np.allclose(parameters.extrinsic, self._home, atol=1e-4)

    def _sway(self) -> None:
        """The next of the views to and fro; with each frame, so that none is drawn for it alone."""
        if self._is_swaying and self._is_touched():
            self._is_swaying = False
        if self._is_swaying:
            self._reset_view()

    def _reset_view(self) -> None:
        """Look from the camera's side: upright, not mirrored, what is to be seen in full."""
        control = self._window.get_view_control()
        parameters = control.convert_to_pinhole_camera_parameters()
        width, height = parameters.intrinsic.width, parameters.intrinsic.height
        focal = 0.5 * height / np.tan(np.radians(_FOV_DEG) / 2)
        parameters.intrinsic = self._o3d.camera.PinholeCameraIntrinsic(
            width, height, focal, focal, width / 2 - 0.5, height / 2 - 0.5
        )
        extrinsic = np.eye(4)
        if self._is_swaying:
            phase = 2 * np.pi * (time.monotonic() - self._still_s) / _SWAY_S
            extrinsic[:3, :3] = orbit(float(_SWAY_DEG * np.sin(phase)))
        extrinsic[2, 3] = self._span_m * focal / height
        parameters.extrinsic = extrinsic
        control.convert_from_pinhole_camera_parameters(parameters, allow_arbitrary=True)
        control.set_constant_z_near(0.02)
        control.set_constant_z_far(20.0)
        self._home = np.array(control.convert_to_pinhole_camera_parameters().extrinsic)
        self._changed = True

    def _fit_span(self, faces: Sequence[FaceReconstruction]) -> None:
        """Show all faces while the user has not moved the view."""
        parameters = self._window.get_view_control().convert_to_pinhole_camera_parameters()
        intrinsic = parameters.intrinsic
        offset = np.abs([middle_of(face) - self._center for face in faces]).max(axis=0)
        # The inset covers the left edge: as much is left free on the right, where there is room.
        free = max(_FREE, 1.0 - 2.0 * self._inset.width_px / intrinsic.width)
        across_m = (2 * offset[0] + _HEAD_M[0]) * intrinsic.height / (intrinsic.width * free)
        span_m = max(2 * offset[1] + _HEAD_M[1], across_m)
        steady = 1 / _SPAN_STEP < span_m / self._span_m < _SPAN_STEP
        moved = self._is_touched()
        if not steady:
            self._span_m = float(span_m)  # if the user has moved the view: for the next reset
            if not moved:
                self._reset_view()

    def _fit_point_size(self, face: FaceReconstruction) -> None:
        """Points just large enough to close the surface, until the user changes them."""
        control = self._window.get_view_control()
        height = control.convert_to_pinhole_camera_parameters().intrinsic.height
        spacing_m = face.crop.side_px / face.crop.size_px * face.z_ref_m / face.intrinsics.fx
        # A head's front is nearer to the virtual camera than what it turns about.
        size_px = float(np.clip(np.ceil(1.3 * spacing_m * height / self._span_m), 2, 12))
        if size_px != self._point_px:
            self._point_px = size_px
            self._window.get_render_option().point_size = size_px

    def _draw_faces(self, view: ViewFrame) -> None:
        if view.faces and view is not self._drawn:
            self._drawn, self._held = view, view.faces
            self._follow(np.mean([middle_of(face) for face in view.faces], axis=0))
            self._fit_span(view.faces)
            self._fit_point_size(view.faces[0])
            self._views = ()
        is_lost = not view.faces
        style, center, by_depth = self._style, self._center, self._by_depth
        if style == "mesh" and not self._views:
            assert self._drawn is not None or not self._held
            t_ns = 0 if self._drawn is None else self._drawn.t_capture_ns
            self._views = [self._live(face, t_ns) for face in self._held]
        look: Look = "clay" if self._lit else "depth" if by_depth else "picture"
        self._heads.draw(self._views if style == "mesh" else (), center, look, dim=is_lost)
        held = {name: self._held if style == name else () for name in ("points", "wireframe")}
        self._points.draw(held["points"], center, by_depth=by_depth, dim=is_lost)
        self._wires.draw(held["wireframe"], center, by_depth=by_depth, dim=is_lost)

    def _follow(self, middle: Float32Array) -> None:
        center = np.asarray(middle, dtype=np.float32)
        if not float(np.abs(center - self._center).max()) < 0.3:
            self._center = center
        else:
            self._center = self._center + _FOLLOW * (center - self._center)
