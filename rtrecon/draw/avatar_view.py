"""An avatar of our own: the head model in a plain skin, moved by coefficients."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from rtrecon.draw.head_shell import Fans, head_shell, ramp
from rtrecon.draw.raster import Painted, orbit, paint
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.geometry.mesh import Int32Array
from rtrecon.types import BgrImage, EyeAngles, Float32Array, Float64Array

__all__ = ["AvatarView"]

_SKIN, _LIPS, _BROWS = (214, 168, 142), (188, 108, 100), (92, 66, 52)
_TEETH, _GUMS, _SOCKET = (236, 230, 218), (170, 90, 90), (96, 40, 42)
_WHITE, _IRIS, _PUPIL = (238, 236, 232), (84, 108, 120), (20, 18, 18)
_IRIS_RAD, _PUPIL_RAD = 0.43, 0.19  # about the middle of the eyeball, from where it looks
_EYE_BACK_M = 0.006
_BROW_M = 0.0055  # half as high
_LIGHT, _AMBIENT, _KEY = (-0.4, -0.55, -0.73), 0.5, 0.55
_CENTER_M, _EXTENT_M = (0.0, 0.03, 0.07), 0.31
_LEAST = 0.01
_TOO_MANY = 380  # pixels a side; larger ones are enlarged


class AvatarView:
    """Draws the avatar; for one thread.

    Raises:
        ModelError: the head model is not installed, or damaged.
    """

    def __init__(self) -> None:
        shell = head_shell()
        self._model = model = shell.model
        count = model.parts["head_neck"].stop
        skin = shell.triangles[(shell.triangles < len(shell.skin)).all(axis=1)]
        inner = model.triangles[(model.triangles >= count).any(axis=1)]
        # Lashes are cards that need alpha; the backs of the eyes are never seen.
        inner = inner[(inner < model.parts["lashes"].start).all(axis=1)]
        is_eye = (inner >= model.parts["eye_left"].start).all(axis=1)
        inner = inner[~is_eye | (model.vertices[inner, 2].max(axis=1) < _EYE_BACK_M)]
        corners = np.concatenate([shell.skin[skin], inner])
        self._vertices = np.unique(corners).astype(np.int32)
        self._triangles = np.searchsorted(self._vertices, corners).astype(np.int32)
        self._fans = Fans(self._triangles)
        self._rest = model.vertices.take(self._vertices, axis=0)
        cut = np.zeros(len(model.vertices), dtype=np.float32)
        cut[shell.skin] = shell.cut_m
        self._rest[:, 1] += cut[self._vertices]
        self._eyes = [
            (center, np.flatnonzero(_within(self._vertices, model.parts[name])))
            for center, name in zip(
                model.eye_centers(model.vertices), ("eye_left", "eye_right"), strict=True
            )
        ]
        self._colors = self._paint_parts()
        self._shapes = [
            (ARKIT_NAMES.index(name), k) for k, name in enumerate(model.expression_names)
        ]

    def draw(
        self,
        coefficients: Float32Array,
        R: Float64Array,
        eyes: Sequence[EyeAngles],
        size_px: tuple[int, int],
    ) -> BgrImage:
        """(height, width, 3) uint8 BGR.

        Args:
            coefficients: (52,) in ARKit's order.
            R: (3, 3) turn of the head from facing the viewer, in the camera's axes.
            eyes: the person's left and right.
            size_px: width and height.
        """
        vertices = self._rest.copy()
        for place, k in self._shapes:
            value = float(coefficients[place])
            if value > _LEAST:
                shape = self._model.expression[k].take(self._vertices, axis=0)
                vertices += np.float32(value) * shape
        for (center, chosen), eye in zip(self._eyes, eyes, strict=True):
            turn = _turn(eye)
            about = center.astype(np.float32)
            vertices[chosen] = (vertices[chosen] - about) @ turn.T + about
        turned = R.astype(np.float32)
        center = np.array(_CENTER_M, dtype=np.float32)
        placed = (vertices - center) @ turned.T
        normals = self._fans.normals(placed)
        toward = np.array(_LIGHT, dtype=np.float32) / np.float32(np.linalg.norm(_LIGHT))
        light = _AMBIENT + _KEY * np.maximum(normals @ toward, 0.0)
        surface = Painted(
            placed,
            normals,
            self._triangles,
            (self._colors * light[:, None]).astype(np.float32),
            np.zeros((len(placed), 2), dtype=np.float32),
            np.zeros(len(placed), dtype=np.float32),
            np.zeros((1, 1, 3), dtype=np.uint8),
        )
        width, height = size_px
        shrink = max(1.0, max(size_px) / _TOO_MANY)
        small = round(width / shrink), round(height / shrink)
        picture, _ = paint(
            surface, orbit(0.0), small, center=np.zeros(3, np.float32), extent_m=_EXTENT_M
        )
        if small == size_px:
            return picture
        enlarged = cv2.resize(picture, size_px, interpolation=cv2.INTER_LINEAR)
        return np.asarray(enlarged, dtype=np.uint8)

    def _paint_parts(self) -> Float32Array:
        """(n, 3) RGB of the vertices."""
        model, at = self._model, self._rest
        colors = np.empty_like(at)
        colors[:] = _SKIN
        marks = model.vertices[model.landmarks]
        lips = _inside_px(at, marks[48:60])
        near = (at[:, 2] < 0.0)[:, None]
        colors += near * ramp(lips, -0.001, 0.001)[:, None] * np.subtract(_LIPS, _SKIN)
        for brow in (marks[17:22], marks[22:27]):
            away = _distance(at[:, :2], brow[:, :2])
            share = ramp(_BROW_M - away, 0.0, 0.004)
            colors += near * share[:, None] * (np.array(_BROWS) - colors)
        for name, tone in (
            ("mouth_socket", _SOCKET),
            ("eye_sockets", _SKIN),
            ("gums_tongue", _GUMS),
            ("teeth", _TEETH),
        ):
            colors[_within(self._vertices, model.parts[name])] = tone
        for center, chosen in self._eyes:
            away = at[chosen] - center
            angle = np.arccos(np.clip(-away[:, 2] / np.linalg.norm(away, axis=1), -1.0, 1.0))
            tones = np.full((len(chosen), 3), _WHITE, dtype=np.float32)
            tones[angle < _IRIS_RAD] = _IRIS
            tones[angle < _PUPIL_RAD] = _PUPIL
            colors[chosen] = tones
        return np.asarray(colors, dtype=np.float32)


def _within(vertices: Int32Array, part: slice) -> Any:
    return (vertices >= part.start) & (vertices < part.stop)


def _turn(eye: EyeAngles) -> Float32Array:
    """(3, 3) from straight ahead to where it looks."""
    pitch = cv2.Rodrigues(np.array([eye.pitch_rad, 0.0, 0.0]))[0]
    yaw = cv2.Rodrigues(np.array([0.0, eye.yaw_rad, 0.0]))[0]
    return np.asarray(yaw @ pitch, dtype=np.float32)


def _inside_px(points: Float32Array, outline: Float32Array) -> Float32Array:
    """(n,) metres inside an outline (k, 3), as seen from the front; below zero outside."""
    flat = np.ascontiguousarray(outline[:, None, :2])
    distances = [
        cv2.pointPolygonTest(flat, (float(x), float(y)), True) for x, y in points[:, :2].tolist()
    ]
    return np.array(distances, dtype=np.float32)


def _distance(points: Float32Array, line: Float32Array) -> Float32Array:
    """(n,) from a line of points (k, 2)."""
    best = np.full(len(points), np.inf, dtype=np.float32)
    for a, b in itertools.pairwise(line):
        along = b - a
        share = np.clip((points - a) @ along / (along @ along), 0.0, 1.0)
        np.minimum(best, np.linalg.norm(points - a - share[:, None] * along, axis=1), out=best)
    return best
