"""The fitted head drawn onto what was seen: its topology stays, its surface moves.

Three things move it. Landmarks, by a smooth field around them. The network's depth, along the line
of sight, where the head faces the camera and the two agree. The outline in the picture, which says
how far the hair stands from the scalp. Between and beyond, a membrane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import vertex_normals
from rtrecon.head.fitted import FittedHead
from rtrecon.head.hair import hair_out
from rtrecon.head.membrane import Membrane, membrane_of
from rtrecon.head.model import HeadModel
from rtrecon.head.regions import Regions
from rtrecon.head.view import View, project, sample, toward_camera
from rtrecon.types import Float32Array, Float64Array

__all__ = ["Wrapped", "wrap"]

_LANDMARK_WIDE_M, _LANDMARK_RIDGE = 0.016, 0.35  # of the kernel around each landmark
_LANDMARK_LIMIT_M = 0.008
_INNER = slice(17, 68)  # the jaw's landmarks slide
# Where the depth is followed: cosine to the view, distance from the head.
_FACING = (0.25, 0.55)
_FACE_LIMIT_M = (0.009, 0.015)  # whole below the first, nothing above the second
_HAIR_IN_M, _HAIR_OUT_M = 0.004, 0.040
_REACH_M, _HAIR_REACH_M = 0.0045, 0.016
_FADE_M, _HAIR_FADE_M = 0.045, 0.16
_OTHER_SIDE = 0.25  # confidence in the mirrored side where that alone was seen
_ROUNDS = 3
_FLAT_STEPS = 150
_LIPS_OVERLAP_M = 0.0003
_SHUT_EYE = 0.5  # coefficient of a blink from which on the lids say nothing of the person
_LEAST_OPEN, _OPENER = 0.62, 1.1  # of the model's opening at rest; of the one that was seen
_LASH_LENGTH = 0.03  # without alpha the model's lashes are ribbons; the skin shows the person's
# Landmarks one above the other, of the lids and of the lips: at rest they move together.
_PAIRS = (
    (37, 41), (38, 40), (43, 47), (44, 46),
    (49, 59), (50, 58), (51, 57), (52, 56), (53, 55), (61, 67), (62, 66), (63, 65),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Wrapped:
    """``rest`` (n, 3) metres in the head frame; ``seen`` (n, 3) of each view, camera frame."""

    rest: Float32Array
    seen: tuple[Float32Array, ...]


def wrap(views: Sequence[View], regions: Regions) -> Wrapped:
    """Wrap the head of ``views``, all of one person, around what they show.

    The identity of the first is the person's; ``regions`` are their own.
    """
    first = views[0].fitted
    model = first.model
    membrane = membrane_of(model)
    count = membrane.count
    flat = _flat_ears(first.at_rest(), membrane, regions)
    # Displacements in the head frame, metres.
    by_landmarks = [tuple(field + flat for field in _landmark_field(view)) for view in views]
    at_rest = np.mean([rest for _, rest in by_landmarks], axis=0)
    fade = _FADE_M + regions.scalp * (_HAIR_FADE_M - _FADE_M)
    reach = _REACH_M + regions.scalp * (_HAIR_REACH_M - _REACH_M)
    d = np.zeros((count, 3))
    for _ in range(_ROUNDS):
        weight, total = np.zeros(count), np.zeros((count, 3))
        for view, (now, _) in zip(views, by_landmarks, strict=True):
            moved = view.fitted.vertices_head().astype(np.float64)
            moved += now
            bare = moved[:count].copy()
            moved[:count] += d
            for w, target in _targets(view, moved, bare, d, regions):
                weight += w
                total += w[:, None] * target
        target = total / np.maximum(weight, 1e-9)[:, None]
        weight, target = _both_sides(model, weight, target)
        d = membrane.solve(weight, target, reach, fade, start=d)
    d = np.concatenate([d, _inner(model, regions, d)])
    rest = first.at_rest() + at_rest + d
    rest += _shut(model, rest, regions)
    seen = tuple(
        view.fitted.to_camera((view.fitted.vertices_head() + field + d).astype(np.float32))
        for view, (field, _) in zip(views, by_landmarks, strict=True)
    )
    rest = rest + _narrowed_lids(first, rest, first.to_head(seen[0]))
    lashes = model.parts["lashes"]
    for vertices in (rest, *seen):
        roots = vertices[regions.lash_root]
        vertices[lashes] = roots + _LASH_LENGTH * (vertices[lashes] - roots)
    return Wrapped(rest.astype(np.float32), seen)


def _flat_ears(rest: Float32Array, membrane: Membrane, regions: Regions) -> Float64Array:
    """(n, 3) that takes ears back which hair covers."""
    moved = np.zeros(rest.shape)
    if not regions.hidden_ear.any():
        return moved
    points = rest[: membrane.count].astype(np.float64)
    share = np.clip(3.0 * regions.hidden_ear, 0.0, 1.0)[:, None]
    for _ in range(_FLAT_STEPS):
        points = points + share * (membrane.mean_around(points) - points)
    moved[: membrane.count] = points - rest[: membrane.count]
    return moved


def _landmark_field(view: View) -> tuple[Float64Array, Float64Array]:
    """What moves the head's landmarks to where they are seen, (n, 3) in the head frame: of this
    moment, and without what opens or shuts lids and lips."""
    fitted = view.fitted
    model, count = fitted.model, len(fitted.model.vertices)
    marks = view.face.landmarks68_px
    if marks is None:
        return np.zeros((count, 3)), np.zeros((count, 3))
    vertices = fitted.vertices_camera()
    facing = toward_camera(vertices, model.triangles)[model.landmarks]
    at = vertices[model.landmarks].astype(np.float64)
    i = view.face.intrinsics
    apart = marks - project(at.astype(np.float32), i)
    shift = np.concatenate([apart * (at[:, 2:] / (i.fx, i.fy)), np.zeros((68, 1))], axis=1)
    long = np.linalg.norm(shift, axis=1, keepdims=True)
    shift *= np.minimum(1.0, _LANDMARK_LIMIT_M / np.maximum(long, 1e-9))
    use = np.flatnonzero(facing > 0.1)
    use = use[use >= _INNER.start]
    calm = shift.copy()
    for one, other in _PAIRS:
        calm[[one, other]] = 0.5 * (shift[one] + shift[other])
    if len(use) < 8:
        return np.zeros((count, 3)), np.zeros((count, 3))
    R = fitted.R
    fields = [_spread(vertices, at[use], values[use]) @ R for values in (shift, calm)]
    return fields[0], fields[1]


def _spread(vertices: Float32Array, at: Float64Array, shift: Float64Array) -> Float64Array:
    """Kernel ridge regression of the shifts (k, 3) of the points ``at``."""

    def kernel(points: Float64Array) -> Float64Array:
        apart = ((points[:, None] - at[None]) ** 2).sum(axis=2)
        return np.asarray(np.exp(-0.5 * apart / _LANDMARK_WIDE_M**2))

    weights = np.linalg.solve(kernel(at) + _LANDMARK_RIDGE * np.eye(len(at)), shift)
    field = np.zeros((len(vertices), 3))
    near = np.flatnonzero(vertices[:, 2] < at[:, 2].max() + 3.0 * _LANDMARK_WIDE_M)
    field[near] = kernel(vertices[near].astype(np.float64)) @ weights
    return field


def _targets(
    view: View, moved: Float64Array, bare: Float64Array, d: Float64Array, regions: Regions
) -> list[tuple[Float64Array, Float64Array]]:
    """Weights (count,) and displacements (count, 3) in the head frame that a view asks for."""
    fitted, count = view.fitted, len(bare)
    model = fitted.model
    vertices = fitted.to_camera(moved.astype(np.float32))
    facing = toward_camera(vertices, model.triangles)[:count]
    skin = vertices[:count]
    face = view.face
    pixels = face.crop.to_crop(project(skin, face.intrinsics).astype(np.float32))
    inner = cv2.erode(face.grid.valid.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0)
    sure = sample(inner, pixels).astype(np.float64)
    sure *= sample(view.outline, view.pixels_of_outline(skin)) > 0.7
    z = sample(face.grid.points_camera[:, :, 2], pixels).astype(np.float64)
    along = skin.astype(np.float64) * (z / skin[:, 2] - 1.0)[:, None]
    target = along @ fitted.R + d
    # How far from the bare head: to all sides on the face, outward on the scalp.
    normals = vertex_normals(moved.astype(np.float32), model.triangles)[:count]
    out = (target * normals).sum(axis=1)
    size = np.linalg.norm(target, axis=1)
    on_face = _ramp_down(size, *_FACE_LIMIT_M)
    on_hair = ((out > -_HAIR_IN_M) & (out < _HAIR_OUT_M) & (size < 1.6 * _HAIR_OUT_M)).astype(float)
    agrees = on_face + regions.scalp * (on_hair - on_face)
    low, high = _FACING
    weight = sure * agrees * regions.coarse * np.clip((facing - low) / (high - low), 0.0, 1.0)
    weight *= 1.0 - 0.8 * regions.neck  # collars
    asked = [(weight, target)]
    w, stand = hair_out(view, vertices, facing, regions)
    asked.append((w, d + stand @ fitted.R))
    return asked


def _both_sides(
    model: HeadModel, weight: Float64Array, target: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """What one side shows holds a little for the other, where nothing else is known."""
    mirror = model.mirror[: len(weight)]
    inside = mirror < len(weight)
    mirror = np.where(inside, mirror, 0)
    less = _OTHER_SIDE * weight[mirror] * inside * (1.0 - weight.clip(0.0, 1.0))
    total = weight + less
    other = target[mirror] * (-1.0, 1.0, 1.0)
    mixed = (weight[:, None] * target + less[:, None] * other) / np.maximum(total, 1e-9)[:, None]
    return total, mixed


def _shut(model: HeadModel, rest: Float64Array, regions: Regions) -> Float64Array:
    """(n, 3) that closes the gap between the lips of a head at rest, half from either side."""
    moved = np.zeros_like(rest)
    marks = rest[model.landmarks]
    upper, lower = marks[[61, 62, 63]], marks[[67, 66, 65]]
    at = np.concatenate([[marks[60, 0]], upper[:, 0], [marks[64, 0]]])
    gap = np.concatenate([[0.0], (lower - upper)[:, 1] + _LIPS_OVERLAP_M, [0.0]])
    count = len(regions.lip_pull)
    near = np.flatnonzero(regions.lip_pull > 0.01)
    order = np.argsort(at)
    shift = 0.5 * np.maximum(np.interp(rest[near, 0], at[order], gap[order]), 0.0)
    jaw = np.linalg.norm(model.expression[model.expression_names.index("jawOpen")][:count], axis=1)
    below = jaw[near] > 0.5 * float(np.linalg.norm(_of_jaw(model, 66)))
    moved[near, 1] = shift * regions.lip_pull[near] * np.where(below, -1.0, 1.0)
    return moved


def _narrowed_lids(fitted: FittedHead, rest: Float64Array, seen: Float32Array) -> Float64Array:
    """(n, 3) that gives the eyes the opening that was seen, where they were about open: narrow
    eyes are the person's as often as the moment's, and wide ones stare."""
    model = fitted.model
    moved = np.zeros(rest.shape)
    for side, pairs in (("Left", ((43, 47), (44, 46))), ("Right", ((37, 41), (38, 40)))):
        index = model.expression_names.index(f"eyeBlink{side}")
        if fitted.coefficients[index] > _SHUT_EYE:
            continue
        upper, lower = model.landmarks[np.array(pairs)].T
        gaps = [float((head[lower] - head[upper])[:, 1].mean()) for head in (rest, seen)]
        blink = model.expression[index].astype(np.float64) * fitted.scale
        way = float((blink[upper] - blink[lower])[:, 1].mean())
        least, most = _LEAST_OPEN * gaps[0], gaps[0]
        wanted = min(max(_OPENER * gaps[1], least), most)
        moved += (gaps[0] - wanted) / max(way, 1e-4) * blink
    return moved


def _of_jaw(model: HeadModel, landmark: int) -> Float32Array:
    jaw = model.expression[model.expression_names.index("jawOpen")]
    return np.asarray(jaw[model.landmarks[landmark]])


def _inner(model: HeadModel, regions: Regions, d: Float64Array) -> Float64Array:
    """(n - count, 3) of what moves as one with the skin around it: eyes, teeth, lashes."""
    count = len(d)
    moved = np.zeros((len(model.vertices) - count, 3))
    lips = d[model.landmarks[48:68]].mean(axis=0)
    for name in ("gums_tongue", "teeth"):
        moved[_shifted(model.parts[name], count)] = lips
    for name, lids in (("eye_right", slice(36, 42)), ("eye_left", slice(42, 48))):
        moved[_shifted(model.parts[name], count)] = d[model.landmarks[lids]].mean(axis=0)
    moved[_shifted(model.parts["lashes"], count)] = d[regions.follow]
    return moved


def _shifted(part: slice, count: int) -> slice:
    return slice(part.start - count, part.stop - count)


def _ramp_down(value: npt.NDArray[np.float64], low: float, high: float) -> Float64Array:
    return np.asarray(np.clip((high - value) / (high - low), 0.0, 1.0))
