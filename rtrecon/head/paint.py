"""What no picture shows well is painted: eyeballs, teeth, gums, lashes, the mouth's inside."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.head.layout import Layout
from rtrecon.head.model import PART_NAMES, HeadModel
from rtrecon.head.tongue import tongue_share
from rtrecon.head.view import View
from rtrecon.types import Float32Array, Float64Array

__all__ = ["eye_color", "paint_eyes", "paint_inner", "paint_mouth"]

# RGB.
_TEETH = np.array([226.0, 217.0, 202.0])
_GUMS, _TONGUE = np.array([168.0, 92.0, 88.0]), np.array([178.0, 98.0, 94.0])
_MOUTH = np.array([104.0, 46.0, 44.0])
_SCLERA, _SCLERA_EDGE = np.array([214.0, 206.0, 200.0]), np.array([190.0, 160.0, 152.0])
_BROWN = np.array([92.0, 62.0, 44.0])
_LASHES = np.array([58.0, 42.0, 36.0])
# Angles from the eye's front, as seen from its middle.
_PUPIL_DEG, _IRIS_DEG, _SOFT_DEG, _GLINT_DEG = 8.5, 23.0, 1.6, 2.4
_IRIS_M = 0.0059  # radius
# How far in the mouth the lips' colour ends, and where light ends; what is left of it there.
_RIM_M, _MOUTH_M = 0.014, 0.050
_DARK_GUMS, _DARK_TEETH = 0.45, 0.6


def paint_inner(
    texture: Float32Array,
    model: HeadModel,
    layout: Layout,
    skin: Float64Array,
    iris: Float64Array,
) -> None:
    """All of it into ``texture`` (size, size, 3) float32 RGB, in place."""
    paint_mouth(texture, model, layout, skin)
    paint_eyes(texture, model, layout, iris)


def paint_mouth(
    texture: Float32Array, model: HeadModel, layout: Layout, skin: Float64Array
) -> None:
    """The mouth, the eyes' sockets and the lashes into ``texture`` (size, size, 3), in place."""
    size = len(texture)
    part = cv2.resize(layout.part, (size, size), interpolation=cv2.INTER_NEAREST)
    flat = {
        "mouth_socket": _MOUTH,
        "gums_tongue": _GUMS,
        "teeth": _TEETH,
        "lashes": _LASHES,
        "eye_sockets": skin * (0.72, 0.52, 0.48),
    }
    for name, color in flat.items():
        texture[part == PART_NAMES.index(name)] = color
    _darken_inward(texture, layout, model, np.asarray(part, dtype=np.uint8), skin)


def paint_eyes(texture: Float32Array, model: HeadModel, layout: Layout, iris: Float64Array) -> None:
    """The eyeballs into ``texture`` (size, size, 3), in place."""
    scale = len(texture) / layout.size
    centers = model.eye_centers(model.vertices)
    for center, name in zip(centers, ("eye_left", "eye_right"), strict=True):
        rows, columns = np.nonzero(layout.part == PART_NAMES.index(name))
        if len(rows) == 0:
            continue
        box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        toward = layout.spread((model.vertices - center).astype(np.float32))[box]
        top, bottom = (round(v * scale) for v in (rows.min(), rows.max() + 1))
        left, right = (round(v * scale) for v in (columns.min(), columns.max() + 1))
        wide = (right - left, bottom - top)
        larger = cv2.resize(toward, wide, interpolation=cv2.INTER_CUBIC)
        painted = _eye(np.asarray(larger, dtype=np.float32), iris)
        inside = cv2.resize(
            (layout.part[box] == PART_NAMES.index(name)).astype(np.uint8),
            wide,
            interpolation=cv2.INTER_NEAREST,
        )
        shown = inside > 0
        texture[top:bottom, left:right][shown] = painted[shown]


def _darken_inward(
    texture: Float32Array,
    layout: Layout,
    model: HeadModel,
    part: npt.NDArray[np.uint8],
    skin: Float64Array,
) -> None:
    """The mouth's socket begins at the lips in their colour; all in the mouth darkens inward."""
    size = len(texture)
    lips = float(model.vertices[model.landmarks[60:68], 2].mean())
    inward = np.maximum(model.vertices[:, 2:] - lips, 0.0)
    depth_m = np.asarray(cv2.resize(layout.spread(inward), (size, size)), dtype=np.float32)
    socket = part == PART_NAMES.index("mouth_socket")
    rim = skin * (0.72, 0.48, 0.46)
    share = np.clip(depth_m[socket] / _RIM_M, 0.0, 1.0)[:, None]
    texture[socket] = rim + share * (_MOUTH - rim)
    for name, dark in (("gums_tongue", _DARK_GUMS), ("teeth", _DARK_TEETH)):
        inside = part == PART_NAMES.index(name)
        share = np.clip(depth_m[inside] / _MOUTH_M, 0.0, 1.0)[:, None]
        texture[inside] *= 1.0 - (1.0 - dark) * share
    # The tongue comes out into the light.
    inside = part == PART_NAMES.index("gums_tongue")
    out = layout.spread(np.minimum(1.5 * tongue_share(model), 1.0)[:, None].astype(np.float32))
    share = np.asarray(cv2.resize(out, (size, size)), dtype=np.float32)[inside][:, None]
    texture[inside] += share * (_TONGUE - texture[inside])


