"""How far hair stands from the scalp: where the head's outline ends in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import vertex_normals
from rtrecon.head.color import median_color, unlike
from rtrecon.head.regions import Regions
from rtrecon.head.view import View, sample, toward_camera
from rtrecon.types import Float32Array, Float64Array

__all__ = ["grain_of", "hair_out", "hair_tone", "own_regions"]

_INWARD_M, _OUTWARD_M, _STEP_M = 0.008, 0.050, 0.001
_RIM_M = (0.006, 0.020)  # inside the outline, where hair's colour is looked for
_ABOVE_M = -0.040  # head frame: as high as hair is on most heads
_GRAIN_M, _GRAIN_MOST = 0.024, 0.055  # of a patch, and of its logarithm's spread
_TEXTURE_M = 0.7  # about what the texture's side shows of the head
_UNLIKE = 11.0  # in Lab, of hair and skin
_LEAST_EAR = 10  # vertices that must be seen to say that hair covers an ear
_COVERED = (0.6, 0.1)  # share of it; where the other ear is covered
_FIRM = 5.0  # of the outline against the depth
_EDGE_ON = 0.30  # cosine below which a vertex is taken to lie on the outline


def hair_out(
    view: View, vertices_camera: Float32Array, facing: Float64Array, regions: Regions
) -> tuple[Float64Array, Float64Array]:
    """From the head's outline to the person's.

    Args:
        view: with the person's outline.
        vertices_camera: (n, 3) of the head.
        facing: (count,) cosine between normal and view of the membrane's vertices.
        regions: of the model.

    Returns:
        Weights (count,) and displacements (count, 3) in the camera frame.
    """
    count = len(facing)
    normals = vertex_normals(vertices_camera, view.fitted.model.triangles)[:count]
    on_edge = np.clip(1.0 - np.abs(facing) / _EDGE_ON, 0.0, 1.0) * (regions.scalp > 0.3)
    on_edge *= 1.0 - regions.near_ear
    weight, moved = np.zeros(count), np.zeros((count, 3))
    chosen = np.flatnonzero(on_edge > 0.0)
    if len(chosen) == 0:
        return weight, moved
    steps = np.arange(-_INWARD_M, _OUTWARD_M, _STEP_M)
    start = vertices_camera[chosen].astype(np.float64)
    # Across the line of sight, so that the step ends on the outline whatever the normal's tilt.
    rays = start / np.linalg.norm(start, axis=1, keepdims=True)
    across = normals[chosen] - (normals[chosen] * rays).sum(axis=1, keepdims=True) * rays
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    points = start[:, None] + steps[None, :, None] * across[:, None]
    pixels = view.pixels_of_outline(points.reshape(-1, 3).astype(np.float32))
    inside = (sample(view.outline, pixels) > 0.5).reshape(len(chosen), -1)
    known = (sample(view.known, pixels) > 0.5).reshape(len(chosen), -1)
    last = np.cumprod(inside, axis=1).sum(axis=1)
    found = (last > 0) & (last < len(steps))
    found &= known[np.arange(len(chosen)), np.minimum(last, len(steps) - 1)]
    length = -_INWARD_M + last * _STEP_M
    weight[chosen] = _FIRM * on_edge[chosen] * found
    moved[chosen] = np.where(found, length, 0.0)[:, None] * across
    return weight, moved


def hair_tone(views: Sequence[View], skin: Float64Array) -> Float64Array:
    """(3,) RGB: the median along the head's outline, high on the head."""
    rim = np.concatenate([view.image.reshape(-1, 3)[_hair_rim(view)][:, ::-1] for view in views])
    rim = rim.astype(np.float64)
    if len(rim) == 0:
        return skin * 0.4
    other = unlike(rim, skin, 12.0) > _UNLIKE
    # Bald, or with skin between the hair.
    other = other if other.mean() > 0.25 else np.ones(len(rim), dtype=np.bool_)
    return median_color(rim, other, skin * 0.4)


