"""One picture that shows what was reconstructed: input, depth, and views from both sides."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.draw.live_head import HeadView, LiveHead
from rtrecon.draw.raster import render_views
from rtrecon.draw.turning import cut_out
from rtrecon.geometry.mesh import Mesh
from rtrecon.geometry.portrait import depth_colors
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.mesh.face_mesh import face_mesh
from rtrecon.types import BgrImage

__all__ = ["draw_preview"]

_HEIGHT = 640
_VIEW = (320, 320)
_MARGIN = 16
_HEADER = 34
_YAW_DEG = 35.0
_INK = (40, 40, 40)
_PAPER, _GROUND = 255, 250
_BOX_COLOR, _LANDMARK_COLOR = (80, 220, 60), (40, 80, 255)
_BAR_PX = 18
_BAR_LABEL_PX = 74


def draw_preview(
    image_bgr: BgrImage, face: FaceReconstruction, mesh: Mesh | None = None
) -> BgrImage:
    """The preview of one face.

    From left to right: the picture with box and landmarks; depth in colour with its scale
    in millimetres before and behind the eyes' middle; the mesh shaded (top), and the whole head
    (bottom, as `rtrecon.draw.live_head` has it), seen 35 degrees from either side.

    Args:
        image_bgr: (H, W, 3) uint8, the picture.
        face: one face of it.
        mesh: of the face, camera frame; None: `face_mesh` of it.
    """
    if mesh is None:
        mesh = face_mesh(face)
    head = LiveHead()(face)
    panels = [
        _titled("picture", _picture_panel(image_bgr, face)),
        _titled("depth, mm nearer than the eyes", _depth_panel(face)),
        _titled(f"seen {_YAW_DEG:.0f} degrees from the left", _views_panel(mesh, head, -_YAW_DEG)),
        _titled(f"and from the right, {_size_text(mesh)}", _views_panel(mesh, head, _YAW_DEG)),
    ]
    gap = np.full((panels[0].shape[0], _MARGIN, 3), _PAPER, dtype=np.uint8)
    row = np.hstack([part for panel in panels for part in (gap, panel)] + [gap])
    return np.asarray(
        cv2.copyMakeBorder(
            row, 0, _MARGIN, 0, 0, cv2.BORDER_CONSTANT, value=(_PAPER, _PAPER, _PAPER)
        ),
        dtype=np.uint8,
    )


def _picture_panel(image_bgr: BgrImage, face: FaceReconstruction) -> BgrImage:
    """The face with its surroundings: up to 2.2 boxes of height."""
    region, offset, scale = _around_face(image_bgr, face, 2.2)
    panel = region.copy()
    box = np.round((face.box_px.reshape(2, 2) - offset) * scale).astype(int)
    cv2.rectangle(panel, tuple(box[0]), tuple(box[1]), _BOX_COLOR, 2, cv2.LINE_AA)
    for x, y in np.round((face.landmarks_px - offset) * scale).astype(int).tolist():
        cv2.circle(panel, (x, y), 4, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(panel, (x, y), 3, _LANDMARK_COLOR, -1, cv2.LINE_AA)
    label = f"{face.score:.3f}  {face.z_ref_m * 100:.0f} cm away"
    x, y = int(np.clip(box[0, 0], 4, panel.shape[1] - 190)), max(int(box[0, 1]) - 8, 16)
    _text(panel, label, (x, y), color=(255, 255, 255), shadow=True)
    return panel


def _depth_panel(face: FaceReconstruction) -> BgrImage:
    x0, y0, side_x, side_y = _square_around(face, 1.75)
    # At the panel's own size, however large the picture is.
    scale = min(_HEIGHT / side_y, 1.0)
    size = max(2, round(side_x * scale)), max(2, round(side_y * scale))
    depth_m = face.depth_in_region((x0, y0, side_x, side_y), size)
    nearer_mm = ((face.T_camera_face[2, 3] - depth_m) * 1000.0).astype(np.float32)
    inside = nearer_mm[np.isfinite(nearer_mm)]
    low, high = np.percentile(inside, (2, 99.8)) if inside.size else (-1.0, 1.0)
    low, high = 10.0 * np.floor(low / 10.0), 10.0 * np.ceil(high / 10.0)
    colored = depth_colors(nearer_mm, low, high)
    resample = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    width = max(1, round(_HEIGHT * side_x / side_y))
    region = np.asarray(cv2.resize(colored, (width, _HEIGHT), interpolation=resample), np.uint8)
    panel = np.full((_HEIGHT, region.shape[1] + _BAR_PX + _BAR_LABEL_PX, 3), _PAPER, np.uint8)
    panel[:, : region.shape[1]] = region
    ramp = np.linspace(high, low, _HEIGHT, dtype=np.float32)[:, None].repeat(_BAR_PX, axis=1)
    x0 = region.shape[1] + 12
    panel[:, x0 : x0 + _BAR_PX] = depth_colors(ramp, low, high)
    step = next(s for s in (10, 20, 50, 100, 200, 500, 10000) if (high - low) / s <= 10)
    for value in np.arange(step * np.ceil(low / step), high + 0.5, step):
        y = round((high - value) / (high - low) * (_HEIGHT - 1))
        cv2.line(panel, (x0 + _BAR_PX, y), (x0 + _BAR_PX + 4, y), _INK, 1)
        text_y = int(np.clip(y + 4, 11, _HEIGHT - 2))
        _text(panel, f"{value:+.0f}", (x0 + _BAR_PX + 8, text_y))
    return panel


def _views_panel(mesh: Mesh, head: HeadView, yaw_deg: float) -> BgrImage:
    cut = cut_out(head, _VIEW, yaw_deg)
    share = cut[..., 3:] / np.float32(255.0)
    whole = (cut[..., :3] * share + _GROUND * (1.0 - share)).astype(np.uint8)
    if len(mesh.triangles) == 0:
        return np.vstack([np.full_like(whole, _GROUND), whole])
    low, high = np.percentile(mesh.vertices, (0.5, 99.5), axis=0)
    center = (low + high) / 2.0
    span_m = 1.12 * float(max(high[1] - low[1], high[0] - low[0]))
    shaded, _ = render_views(mesh, yaw_deg, *_VIEW, span_m=span_m, center_camera=center)
    return np.vstack([shaded, whole])


def _around_face(
    image: BgrImage, face: FaceReconstruction, boxes: float
) -> tuple[BgrImage, npt.NDArray[np.float64], float]:
    """A square around the face, ``boxes`` box heights wide, as (_HEIGHT, w, 3).

    Returns the panel, its top left corner in the picture and its scale.
    """
    left, top, side_x, side_y = _square_around(face, boxes)
    region = image[top : top + side_y, left : left + side_x]
    scale = _HEIGHT / region.shape[0]
    size = (max(1, round(region.shape[1] * scale)), _HEIGHT)
    resample = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    panel = np.asarray(cv2.resize(region, size, interpolation=resample), dtype=np.uint8)
    return panel, np.array([left, top], dtype=np.float64), scale


def _square_around(face: FaceReconstruction, boxes: float) -> tuple[int, int, int, int]:
    """First pixel, width and height of a square around the face, ``boxes`` box heights wide, as
    far as it is in the picture."""
    x0, y0, x1, y1 = (float(v) for v in face.box_px)
    side = boxes * max(x1 - x0, y1 - y0)
    width, height = face.intrinsics.width, face.intrinsics.height
    side_y = min(side, height)
    side_x = min(side, width, side_y)
    left = int(np.clip((x0 + x1 - side_x) / 2.0, 0, width - side_x))
    top = int(np.clip((y0 + y1 - side_y) / 2.0, 0, height - side_y))
    return left, top, max(int(side_x), 2), max(int(side_y), 2)


def _size_text(mesh: Mesh) -> str:
    return f"{len(mesh.triangles):,} triangles"


def _titled(title: str, panel: BgrImage) -> BgrImage:
    head = np.full((_HEADER, panel.shape[1], 3), _PAPER, dtype=np.uint8)
    _text(head, title, (0, _HEADER - 12), scale=0.5)
    return np.vstack([head, panel])


def _text(
    image: BgrImage,
    text: str,
    at: tuple[int, int],
    *,
    scale: float = 0.45,
    color: tuple[int, int, int] = _INK,
    shadow: bool = False,
) -> None:
    font = cv2.FONT_HERSHEY_SIMPLEX
    if shadow:
        (width, height), below = cv2.getTextSize(text, font, scale, 1)
        x, y = at
        region = image[max(y - height - 3, 0) : y + below + 1, max(x - 3, 0) : x + width + 4]
        region //= 3
    cv2.putText(image, text, at, font, scale, color, 1, cv2.LINE_AA)
