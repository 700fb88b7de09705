"""One picture of a person with the head fitted to it: what texture and hair are taken from."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.geometry.mesh import Int32Array, vertex_normals
from rtrecon.geometry.rasterize import rasterize
from rtrecon.geometry.reconstruction import FaceReconstruction
from rtrecon.head.fitted import FittedHead
from rtrecon.types import BgrImage, Float32Array, Float64Array, Intrinsics

__all__ = ["View", "make_view", "project", "sample", "toward_camera", "visible"]

_WIDER = 1.45  # of the crop's side: hair beyond it is in the picture all the same
_MOST_PX = 1280
_OUTLINE_PX = 224  # side at which the outline is cut
_CUT_STEPS = 3
_BEYOND_M = 0.055  # no hair is taken to be farther from the bare head


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """``image`` (h, w, 3) uint8 BGR; ``M_image_picture`` (2, 3) from the picture's pixels to its;
    ``outline`` (a, b) float32 share of each pixel that is the person's head, hair or clothes, over
    the same part of the picture; ``known`` (a, b) bool, where the picture is."""

    face: FaceReconstruction
    fitted: FittedHead
    image: BgrImage
    M_image_picture: Float64Array
    outline: Float32Array
    known: Float32Array

    def pixels(self, points_camera: Float32Array) -> Float32Array:
        """(n, 2) float32 pixels of the image."""
        picture = project(points_camera, self.face.intrinsics)
        M = self.M_image_picture
        return (picture @ M[:, :2].T + M[:, 2]).astype(np.float32)

    def pixels_of_outline(self, points_camera: Float32Array) -> Float32Array:
        """(n, 2) float32 pixels of the outline."""
        scale = len(self.outline) / len(self.image)
        return (self.pixels(points_camera) + np.float32(0.5)) * np.float32(scale) - np.float32(0.5)

    @property
    def px_per_m(self) -> float:
        """Pixels of the image for a metre across the line of sight at the head."""
        M = self.M_image_picture
        zoom = float(np.sqrt(abs(np.linalg.det(M[:, :2]))))
        return zoom * self.face.intrinsics.fx / float(self.fitted.t[2])


def make_view(face: FaceReconstruction, fitted: FittedHead, picture: BgrImage | None) -> View:
    """Cut the person out of their picture.

    Args:
        face: what was seen.
        fitted: the head fitted to it.
        picture: (H, W, 3) uint8 BGR that the face was seen in. Without it hair beyond the face's
            crop is not known.
    """
    if picture is None:
        image = face.texture.image_bgr
        M = _chain(face.texture.M_texture_crop, face.crop.M_crop_picture)
        side = max(image.shape[:2])
        if image.shape[0] != image.shape[1]:
            right, below = side - image.shape[1], side - image.shape[0]
            image = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge")
        known_side = None
    else:
        crop = face.crop
        side = int(min(max(round(crop.side_px * _WIDER), 64), _MOST_PX))
        M = crop.M_crop_picture * (side / (crop.size_px * _WIDER))
        M[:, 2] += 0.5 * side * (1.0 - 1.0 / _WIDER)
        shrunk, M_shrunk = _shrunk(picture, crop.side_px * _WIDER / side, M)
        warped = cv2.warpAffine(
            shrunk, M_shrunk, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        image = np.asarray(warped, dtype=np.uint8)
        known_side = picture.shape[:2]
    image = np.ascontiguousarray(image)
    i = face.intrinsics
    height, width = known_side if known_side is not None else (i.height, i.width)
    size = (_OUTLINE_PX, _OUTLINE_PX)
    scale = _OUTLINE_PX / side
    M_small = M * scale
    M_small[:, 2] += 0.5 * scale - 0.5
    known = cv2.warpAffine(np.ones((height, width), np.uint8), M_small, size) > 0
    known = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0
    outline = _outline(face, fitted, image, M_small, known)
    return View(face, fitted, image, M, outline, known.astype(np.float32))


def project(points_camera: Float32Array, intrinsics: Intrinsics) -> Float64Array:
    """(n, 2) pixels of the picture."""
    i = intrinsics
    points = points_camera.astype(np.float64)
    if i.dist:
        seen, _ = cv2.projectPoints(
            points.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), i.matrix(), np.array(i.dist)
        )
        return np.asarray(seen, dtype=np.float64).reshape(-1, 2)
    z = np.maximum(points[:, 2], 1e-6)
    return np.stack([points[:, 0] / z * i.fx + i.cx, points[:, 1] / z * i.fy + i.cy], axis=1)


def sample(image: np.ndarray, at: Float32Array, border: float = 0.0) -> Float32Array:
    """(n,) or (n, c) float32 of ``image`` (h, w[, c]) between its pixels at ``at`` (n, 2)."""
    # cv2.remap takes no more than 32767 rows: fold the list of points into a square.
    count = len(at)
    side = max(1, int(np.ceil(np.sqrt(count))))
    folded = np.full((side * side, 2), -1e4, dtype=np.float32)
    folded[:count] = np.clip(at, -1e4, 3e4)
    found = cv2.remap(
        image.astype(np.float32, copy=False),
        folded.reshape(side, side, 2),
        None,  # type: ignore[call-overload]
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(border,) * 4,
    )
    return np.asarray(found.reshape(side * side, *found.shape[2:])[:count], dtype=np.float32)


def toward_camera(vertices_camera: Float32Array, triangles: Int32Array) -> Float64Array:
    """(n,) cosine between the outward normal and the direction to the camera."""
    rays = vertices_camera / np.linalg.norm(vertices_camera, axis=1, keepdims=True)
    normals = vertex_normals(vertices_camera, triangles)
    return np.asarray(-(rays * normals).sum(axis=1), dtype=np.float64)


def visible(
    pixels: Float32Array, depth_m: Float32Array, triangles: Int32Array, size: int, slack_m: float
) -> Float64Array:
    """(n,) share of each vertex's surroundings with nothing in front of it.

    Args:
        pixels: (n, 2) of a square picture of ``size``.
        depth_m: (n,).
        triangles: of what may stand in front.
        size: of the picture.
        slack_m: so much nearer is not in front.
    """
    hit = rasterize(pixels, depth_m, triangles, size, size)
    nearest = np.full(size * size, np.inf, dtype=np.float32)
    nearest[hit.pixel] = (depth_m[triangles[hit.triangle]] * hit.weights).sum(axis=1)
    # The farthest of the surroundings: at a silhouette a vertex lies beside its own pixel.
    farthest = np.where(np.isfinite(nearest), nearest, 1e3).reshape(size, size)
    farthest = cv2.dilate(farthest, np.ones((3, 3), np.uint8))
    x, y = np.clip(np.rint(pixels), 0, size - 1).astype(np.intp).T
    return np.asarray(depth_m < farthest[y, x] + slack_m, dtype=np.float64)


def _outline(
    face: FaceReconstruction,
    fitted: FittedHead,
    image: BgrImage,
    M_small_picture: Float64Array,
    known: npt.NDArray[np.bool_],
) -> Float32Array:
    """The network's mask is blunt around hair: the picture's own edges sharpen it.

    Rother, Kolmogorov and Blake, "GrabCut", 2004, within a band around the mask's border.
    """
    size = (_OUTLINE_PX, _OUTLINE_PX)
    crop, grid = face.crop, face.grid
    M = _chain(M_small_picture, crop.M_picture_crop)
    mask = cv2.warpAffine(grid.valid.astype(np.uint8), M, size) > 0
    in_crop = cv2.warpAffine(np.ones_like(grid.valid, dtype=np.uint8), M, size) > 0
    in_crop = cv2.erode(in_crop.astype(np.uint8), _disc(2)) > 0
    px_per_m = float(np.sqrt(abs(np.linalg.det(M_small_picture[:, :2])))) * (
        face.intrinsics.fx / float(fitted.t[2])
    )
    head = np.zeros(size, dtype=np.uint8)
    vertices = fitted.vertices_camera()
    seen = project(vertices, face.intrinsics) @ M_small_picture[:, :2].T + M_small_picture[:, 2]
    model = fitted.model
    skin = model.triangles[model.part_of_triangles() < 2]
    corners = np.rint(seen[skin]).astype(np.int32)
    for corner in corners[np.isfinite(seen[skin]).all(axis=(1, 2))]:
        cv2.fillConvexPoly(head, corner, 1)
    near = cv2.dilate(head, _disc(_BEYOND_M * px_per_m)) > 0
    core = cv2.erode(head, _disc(0.016 * px_per_m)) > 0
    inner = cv2.erode(mask.astype(np.uint8), _disc(0.022 * px_per_m)) > 0
    outer = cv2.dilate(mask.astype(np.uint8), _disc(0.006 * px_per_m)) > 0
    labels = np.full(size, cv2.GC_BGD, dtype=np.uint8)
    labels[near & ~in_crop] = cv2.GC_PR_BGD
    labels[outer & in_crop] = cv2.GC_PR_BGD
    labels[mask] = cv2.GC_PR_FGD
    labels[(inner | (core & ~in_crop)) & ~(in_crop & ~mask)] = cv2.GC_FGD
    labels[~known] = cv2.GC_BGD
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if (labels == cv2.GC_FGD).sum() < 20 or (labels == cv2.GC_BGD).sum() < 20:
        return mask.astype(np.float32)
    cv2.setRNGSeed(0)  # its clusters start at random
    background, person = np.zeros((1, 65)), np.zeros((1, 65))
    box = (0, 0, 0, 0)  # of no use with a mask
    cv2.grabCut(small, labels, box, background, person, _CUT_STEPS, cv2.GC_INIT_WITH_MASK)
    cut = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    cut = cv2.morphologyEx(cut, cv2.MORPH_OPEN, _disc(0.004 * px_per_m))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(cut, connectivity=4)
    if count > 1:
        cut = (pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    # Holes in hair are not the wall behind it.
    shut = cv2.morphologyEx(cut, cv2.MORPH_CLOSE, _disc(0.006 * px_per_m))
    return np.asarray(cv2.GaussianBlur(shut.astype(np.float32), (0, 0), 1.0))


def _disc(radius_px: float) -> np.ndarray:
    side = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), dtype=np.uint8)


def _chain(M_c_b: Float64Array, M_b_a: Float64Array) -> Float64Array:
    """(2, 3) of first ``M_b_a``, then ``M_c_b``."""
    A = M_c_b[:, :2] @ M_b_a[:, :2]
    return np.concatenate([A, (M_c_b[:, :2] @ M_b_a[:, 2] + M_c_b[:, 2])[:, None]], axis=1)


def _shrunk(picture: BgrImage, shrink: float, M: Float64Array) -> tuple[BgrImage, Float64Array]:
    """The picture halved until no pixel of it is left out, and the map from it."""
    M = M.copy()
    while shrink > 1.5 and min(picture.shape[:2]) >= 2:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        picture = np.asarray(
            cv2.resize(
                picture[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
            )
        )
        shrink /= 2.0
        M[:, 2] += 0.5 * M[:, :2].sum(axis=1)  # whole = 2 half + 0.5
        M[:, :2] *= 2.0
    return picture, M
