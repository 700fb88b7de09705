"""What people wear and hold: glasses, clothes, face masks, headsets, hands, mugs, phones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtrecon.train.face_model import LANDMARKS_68, FaceModel
from rtrecon.train.heads.mesh import Part, grid_triangles
from rtrecon.train.heads.regions import HeadRegions, Material
from rtrecon.types import Float32Array

Array = npt.NDArray[np.floating]

__all__ = ["face_mask_part", "glasses_parts", "headset_parts", "occluder_parts", "torso_part"]


def tube(path: Array, radius: float, material: Material, *, closed: bool = False) -> Part:
    """A round tube along ``path`` (n, 3) centimetres."""
    ring = 8
    following = np.roll(path, -1, axis=0) if closed else np.concatenate([path[1:], path[-1:]])
    before = np.roll(path, 1, axis=0) if closed else np.concatenate([path[:1], path[:-1]])
    along = following - before
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    helper = np.where(np.abs(along[:, 1:2]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    u = np.cross(along, helper)
    u /= np.maximum(np.linalg.norm(u, axis=1, keepdims=True), 1e-6)
    v = np.cross(along, u)
    angle = np.linspace(0, 2 * np.pi, ring, endpoint=False)
    offset = np.cos(angle)[None, :, None] * u[:, None] + np.sin(angle)[None, :, None] * v[:, None]
    vertices = path[:, None, :] + radius * offset
    if closed:
        vertices = np.concatenate([vertices, vertices[:1]])
    rows = len(vertices)
    uv = np.zeros((rows * ring, 2), dtype=np.float32)
    return Part(
        vertices.reshape(-1, 3).astype(np.float32),
        grid_triangles(rows, ring, wrap=True),
        float(material),
        uv,
        normals=np.concatenate([offset, offset[:1]] if closed else [offset])
        .reshape(-1, 3)
        .astype(np.float32),
    )


def ellipsoid(center: Array, radii: Array, material: Material) -> Part:
    """An ellipsoid, also the building block of caps and cushions."""
    theta = np.linspace(0, np.pi, 12)[:, None]
    phi = np.linspace(0, 2 * np.pi, 20)[None, :]
    unit = np.stack(
        np.broadcast_arrays(
            np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)
        ),
        axis=-1,
    )
    points = center + unit * radii
    return Part(
        points.reshape(-1, 3).astype(np.float32),
        grid_triangles(12, 20),
        float(material),
        np.zeros((240, 2), np.float32),
    )


def glasses_parts(
    rng: np.random.Generator, vertices: Float32Array
) -> tuple[list[Part], list[Part]]:
    """Frame parts and lens parts fitted to the head."""
    marks = vertices[LANDMARKS_68]
    left, right = marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)
    apart = float(np.linalg.norm(right - left))
    width, height = apart * rng.uniform(0.36, 0.47), apart * rng.uniform(0.24, 0.42)
    power = rng.uniform(2.0, 4.5)
    thick = float(rng.uniform(0.07, 0.32))
    front = max(float(marks[27, 2]), float(left[2]) + 1.2) + rng.uniform(0.1, 0.5)
    drop = rng.uniform(-0.5, 0.1)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    shape_x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power) * width
    shape_y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power) * height
    frames, lenses = [], []
    curve = rng.uniform(0.0, 0.03)
    rim = rng.random() > 0.12
    for eye in (left, right):
        x = eye[0] + shape_x
        y = eye[1] + drop + shape_y
        path = np.stack([x, y, front - curve * x**2], axis=1)
        if rim:
            frames.append(tube(path, thick, Material.FRAME, closed=True))
        disc = np.stack(
            [
                eye[None] * [1, 1, 0] + (path - [eye[0], eye[1], 0]) * [s, s, 1]
                for s in (0.0, 0.5, 0.97)
            ]
        )
        disc[..., 0] = eye[0] + (x - eye[0])[None] * np.array([0.0, 0.5, 0.97])[:, None]
        disc[..., 1] = eye[1] + drop + shape_y[None] * np.array([0.0, 0.5, 0.97])[:, None]
        disc[..., 2] = front - curve * disc[..., 0] ** 2
        lenses.append(
            Part(
                disc.reshape(-1, 3).astype(np.float32),
                grid_triangles(3, 40, wrap=True),
                float(Material.LENS),
                np.zeros((120, 2), np.float32),
            )
        )
        side = np.sign(eye[0])
        hinge = np.array(
            [
                eye[0] + side * width,
                eye[1] + drop + height * 0.4,
                front - curve * (abs(eye[0]) + width) ** 2,
            ]
        )
        ear = np.array([side * (abs(marks[0, 0]) + 0.3), marks[0, 1] + 1.3, marks[0, 2] - 3.0])
        frames.append(tube(np.linspace(hinge, ear, 8), thick * 0.8, Material.FRAME))
    bridge_y = left[1] + drop + height * 0.35
    bridge = np.linspace([left[0] + width, bridge_y, front], [right[0] - width, bridge_y, front], 8)
    bridge[:, 1] += 0.25 * np.sin(np.linspace(0, np.pi, 8))
    frames.append(tube(bridge, thick * 0.9, Material.FRAME))
    return frames, lenses


def torso_part(rng: np.random.Generator) -> Part:
    """Shoulders and chest in clothes; a collar up the neck at times."""
    top = rng.uniform(-15.5, -11.5)
    y = np.concatenate([[top], top - np.array([0.8, 2, 3.5, 5, 7, 10, 15, 22, 30])])
    half_width = np.interp(np.arange(10), [0, 1, 3, 5, 6, 7, 9], [6.6, 7.4, 10, 16.5, 19.5, 21, 22])
    half_depth = np.interp(np.arange(10), [0, 1, 3, 5, 7, 9], [6.4, 7.2, 8.2, 9.5, 11, 12])
    half_width = half_width * rng.uniform(0.88, 1.15)
    half_depth = half_depth * rng.uniform(0.9, 1.2)
    angle = np.linspace(0, 2 * np.pi, 48)
    center_z = np.interp(np.arange(10), [0, 4, 9], [-1.0, -2.0, -1.5])
    x = half_width[:, None] * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.8
    z = (
        center_z[:, None]
        + half_depth[:, None] * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.8
    )
    folds = rng.normal(0, 0.25, (10, 48))
    folds[:, -1] = folds[:, 0]
    x = x * (1 + 0.01 * folds)
    points = np.stack([x, np.repeat(y[:, None], 48, axis=1) + 0.15 * folds, z + 0.2 * folds], -1)
    uv = np.stack(
        np.broadcast_arrays(np.linspace(0, 2, 48)[None, :], np.linspace(0, 1, 10)[:, None]), -1
    )
    return Part(
        points.reshape(-1, 3).astype(np.float32),
        grid_triangles(10, 48),
        float(Material.CLOTH),
        uv.reshape(-1, 2).astype(np.float32),
    )


def face_mask_part(
    rng: np.random.Generator, model: FaceModel, regions: HeadRegions, vertices: Float32Array
) -> Part:
    """A cloth mask over mouth and nose: the skin below it, pushed out and smoothed."""
    mean = model.vertices
    ax = np.abs(mean[:, 0])
    upper = np.interp(ax, [0, 1.5, 3.5, 6.5, 7.6], [2.0, 0.9, 0.0, -0.6, -0.6]) + rng.normal(
        0, 0.25
    )
    if rng.random() < 0.2:
        upper -= 2.6  # worn below the nose
    lower = np.interp(ax, [0, 3, 5.5, 7.2], [-9.0, -8.0, -5.5, -3.0])
    inside = (
        (mean[:, 1] < upper)
        & (mean[:, 1] > lower)
        & (mean[:, 2] > 2.5)
        & (regions.material == float(Material.SKIN))
    )
    grid, known = _spanned(vertices[inside])
    rows, columns = known.shape
    grid[..., 2] += rng.uniform(0.2, 0.6)
    triangles = grid_triangles(rows, columns)
    triangles = triangles[known.ravel()[triangles].all(axis=1)]
    uv = grid[..., :2].reshape(-1, 2) / 12.0
    return Part(
        grid.reshape(-1, 3).astype(np.float32),
        triangles,
        float(Material.FACE_MASK),
        uv.astype(np.float32),
    )


def _spanned(points: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """A cloth drawn tight over ``points`` (n, 3): (40, 40, 3), and where it is.

    The upper convex hull down the face, then across: it spans the hollows and the mouth.
    """
    n = 40
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    cell = np.rint((points[:, :2] - low) / (high - low) * (n - 1)).astype(np.int64)
    height = np.full((n, n), -np.inf)
    np.maximum.at(height, (cell[:, 1], cell[:, 0]), points[:, 2])
    for line in (*height.T, *height):  # views
        hull: list[int] = []
        for b in np.flatnonzero(np.isfinite(line)):
            while len(hull) > 1:
                a, m = hull[-2], hull[-1]
                if (line[m] - line[a]) * (b - a) > (line[b] - line[a]) * (m - a):
                    break
                hull.pop()
            hull.append(int(b))
        if hull:
            span = np.arange(hull[0], hull[-1] + 1)
            line[span] = np.interp(span, hull, line[hull])
    known = np.isfinite(height)
    x, y = np.meshgrid(np.linspace(low[0], high[0], n), np.linspace(low[1], high[1], n))
    return np.stack([x, y, np.where(known, height, 0.0)], axis=-1), known


def headset_parts(rng: np.random.Generator, vertices: Float32Array) -> list[Part]:
    """Headphones with a bow over the head and, at times, a microphone before the mouth."""
    marks = vertices[LANDMARKS_68]
    side = float(abs(marks[0, 0])) + 1.8
    y, z = float(marks[0, 1]) + 0.3, float(marks[0, 2]) - 4.0
    angle = np.linspace(0, np.pi, 24)
    bow = np.stack([side * np.cos(angle), y + 12.8 * np.sin(angle), np.full(24, z)], axis=1)
    parts = [tube(bow, float(rng.uniform(0.4, 1.0)), Material.OBJECT)]
    for sign in (-1.0, 1.0):
        parts.append(
            ellipsoid(
                np.array([sign * side, y, z]),
                np.array([1.6, 4.0, 3.4]) * rng.uniform(0.8, 1.1),
                Material.OBJECT,
            )
        )
    if rng.random() < 0.6:
        sign = rng.choice([-1.0, 1.0])
        mouth = marks[48] if sign < 0 else marks[54]
        start = np.array([sign * side, y - 2.5, z + 1.0])
        end = mouth + np.array([sign * 1.8, -1.0, 2.2])
        t = np.linspace(0, 1, 12)[:, None]
        bend = (
            start * (1 - t) ** 2
            + 2 * t * (1 - t) * np.array([sign * (side + 1), end[1] - 1, end[2]])
            + t**2 * end
        )
        parts.append(tube(bend, 0.22, Material.OBJECT))
        parts.append(ellipsoid(end, np.array([0.8, 0.7, 0.8]), Material.OBJECT))
    return parts


def occluder_parts(rng: np.random.Generator, vertices: Float32Array) -> list[Part]:
    """A hand, a mug, a phone or a plain thing in front of part of the face."""
    marks = vertices[LANDMARKS_68]
    anchor = marks[rng.integers(0, 68)] + rng.normal(0, [2.5, 2.5, 0.0])
    anchor = anchor + np.array([0, 0, rng.uniform(1.5, 6.0)])
    kind = rng.choice(["hand", "mug", "phone", "bar"])
    if kind == "hand":
        return _hand(rng, anchor)
    if kind == "mug":
        angle = np.linspace(0, 2 * np.pi, 32)
        y = np.linspace(-4.5, 4.5, 6)[:, None]
        points = anchor + np.stack(
            np.broadcast_arrays(4.0 * np.cos(angle)[None], y, 4.0 * np.sin(angle)[None]), -1
        )
        uv = np.stack(np.broadcast_arrays(angle[None] / 6.3, (y + 4.5) / 9), -1).reshape(-1, 2)
        return [
            Part(
                points.reshape(-1, 3).astype(np.float32),
                grid_triangles(6, 32),
                float(Material.OBJECT),
                uv.astype(np.float32),
            ),
            *_hand(rng, anchor + np.array([rng.choice([-4.0, 4.0]), 0, 2.0])),
        ]
    size = (3.6, 7.4) if kind == "phone" else (rng.uniform(0.6, 2), rng.uniform(6, 16))
    roll = rng.uniform(-np.pi, np.pi)
    s, t = np.meshgrid(np.linspace(-1, 1, 6), np.linspace(-1, 1, 6))
    flat = np.stack([s * size[0], t * size[1]], axis=-1)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    flat = flat @ turn.T
    tilt = rng.normal(0, 0.25, 2)
    points = anchor + np.concatenate([flat, (flat @ tilt)[..., None]], axis=-1)
    uv = np.stack([s, t], axis=-1).reshape(-1, 2) * 0.5 + 0.5
    return [
        Part(
            points.reshape(-1, 3).astype(np.float32),
            grid_triangles(6, 6),
            float(Material.OBJECT),
            uv.astype(np.float32),
        ),
        *_hand(rng, anchor + np.append(turn @ [size[0] * 0.9, -size[1] * 0.3], 0.6)),
    ]


def _hand(rng: np.random.Generator, anchor: Array) -> list[Part]:
    """Four fingers, a thumb and a palm, from below or from the side."""
    roll = rng.uniform(-1.3, 1.3)
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    parts = []
    spread = rng.uniform(1.6, 2.3)
    for finger, length in enumerate((6.5, 7.6, 7.2, 5.6)):
        bend = rng.uniform(0.0, 2.0)
        t = np.linspace(0, 1, 8)[:, None]
        root = np.array([(finger - 1.5) * spread, -4.0, 0.6])
        path = root + t * np.array([0.0, length, 0.0]) + t**2 * np.array([0, -bend * 0.5, -bend])
        parts.append(tube(anchor + path @ turn.T, 0.85, Material.HAND))
        parts.append(ellipsoid(anchor + path[-1] @ turn.T, np.full(3, 0.85), Material.HAND))
    thumb = np.linspace([-1.5 * spread, -8.0, 0.5], [-2.9 * spread, -3.5, 0.0], 6)
    parts.append(tube(anchor + thumb @ turn.T, 1.0, Material.HAND))
    palm = anchor + np.array([0.0, -8.0, 0.8]) @ turn.T
    parts.append(ellipsoid(palm, np.array([4.2, 5.2, 1.6]), Material.HAND))
    wrist = np.linspace([0.0, -10.0, 1.0], [rng.normal(0, 3), -30.0, 1.5], 5)
    parts.append(tube(anchor + wrist @ turn.T, 3.0, Material.HAND))
    return parts