def own_regions(views: Sequence[View], regions: Regions) -> Regions:
    """The person's: where their hair covers an ear, that is scalp."""
    model = views[0].fitted.model
    count = len(regions.scalp)
    left = model.vertices[:count, 0] > 0.0
    shares = np.zeros((2, 2))  # of each side: covered, seen
    for view in views:
        vertices = view.fitted.vertices_camera()
        at = view.pixels_of_outline(vertices[:count])
        color = sample(view.image, view.pixels(vertices[:count]))[:, ::-1].astype(np.float64)
        facing = toward_camera(vertices, model.triangles)[:count]
        inside = (sample(view.outline, at) > 0.7) & (sample(view.known, at) > 0.5)
        face = (regions.coarse * (1.0 - regions.scalp) * (1.0 - regions.neck) > 0.9) & inside
        skin = median_color(color, face & (facing > 0.6), np.array([198.0, 160.0, 138.0]))
        hair = hair_tone([view], skin)
        if unlike(hair[None], skin, 0.0)[0] < _UNLIKE:
            continue
        as_hair = unlike(color, hair, 6.0) < 0.8 * unlike(color, skin, 6.0)
        ear = inside & (regions.ear > 0.6) & (facing > 0.05)
        for side, of_side in enumerate((left, ~left)):
            shares[side] += (
                np.count_nonzero(ear & as_hair & of_side),
                np.count_nonzero(ear & of_side),
            )
    seen = shares[:, 1] >= _LEAST_EAR
    share = shares[:, 0] / np.maximum(shares[:, 1], 1.0)
    # Hair that covers one ear covers the other; one alone is more likely lit like hair.
    high, some = seen & (share > _COVERED[0]), ~seen | (share > _COVERED[1])
    covered = np.full(2, bool(high.any() and some.all()))
    if not covered.any():
        return regions
    hidden = np.where(left, covered[0], covered[1]).astype(np.float64)
    scalp = np.maximum(regions.scalp, hidden * regions.beside)
    coarse = np.maximum(regions.coarse, hidden * np.clip(3.0 * regions.ear, 0.0, 1.0))
    return replace(
        regions,
        scalp=scalp,
        coarse=coarse,
        ear=regions.ear * (1.0 - hidden),
        hidden_ear=regions.ear * hidden,
        near_ear=regions.near_ear * (1.0 - hidden),
    )


def _hair_rim(view: View) -> npt.NDArray[np.intp]:
    """Flat indices of the image's pixels a little inside the outline, above the ears."""
    size = len(view.image)
    scale = len(view.outline) / size
    inside = (view.outline > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5) / (view.px_per_m * scale)
    chosen = (depth > _RIM_M[0]) & (depth < _RIM_M[1]) & (view.known > 0.5)
    rows, columns = np.nonzero(chosen)
    # Heights in the head frame, of a plane through its middle.
    M = np.linalg.inv(np.vstack([view.M_image_picture, [0, 0, 1]]))[:2]
    at = (np.stack([columns, rows], axis=1) + 0.5) / scale - 0.5
    picture = at @ M[:, :2].T + M[:, 2]
    i, t = view.face.intrinsics, view.fitted.t
    ray = (picture - (i.cx, i.cy)) / (i.fx, i.fy) * t[2] - t[:2]
    above = ray @ view.fitted.R[:2, 1] < _ABOVE_M
    x, y = np.clip(np.rint(at[above]), 0, size - 1).astype(np.intp).T
    return np.asarray(y * size + x)


def grain_of(view: View, size: int) -> Float32Array:
    """(size, size) float32 around one: a texture with the spectrum of the hair that is seen.

    White noise convolved with one patch of it (Galerne, Gousseau and Morel, "Random phase
    textures", 2011): no lock of hair is seen twice.
    """
    flat = np.ones((size, size), dtype=np.float32)
    rim = _hair_rim(view)
    if len(rim) < 50:
        return flat
    width = len(view.image)
    side = int(np.clip(round(_GRAIN_M * view.px_per_m), 6, 256)) | 1
    rows, columns = np.divmod(rim, width)
    # The patch in the picture that holds most of the rim.
    count = np.zeros((width, width), dtype=np.float32)
    count[rows, columns] = 1.0
    full = cv2.boxFilter(count, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    middle = divmod(int(full.argmax()), width)
    y, x = (min(max(v - side // 2, 0), width - side) for v in middle)
    luma = np.log(np.maximum(view.image[y : y + side, x : x + side].mean(axis=2), 8.0))
    luma = luma.astype(np.float32)
    luma -= cv2.GaussianBlur(luma, (0, 0), max(side / 10.0, 1.0))
    spread = float(luma.std())
    if float(np.abs(np.diff(luma, axis=0)).mean()) > float(np.abs(np.diff(luma, axis=1)).mean()):
        luma = np.ascontiguousarray(luma.T)  # strands hang
    luma *= np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    spot_px = max(3, round(size * _GRAIN_M / _TEXTURE_M)) | 1
    spot = cv2.resize(luma, (spot_px, spot_px), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    spotted = cv2.filter2D(noise, -1, spot - spot.mean(), borderType=cv2.BORDER_REFLECT)
    grain = spotted * (min(spread, _GRAIN_MOST) / max(float(spotted.std()), 1e-6))
    return np.asarray(np.exp(np.clip(grain, -0.5, 0.5)), dtype=np.float32)
