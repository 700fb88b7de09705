"""A person's whole head as one closed body, for printing: skin and neck, nothing inside.

Lids and lips are closed as they are in the picture: over the eyeball and between the lips, with
the picture's own pixels on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rtrecon.geometry.mesh import Int32Array, Mesh, UInt8Array, vertex_normals
from rtrecon.head.person import PersonHead
from rtrecon.head.view import View, sample, toward_camera
from rtrecon.mesh.mesh_ops import boundary_loops
from rtrecon.types import Float32Array, Float64Array

__all__ = ["ClosedHead", "close_head"]

_EYE_RINGS = (0.25, 0.5, 0.75)  # shares of the way from the lids' rim to the middle
_BEHIND_LIPS_M = 0.002
_FACING = 0.3  # an eye that is turned further away looks as the other one
# Where patches of the picture lie in the texture: over what is inside of the head. Left, top,
# width and height, of the texture.
_PATCHES = {
    "mouth": (0.64, 0.40, 0.34, 0.34),
    "eye_left": (0.635, 0.76, 0.16, 0.16),
    "eye_right": (0.825, 0.76, 0.16, 0.16),
}
_MARGIN = 0.12  # of a patch's side, around what is shown of it


@dataclass(frozen=True, slots=True, eq=False)
class ClosedHead:
    """One closed body in the camera frame. ``vertices`` (n, 3) float32; ``triangles`` (m, 3);
    ``uv`` (u, 2) with ``uv_triangles`` (m, 3) into the ``texture`` (s, s, 3) RGB."""

    vertices: Float32Array
    triangles: Int32Array
    uv: Float32Array
    uv_triangles: Int32Array
    texture: UInt8Array

    def colored(self) -> Mesh:
        """With a colour a vertex, each vertex once."""
        at = np.zeros((len(self.vertices), 2), dtype=np.float32)
        at[self.triangles.ravel()] = self.uv[self.uv_triangles.ravel()]
        # As a vertex stands for its surroundings.
        calm = cv2.GaussianBlur(self.texture, (0, 0), len(self.texture) / 1024.0)
        colors = sample(calm, at * len(self.texture) - np.float32(0.5))
        return Mesh(
            self.vertices,
            self.triangles,
            vertex_normals(self.vertices, self.triangles),
            np.asarray(np.clip(colors + 0.5, 0, 255), dtype=np.uint8),
        )

    def textured(self, smoothed: Mesh | None = None) -> Mesh:
        """With the texture: vertices on its seams are there once a side.

        Args:
            smoothed: `colored` with its vertices moved.
        """
        plain = self.colored() if smoothed is None else smoothed
        # A place in the texture may serve two vertices: make it one for each.
        pairs = np.stack([self.triangles.ravel(), self.uv_triangles.ravel()], axis=1)
        kinds, index = np.unique(pairs, axis=0, return_inverse=True)
        return Mesh(
            plain.vertices[kinds[:, 0]],
            index.reshape(-1, 3).astype(np.int32),
            plain.normals[kinds[:, 0]],
            plain.colors[kinds[:, 0]],
            self.uv[kinds[:, 1]],
            self.texture,
        )


def close_head(person: PersonHead) -> ClosedHead:
    """The head as it was seen in the first picture, closed at lids, lips and neck."""
    model, view = person.model, person.view
    skin_end = model.parts["head_neck"].stop
    of_skin = (model.triangles < skin_end).all(axis=1)
    triangles, uv_triangles = model.triangles[of_skin], model.uv_triangles[of_skin]
    vertices = person.vertices_camera[:skin_end]
    texture = person.texture.copy()
    facing = toward_camera(person.vertices_camera, model.triangles)
    builder = _Builder(vertices, triangles, model.uv, uv_triangles)
    for loop in boundary_loops(triangles):
        middle = model.vertices[loop].mean(axis=0)
        if middle[1] > 0.12:
            builder.close_flat(loop, _uv_of(triangles, uv_triangles, loop))
        elif middle[1] > 0.04:
            _close_mouth(builder, person, loop, texture)
        else:
            own = facing[loop].mean() > _FACING
            _close_eye(builder, person, view, loop, texture, mirrored=not own)
    return builder.head(texture)


class _Builder:
    def __init__(
        self,
        vertices: Float32Array,
        triangles: Int32Array,
        uv: Float32Array,
        uv_triangles: Int32Array,
    ) -> None:
        self.vertices, self.triangles = [vertices], [triangles]
        self.uv, self.uv_triangles = [uv], [uv_triangles]
        self.count, self.uv_count = len(vertices), len(uv)

    def close_flat(self, loop: Int32Array, uv_index: int) -> None:
        """With a fan of one colour."""
        center = self._add(self.of(loop).mean(axis=0, keepdims=True))
        fan = np.stack([np.roll(loop, -1), loop, np.full_like(loop, center)], axis=1)
        self.triangles.append(fan.astype(np.int32))
        self.uv_triangles.append(np.full_like(fan, uv_index).astype(np.int32))

    def close_rings(self, loop: Int32Array, rings: Float32Array, uv: Float32Array) -> None:
        """With rings (k, n, 3) from the loop inward, and a middle; ``uv`` ((k + 1) n + 1, 2) of
        the loop, the rings and the middle."""
        n, k = len(loop), len(rings)
        first = self._add(rings.reshape(-1, 3))
        center = self._add(rings[-1].mean(axis=0, keepdims=True))
        index = np.vstack([loop[None], first + np.arange(k * n).reshape(k, n)])
        place = self.uv_count + np.arange((k + 1) * n).reshape(k + 1, n)
        self.uv.append(uv.astype(np.float32))
        self.uv_count += len(uv)
        for grid, middle, out in (
            (index, center, self.triangles),
            (place, self.uv_count - 1, self.uv_triangles),
        ):
            a, b = grid, np.roll(grid, -1, axis=1)
            out.extend(
                np.asarray(part, dtype=np.int32).reshape(-1, 3)
                for part in (
                    np.stack([b[:-1], a[:-1], a[1:]], axis=-1),
                    np.stack([b[:-1], a[1:], b[1:]], axis=-1),
                    np.stack([b[-1], a[-1], np.full(n, middle)], axis=-1),
                )
            )

    def of(self, loop: Int32Array) -> Float32Array:
        return np.asarray(self.vertices[0][loop])

    def head(self, texture: UInt8Array) -> ClosedHead:
        return ClosedHead(
            np.concatenate(self.vertices).astype(np.float32),
            np.concatenate(self.triangles).astype(np.int32),
            np.concatenate(self.uv).astype(np.float32),
            np.concatenate(self.uv_triangles).astype(np.int32),
            texture,
        )

    def _add(self, points: Float32Array) -> int:
        first = self.count
        self.vertices.append(points.astype(np.float32))
        self.count += len(points)
        return first


def _close_mouth(
    builder: _Builder, person: PersonHead, loop: Int32Array, texture: UInt8Array
) -> None:
    border = builder.of(loop).astype(np.float64)
    middle = border.mean(axis=0)
    inward = person.fitted.R[:, 2] * _BEHIND_LIPS_M
    # A slit has no middle: each point goes to the middle of the height at its own place.
    across = (border - middle) @ person.fitted.R[:, 0]
    line = middle + across[:, None] * person.fitted.R[:, 0] * 0.85
    rings = np.stack([border + 0.4 * (line - border) + inward, 0.5 * (line + border) + 2 * inward])
    _patched(builder, person.view, loop, rings, "mouth", texture, None)


def _close_eye(
    builder: _Builder,
    person: PersonHead,
    view: View,
    loop: Int32Array,
    texture: UInt8Array,
    *,
    mirrored: bool,
) -> None:
    model = person.model
    side = 0 if model.vertices[loop, 0].mean() > 0 else 1
    name = ("eye_left", "eye_right")[side]
    ball = person.vertices_camera[model.parts[name]].astype(np.float64)
    system = np.concatenate([2.0 * ball, np.ones((len(ball), 1))], axis=1)
    center = np.linalg.lstsq(system, (ball**2).sum(axis=1), rcond=None)[0][:3]
    border = builder.of(loop).astype(np.float64)
    radius = np.linalg.norm(border - center, axis=1, keepdims=True)
    middle = border.mean(axis=0)
    rings = []
    for share in _EYE_RINGS:
        point = border + share * (middle - border) - center
        point *= radius / np.linalg.norm(point, axis=1, keepdims=True)
        rings.append(center + point)
    _patched(builder, view, loop, np.stack(rings), name, texture, person if mirrored else None)


def _patched(
    builder: _Builder,
    view: View,
    loop: Int32Array,
    rings: Float64Array,
    name: str,
    texture: UInt8Array,
    mirrored_of: PersonHead | None,
) -> None:
    """Close with the picture's pixels; ``mirrored_of``: those of the head's other side."""
    points = np.concatenate([builder.of(loop)[None], rings]).reshape(-1, 3)
    points = np.concatenate([points, rings[-1].mean(axis=0, keepdims=True)]).astype(np.float32)
    if mirrored_of is not None:
        fitted = mirrored_of.fitted
        flipped = fitted.to_head(points) * np.array([-1.0, 1.0, 1.0], dtype=np.float32)
        points = fitted.to_camera(flipped)
    pixels = view.pixels(points)
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    span = np.maximum(high - low, 2.0) * (1.0 + 2.0 * _MARGIN)
    low = 0.5 * (low + high) - 0.5 * span
    size = len(texture)
    left, top, wide, tall = (round(v * size) for v in _PATCHES[name])
    scale = span / (wide, tall)
    columns, rows = np.meshgrid(
        low[0] + (np.arange(wide) + 0.5) * scale[0], low[1] + (np.arange(tall) + 0.5) * scale[1]
    )
    patch = cv2.remap(
        view.image,
        columns.astype(np.float32),
        rows.astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    texture[top : top + tall, left : left + wide] = patch[:, :, ::-1]
    uv = ((pixels - low) / scale + (left, top)) / size
    builder.close_rings(loop, rings.astype(np.float32), uv.astype(np.float32))


def _uv_of(triangles: Int32Array, uv_triangles: Int32Array, loop: Int32Array) -> int:
    """A place in the texture of the loop's first vertex."""
    triangle, corner = np.argwhere(triangles == loop[0])[0]
    return int(uv_triangles[triangle, corner])