def _eye(toward: Float32Array, iris: Float64Array) -> Float32Array:
    """(h, w, 3) RGB of places of an eyeball, ``toward`` (h, w, 3) from its middle; it looks
    along -z."""
    across = np.hypot(toward[:, :, 0], toward[:, :, 1])
    angle = np.degrees(np.arctan2(across, -toward[:, :, 2]))
    turn = np.arctan2(toward[:, :, 1], toward[:, :, 0])
    sclera = _SCLERA + np.clip((angle - 30.0) / 40.0, 0.0, 1.0)[:, :, None] * (
        _SCLERA_EDGE - _SCLERA
    )
    # Fibres run from the pupil out; the rim is dark, the ring around the pupil lighter.
    fibres = 0.5 + 0.2 * np.sin(23 * turn + 1.3) + 0.16 * np.sin(41 * turn + 0.4)
    fibres += 0.14 * np.sin(67 * turn + 2.1)
    radius = np.clip((angle - _PUPIL_DEG) / (_IRIS_DEG - _PUPIL_DEG), 0.0, 1.0)
    light = 0.86 + 0.34 * (1.0 - radius) + 0.22 * (fibres - 0.5)
    light *= 1.0 - 0.55 * np.clip((radius - 0.72) / 0.28, 0.0, 1.0) ** 2
    colored = np.clip(iris * light[:, :, None], 0.0, 255.0)
    pupil = np.array([14.0, 12.0, 12.0])
    result = _mix(pupil, colored, angle, _PUPIL_DEG)
    result = _mix(result, sclera, angle, _IRIS_DEG)
    # The lid's shadow above, and a window's light.
    up = -toward[:, :, 1] / np.maximum(np.linalg.norm(toward, axis=2), 1e-6)
    result = result * (1.0 - 0.35 * np.clip((up - 0.10) / 0.35, 0.0, 1.0))[:, :, None]
    glint = np.array([-0.16, -0.20, -1.0]) / np.linalg.norm([0.16, 0.20, 1.0])
    cosine = (toward @ glint) / np.maximum(np.linalg.norm(toward, axis=2), 1e-6)
    away = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    result = _mix(np.array([240.0, 240.0, 240.0]), result, away.astype(np.float32), _GLINT_DEG)
    return np.asarray(result, dtype=np.float32)


def _mix(
    inner: Float64Array, outer: Float64Array, angle: Float32Array, at_deg: float
) -> Float64Array:
    share = np.clip((angle - at_deg) / _SOFT_DEG + 0.5, 0.0, 1.0)[:, :, None]
    return np.asarray(inner + share * (outer - inner))


def eye_color(view: View, vertices_camera: Float32Array) -> Float64Array:
    """(3,) RGB of the irises: the middle tones around the middles of the open eyes."""
    model = view.fitted.model
    pixels = view.pixels(vertices_camera)
    radius = _IRIS_M * view.px_per_m
    found = []
    for lids in (slice(36, 42), slice(42, 48)):
        marks = pixels[model.landmarks[lids]].astype(np.float64)
        if view.face.landmarks68_px is not None:
            M = view.M_image_picture
            marks = view.face.landmarks68_px[lids] @ M[:, :2].T + M[:, 2]
        high = float(np.linalg.norm(marks[[1, 2]].mean(axis=0) - marks[[4, 5]].mean(axis=0)))
        if high < 3.0 or radius < 2.0:
            continue  # shut, or too small
        x, y = marks.mean(axis=0)
        reach = int(np.ceil(1.6 * radius))
        x0, y0 = int(x) - reach, int(y) - reach
        patch = view.image[max(y0, 0) : y0 + 2 * reach, max(x0, 0) : x0 + 2 * reach]
        if patch.size == 0:
            continue
        rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]].astype(np.float64)
        rows += max(y0, 0)
        columns += max(x0, 0)
        near = (np.hypot(columns - x, rows - y) < 0.8 * radius) & (np.abs(rows - y) < 0.3 * high)
        found.append(patch[near][:, ::-1].astype(np.float64))
    colors = np.concatenate(found) if found else np.zeros((0, 3))
    if len(colors) < 12:
        return _BROWN
    # The pupil is darker, lights and sclera are brighter.
    luma = colors @ (0.299, 0.587, 0.114)
    low, high_luma = np.quantile(luma, (0.25, 0.65))
    color = np.median(colors[(luma >= low) & (luma <= high_luma)], axis=0)
    color = color * np.clip(60.0 / max(float(color.mean()), 1.0), 0.8, 2.0)
    # Small eyes take on the lids' red: what is darker than grey is brown.
    color = color + 0.4 * np.clip((color[0] - color[2]) / 20.0, 0.0, 1.0) * (_BROWN - color)
    return np.asarray(np.clip(color, 20.0, 190.0))
