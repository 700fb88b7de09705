"""The live window: Open3D's non-blocking visualizer, on the main thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np

from rtrecon.errors import RtreconError
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.types import BgrImage, Float32Array, Float64Array
from rtrecon.views.overlay import draw_overlay, put_text
from rtrecon.views.state import ViewFrame

__all__ = ["KEYS", "Command", "FaceWindow"]

logger = logging.getLogger(__name__)

Command = Literal["freeze", "snapshot", "record", "quit"]
Style = Literal["points", "mesh", "wireframe"]

KEYS = (
    ("m", "points, mesh, wireframe"),
    ("l", "light the mesh"),
    ("d", "colour by depth"),
    ("f", "freeze"),
    ("s", "snapshot: picture and PLY"),
    ("v", "record on, off"),
    ("r", "reset the view"),
    ("h", "show these keys"),
    ("q", "quit"),
)

_STYLES: tuple[Style, ...] = ("points", "mesh", "wireframe")
_MOST_POINTS = 1 << 18
_FACE_HEIGHT_M = 0.34  # what the first view shows from top to bottom
_FOV_DEG = 30.0
_INSET = (320, 240)
_INSET_SHARE = 0.30  # of the window's width
_FOLLOW = 0.25  # share of the way to the face's centre that the view goes each frame
_DEPTH_SPAN_M = 0.16
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
        self._o3d = o3d = _import_open3d()
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
        self._center: Float32Array | None = None
        self._points = np.zeros((_MOST_POINTS, 3), dtype=np.float64)
        self._colors = np.zeros((_MOST_POINTS, 3), dtype=np.float64)
        self._cloud = o3d.geometry.PointCloud()
        self._mesh = o3d.geometry.TriangleMesh()
        self._lines = o3d.geometry.LineSet()
        self._shown: dict[str, bool] = {"cloud": False, "mesh": False, "lines": False}
        self._inset, self._inset_size = self._make_inset()
        options = self._window.get_render_option()
        options.background_color = np.array([0.11, 0.11, 0.12])
        options.point_size = 3.0
        options.light_on = False
        options.mesh_show_back_face = True
        for key, action in self._actions().items():
            self._window.register_key_callback(ord(key.upper()), action)
        self._reset_view()

    def update(self, view: ViewFrame) -> None:
        """Show another frame; it is drawn by the next `tick`."""
        self._view = view
        self._draw_faces(view.faces)
        self._draw_inset(view)

    def tick(self) -> bool:
        """Handle events and draw; False once the window was closed."""
        if not self._open:
            return False
        self._place_inset()
        if not self._window.poll_events():
            self._open = False
            return False
        self._window.update_renderer()
        return self._open

    def poll_commands(self) -> list[Command]:
        """What the user has asked for since the last call."""
        commands, self._commands = self._commands, []
        return commands

    def capture(self) -> BgrImage:
        """What the window shows, (H, W, 3) uint8 BGR."""
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
            "f": command("freeze"),
            "s": command("snapshot"),
            "v": command("record"),
            "q": command("quit"),
        }

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
        """Look at the face from the camera: upright, not mirrored, filling the window."""
        control = self._window.get_view_control()
        parameters = control.convert_to_pinhole_camera_parameters()
        width, height = parameters.intrinsic.width, parameters.intrinsic.height
        focal = 0.5 * height / np.tan(np.radians(_FOV_DEG) / 2)
        parameters.intrinsic = self._o3d.camera.PinholeCameraIntrinsic(
            width, height, focal, focal, width / 2 - 0.5, height / 2 - 0.5
        )
        extrinsic = np.eye(4)
        extrinsic[2, 3] = 0.5 * _FACE_HEIGHT_M / np.tan(np.radians(_FOV_DEG) / 2)
        parameters.extrinsic = extrinsic
        control.convert_from_pinhole_camera_parameters(parameters, allow_arbitrary=True)
        control.set_constant_z_near(0.02)
        control.set_constant_z_far(20.0)

    def _draw_faces(self, faces: Sequence[FaceReconstruction]) -> None:
        if faces:
            self._follow(np.mean([_middle(face) for face in faces], axis=0).astype(np.float32))
        if self._style == "wireframe":
            self._draw_lines(faces)
            return
        self._show("lines", self._lines, False)
        count = 0
        triangles, normals = [], []
        as_mesh = self._style != "points"
        for face in faces:
            points = face.points_camera
            end = min(count + len(points), _MOST_POINTS)
            kept = end - count
            np.subtract(points[:kept], self._center, out=self._points[count:end])
            self._colors[count:end] = self._face_colors(face)[:kept]
            if as_mesh and kept == len(points):
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
            self._mesh.vertex_normals = vector(
                np.concatenate(normals).astype(np.float64) if normals else np.zeros((0, 3))
            )
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
            colors.append(face.grid.colors[::step, ::step][valid])
            jump = 3.0 * step * face.grid.max_step_m
            for a, b in (
                ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
                ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
            ):
                joined = valid[a] & valid[b] & (np.abs(grid[a][..., 2] - grid[b][..., 2]) < jump)
                lines.append(np.stack([place[a][joined], place[b][joined]], axis=1))
            count += len(points[-1])
        if count:
            vector = self._o3d.utility.Vector3dVector
            self._lines.points = vector(np.concatenate(points).astype(np.float64))
            self._lines.colors = vector(np.concatenate(colors) / 255.0)
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
        if self._center is None or float(np.abs(center - self._center).max()) > 0.3:
            self._center = center
        else:
            self._center = self._center + _FOLLOW * (center - self._center)

    def _face_colors(self, face: FaceReconstruction) -> Float64Array:
        if not self._by_depth:
            return face.colors / 255.0
        near = float(_middle(face)[2]) - 0.09
        level = np.clip(1 - (face.points_camera[:, 2] - near) / _DEPTH_SPAN_M, 0, 1)
        colored = cv2.applyColorMap((level * 255).astype(np.uint8)[:, None], cv2.COLORMAP_INFERNO)
        return np.asarray(colored[:, 0, ::-1] / 255.0)

    def _make_inset(self) -> tuple[Any, tuple[int, int]]:
        """A textured rectangle that `_place_inset` holds before the virtual camera."""
        o3d = self._o3d
        quad = o3d.geometry.TriangleMesh()
        quad.vertices = o3d.utility.Vector3dVector(np.eye(4, 3))
        quad.triangles = o3d.utility.Vector3iVector(np.array([[0, 2, 1], [1, 2, 3]]))
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64)
        quad.triangle_uvs = o3d.utility.Vector2dVector(corners[[0, 2, 1, 1, 2, 3]])
        quad.triangle_material_ids = o3d.utility.IntVector([0, 0])
        quad.textures = [o3d.geometry.Image(np.zeros((_INSET[1], _INSET[0], 3), np.uint8))]
        # The first geometry sets the bounding box, and with it how the mouse zooms and pans.
        quad.vertices = o3d.utility.Vector3dVector(
            np.array([[-1, -1, -1], [1, -1, 1], [-1, 1, -1], [1, 1, 1]]) * 0.12
        )
        self._window.add_geometry(quad, reset_bounding_box=True)
        return quad, _INSET

    def _draw_inset(self, view: ViewFrame) -> None:
        picture = draw_overlay(view.image, view.faces)
        height = _INSET[0] * view.image.shape[0] // view.image.shape[1]
        small = np.asarray(
            cv2.resize(picture, (_INSET[0], height), interpolation=cv2.INTER_AREA), dtype=np.uint8
        )
        lines = [
            f"{view.figures.fps:.1f} fps  {view.figures.latency_ms:.0f} ms  "
            f"{view.figures.frames_dropped} dropped",
            f"{view.figures.model} on {view.figures.provider}",
            view.figures.state + ("" if self._help else "      h: keys"),
        ]
        if self._help:
            lines += [f"{key}: {text}" for key, text in KEYS] + ["mouse: turn, wheel: zoom"]
        panel = np.full((16 * len(lines) + 8, _INSET[0], 3), 28, dtype=np.uint8)
        for k, line in enumerate(lines):
            put_text(panel, line, (6, 16 * (k + 1)), 0.95)
        inset = np.vstack([small, panel])
        self._inset.textures = [self._o3d.geometry.Image(np.ascontiguousarray(inset[..., ::-1]))]
        self._inset_size = (inset.shape[1], inset.shape[0])
        self._inset_changed = True

    def _place_inset(self) -> None:
        control = self._window.get_view_control()
        parameters = control.convert_to_pinhole_camera_parameters()
        K, E = parameters.intrinsic, parameters.extrinsic
        focal = K.intrinsic_matrix[0, 0]
        width_px = _INSET_SHARE * K.width
        height_px = width_px * self._inset_size[1] / self._inset_size[0]
        z = 0.05
        left, top = 10 - K.width / 2, 10 - K.height / 2
        x = np.array([left, left + width_px]) * z / focal
        y = np.array([top, top + height_px]) * z / focal
        corners = np.array([[x[0], y[0], z], [x[1], y[0], z], [x[0], y[1], z], [x[1], y[1], z]])
        world = (corners - E[:3, 3]) @ E[:3, :3]
        self._inset.vertices = self._o3d.utility.Vector3dVector(world)
        self._window.update_geometry(self._inset)


def _middle(face: FaceReconstruction) -> Float32Array:
    """(3,) metres, camera frame: the middle of the head's front."""
    below = np.array([0.0, 0.03, 0.03, 1.0])
    return np.asarray((face.T_camera_face @ below)[:3], dtype=np.float32)


def _compact_triangles(face: FaceReconstruction) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Triangles into `points_camera` instead of the whole grid."""
    valid = face.grid.valid.ravel()
    place = np.cumsum(valid, dtype=np.int32) - 1
    return np.asarray(place[face.grid.triangles], dtype=np.int32)


def _import_open3d() -> Any:
    try:
        import open3d
    except ImportError as error:
        raise RtreconError(f"Open3D is not installed ({error}): pip install open3d") from error
    except OSError as error:
        raise RtreconError(
            f"Open3D lacks a library of the system ({error}); on Debian: "
            "apt-get install libegl1 libgl1 libusb-1.0-0 libgomp1"
        ) from error
    return open3d
