"""The depth of a fitted head, and of a face and its head together."""

from __future__ import annotations

import cv2
import numpy as np

from rtrecon.geometry.rasterize import rasterize
from rtrecon.head.fitted import FittedHead
from rtrecon.head.model import PART_NAMES
from rtrecon.types import Float32Array, Intrinsics

__all__ = ["averaged_depth", "head_depth"]

_SHARE = 0.5  # of the head, where both agree
_APART_M = (0.01, 0.02)  # from where on they do less, and from where on not at all: hair
_NEAREST_M = 0.01


def head_depth(
    head: FittedHead, intrinsics: Intrinsics, *, skin_only: bool = False
) -> Float32Array:
    """Depth of the head in the picture.

    Args:
        head: where it is.
        intrinsics: of the picture.
        skin_only: NaN as well where something else of the head is seen, such as eyes and teeth.

    Returns:
        (H, W) float32 metres, NaN beside the head.
    """
    X, triangles = head.vertices_camera(), head.model.triangles
    width, height = intrinsics.width, intrinsics.height
    pixels, _ = cv2.projectPoints(
        X.astype(np.float64).reshape(-1, 1, 3),
        np.zeros(3),
        np.zeros(3),
        intrinsics.matrix(),
        np.array(intrinsics.dist or (0.0,) * 5),
    )
    before = X[:, 2] > _NEAREST_M
    before[head.model.parts["lashes"]] = False  # a strip in front of the lid is no surface
    drawn = triangles[before[triangles].all(axis=1)]
    depth = np.full(width * height, np.nan, dtype=np.float32)
    if len(drawn):
        flat = np.asarray(pixels, dtype=np.float32).reshape(-1, 2)
        found = rasterize(flat, X[:, 2], drawn, width, height)
        corners = drawn[found.triangle]
        depth[found.pixel] = 1.0 / (found.weights / X[:, 2][corners]).sum(axis=1)
        if skin_only:
            skin = head.model.parts[PART_NAMES[0]]
            depth[found.pixel[(corners >= skin.stop).any(axis=1)]] = np.nan
    return depth.reshape(height, width)


def averaged_depth(depth_m: Float32Array, head: FittedHead, intrinsics: Intrinsics) -> Float32Array:
    """The mean of a face's depth and its head's, on bare skin.

    They err differently: the network leans, the head has nobody's details. Where they are
    farther apart than a head can be off (hair, glasses, a hand), the face's own depth is kept.

    Args:
        depth_m: (H, W) of the picture, NaN off the face (`FaceReconstruction.depth_in_frame`).
        head: fitted to the face.
        intrinsics: of the picture.
    """
    apart = head_depth(head, intrinsics, skin_only=True) - depth_m
    first, last = _APART_M
    share = np.clip((last - np.abs(apart)) / (last - first), 0.0, 1.0) * np.float32(_SHARE)
    change = np.where(np.isfinite(apart), share * apart, np.float32(0.0))
    return np.asarray(depth_m + change, dtype=np.float32)
