"""The live window: Open3D's non-blocking visualizer, on the main thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np

from rtrecon.draw.state import ViewFrame
from rtrecon.errors import RtreconError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.host import import_open3d
from rtrecon.outputs.window.inset import BACKGROUND, KEYS, Inset
from rtrecon.types import BgrImage, Float32Array, Float64Array

__all__ = ["KEYS", "Command", "FaceWindow"]

logger = logging.getLogger(__name__)

Command = Literal["freeze", "snapshot", "record", "calibrate", "mirror", "quit"]
Style = Literal["points", "mesh", "wireframe"]

_STYLES: tuple[Style, ...] = ("points", "mesh", "wireframe")
_MOST_POINTS = 1 << 18
_HEAD_M = (0.25, 0.28)  # width and height that the first view leaves for a head
_SLOW_DRAW_S = 0.03  # no display that waits for its next picture takes so long
_FREE = 0.55  # share of the window's width that the faces have at least
_SPAN_STEP = 1.1  # the view keeps its distance until what it must show changes by so much
_FOV_DEG = 30.0
_FOLLOW = 0.25  # share of the way to the face's centre that the view goes each frame
_DEPTH_SPAN_M = 0.16
_CLAY = (0.66, 0.62, 0.58)  # what the surface is made of when it is lit
_WIRE_STEP = 4  # crop pixels between the lines of the wireframe


class FaceWindow:
    """A window with the faces as clouds or meshes, the picture inset, and keys.

    All calls belong on the main thread.

    Args:
        width, height: of the window in pixels.

    Raises:
        RtreconError: Open3D or a library of the system that it needs is missing, or the
            window cannot be opened.
    """

    def __init__(self, width: int = 1280, height: int = 720, title: str = "rtrecon") -> None:
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
        self._points = np.zeros((_MOST_POINTS, 3), dtype=np.float64)
        self._colors = np.zeros((_MOST_POINTS, 3), dtype=np.float64)
        self._cloud = o3d.geometry.PointCloud()
        self._mesh = o3d.geometry.TriangleMesh()
        self._lines = o3d.geometry.LineSet()
        self._shown: dict[str, bool] = {"cloud": False, "mesh": False, "lines": False}
        self._frozen = False
        self._changed = True
        self._next_draw_s = 0.0
        self._span_m = _HEAD_M[1]
        self._point_px = 0.0
        self._home: Float64Array | None = None  # extrinsic while the user has not moved the view
        self._full = False
        self._inset = Inset(o3d, self._window)
        options = self._window.get_render_option()
        options.background_color = np.full(3, BACKGROUND / 255)
        options.mesh_shade_option = o3d.visualization.MeshShadeOption.Color
        options.light_on = False
        options.mesh_show_back_face = True
        for key, action in self._actions().items():
            self._window.register_key_callback(ord(key.upper()), action)
        for key in "PO":  # Open3D's own keys that leave files in the working folder
            self._window.register_key_callback(ord(key), lambda _: False)
        self._reset_view()

    def update(self, view: ViewFrame) -> None:
        """Show another frame; it is drawn by the next `tick`."""
        self._view = view
        self._draw_faces(view.faces)
        self._inset.draw(view, frozen=self._frozen, with_keys=self._help)
        self._changed = True

    def tick(self) -> bool:
        """Handle events, and draw if anything changed; False once the window was closed.

        Where drawing is slow, it waits for one of the next calls.
        """
        if not self._open:
            return False
        self._changed |= self._inset.place()
        start_s = time.perf_counter()
        drawn = self._changed and start_s >= self._next_draw_s
        if drawn:
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
        self._inset.place()
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
            "r": change(self._reset_view),
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
        offset = np.abs([_middle(face) - self._center for face in faces]).max(axis=0)
        # The inset covers the left edge: as much is left free on the right, where there is room.
        free = max(_FREE, 1.0 - 2.0 * self._inset.width_px / intrinsic.width)
        across_m = (2 * offset[0] + _HEAD_M[0]) * intrinsic.height / (intrinsic.width * free)
        span_m = max(2 * offset[1] + _HEAD_M[1], across_m)
        steady = 1 / _SPAN_STEP < span_m / self._span_m < _SPAN_STEP
        moved = self._home is None or not np.allclose(parameters.extrinsic, self._home, atol=1e-4)
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

    def _draw_faces(self, faces: Sequence[FaceReconstruction]) -> None:
        if faces:
            self._follow(np.mean([_middle(face) for face in faces], axis=0).astype(np.float32))
            self._fit_span(faces)
            self._fit_point_size(faces[0])
        if self._style == "wireframe":
            self._draw_lines(faces)
            return
        self._show("lines", self._lines, False)
        count = 0
        triangles, normals = [], []
        as_mesh = self._style != "points"
        for face in faces:
            points = face.points_camera
            end = count + len(points)
            if end > _MOST_POINTS:
                self._say_full()
                break
            np.subtract(points, self._center, out=self._points[count:end])
            self._colors[count:end] = self._face_colors(face)
            if as_mesh:
                triangles.append(_compact_triangles(face) + count)
                normals.append(face.normals)
            count = end
        vector = self._o3d.utility.Vector3dVector
        if as_mesh:
            self._mesh.vertices = vector(self._points[:count])
            self._mesh.vertex_colors = vector(self._colors[:count])
            self._mesh.triangles = self._o3d.utility.Vector3iVector(
                np.concatenate(triangles) if triangles else np.zeros((0, 3), np.int32)
            )
            if self._lit and normals:
                self._mesh.vertex_normals = vector(np.concatenate(normals).astype(np.float64))
                # Open3D lights a mesh that has both kinds, and uses those of the vertices.
                self._mesh.compute_triangle_normals()
            else:
                self._mesh.vertex_normals = vector()
                self._mesh.triangle_normals = vector()
        else:
            self._cloud.points = vector(self._points[:count])
            self._cloud.colors = vector(self._colors[:count])
        self._show("mesh", self._mesh, as_mesh and count > 0)
        self._show("cloud", self._cloud, not as_mesh and count > 0)

    def _draw_lines(self, faces: Sequence[FaceReconstruction]) -> None:
        points, colors, lines, count = [], [], [], 0
        for face in faces:
            step = _WIRE_STEP
            valid = face.grid.valid[::step, ::step]
            place = (np.cumsum(valid, dtype=np.int32) - 1).reshape(valid.shape) + count
            grid = face.grid.points_camera[::step, ::step]
            points.append(grid[valid] - self._center)
            tones = face.grid.colors[::step, ::step]
            if self._by_depth:
                tones = self._depth_colors(face, grid[..., 2])
            jump = 3.0 * step * face.grid.max_step_m
            for a, b in (
                ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
                ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
            ):
                joined = valid[a] & valid[b] & (np.abs(grid[a][..., 2] - grid[b][..., 2]) < jump)
                lines.append(np.stack([place[a][joined], place[b][joined]], axis=1))
                colors.append(tones[a][joined])
            count += len(points[-1])
        if count:
            vector = self._o3d.utility.Vector3dVector
            self._lines.points = vector(np.concatenate(points).astype(np.float64))
            # Thin lines look darker than surfaces.
            self._lines.colors = vector(0.35 + np.concatenate(colors) * (0.65 / 255.0))
            pairs = np.concatenate(lines).astype(np.int32)
            self._lines.lines = self._o3d.utility.Vector2iVector(pairs)
        self._show("mesh", self._mesh, False)
        self._show("cloud", self._cloud, False)
        self._show("lines", self._lines, count > 0)

    def _show(self, name: str, geometry: Any, wanted: bool) -> None:
        if wanted and self._shown[name]:
            self._window.update_geometry(geometry)
        elif wanted:
            self._window.add_geometry(geometry, reset_bounding_box=False)
        elif self._shown[name]:
            self._window.remove_geometry(geometry, reset_bounding_box=False)
        self._shown[name] = wanted

    def _follow(self, center: Float32Array) -> None:
        if not float(np.abs(center - self._center).max()) < 0.3:
            self._center = center
        else:
            self._center = self._center + _FOLLOW * (center - self._center)

    def _face_colors(self, face: FaceReconstruction) -> Float64Array:
        if self._lit and self._style == "mesh":
            return np.full((len(face.colors), 3), _CLAY)
        if not self._by_depth:
            return face.colors / 255.0
        return np.asarray(self._depth_colors(face, face.points_camera[:, 2:])[:, 0] / 255.0)

    @staticmethod
    def _depth_colors(face: FaceReconstruction, z_m: Float32Array) -> np.ndarray[Any, Any]:
        near = float(_middle(face)[2]) - 0.09
        level = np.clip(1 - (z_m - near) / _DEPTH_SPAN_M, 0, 1)
        colored = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
        return np.asarray(colored[..., ::-1])

    def _say_full(self) -> None:
        if not self._full:
            logger.warning("the window shows at most %d points: faces are left out", _MOST_POINTS)
        self._full = True


def _middle(face: FaceReconstruction) -> Float32Array:
    """(3,) metres, camera frame: the middle of the head's front."""
    below = np.array([0.0, 0.03, 0.03, 1.0])
    return np.asarray((face.T_camera_face @ below)[:3], dtype=np.float32)


def _compact_triangles(face: FaceReconstruction) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Triangles into `points_camera` instead of the whole grid."""
    valid = face.grid.valid.ravel()
    place = np.cumsum(valid, dtype=np.int32) - 1
    return np.asarray(place[face.grid.triangles], dtype=np.int32)
