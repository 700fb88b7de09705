"""Hair and lashes in the depth that is to be learnt: what no camera could tell is left out."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.train.heads.raster import GeometryBuffer
from rtrecon.train.heads.regions import Material
from rtrecon.types import Float32Array

__all__ = ["calm_strands", "without_lashes"]


def without_lashes(value: Float32Array, buffer: GeometryBuffer) -> Float32Array:
    """The relief ``value`` (h, w), where lashes are as the lid and the eye around them.

    Lashes are drawn on cards that stand out of the lids; no camera sees their depth.
    """
    lash = (buffer.material == Material.LASH).astype(np.uint8)
    if not lash.any():
        return value
    around = (buffer.material == Material.SKIN) | (buffer.material == Material.EYE)
    known = around.astype(np.float32)
    weight = cv2.GaussianBlur(known, (0, 0), 2.0)
    filled = cv2.GaussianBlur(value * known, (0, 0), 2.0) / np.maximum(weight, 1e-6)
    return np.where((lash > 0) & (weight > 0.02), filled, value).astype(np.float32)


def calm_strands(
    value: Float32Array, on: npt.NDArray[np.bool_], buffer: GeometryBuffer
) -> Float32Array:
    """The relief ``value`` (h, w), where hair thins out as the local median.

    Single strands over skin are noise to learn from; the silhouette stays as it is.
    """
    square = np.ones((5, 5), np.uint8)
    hair = buffer.material == Material.HAIR
    near = cv2.dilate(hair.astype(np.uint8), square) > 0
    near &= cv2.erode(on.astype(np.uint8), square) > 0
    return np.where(near, cv2.medianBlur(value, 5), value).astype(np.float32)
