"""Arithmetic of boxes (n, 4) float32, x0 y0 x1 y1, as facenet-pytorch's MTCNN has it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtrecon.types import Float32Array

__all__ = ["iou", "move", "nms", "nms_min", "square"]

Indices = npt.NDArray[np.intp]


def nms(boxes: Float32Array, scores: Float32Array, threshold: float) -> Indices:
    """Indices kept by greedy non-maximum suppression by IoU, best first."""
    order = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order
    x0, y0, x1, y1 = boxes[order].T
    area = (x1 - x0) * (y1 - y0)
    alive = np.ones(len(order), dtype=bool)
    for k in range(len(order) - 1):
        if not alive[k]:
            continue
        shared = np.minimum(x1[k], x1[k + 1 :]) - np.maximum(x0[k], x0[k + 1 :])
        np.maximum(shared, 0, out=shared)
        high = np.minimum(y1[k], y1[k + 1 :]) - np.maximum(y0[k], y0[k + 1 :])
        shared *= np.maximum(high, 0, out=high)
        alive[k + 1 :] &= shared <= threshold * (area[k] + area[k + 1 :] - shared)
    return order[alive]


def nms_min(boxes: Float32Array, scores: Float32Array, threshold: float) -> Indices:
    """The same by the overlap over the smaller box, pixels counted inclusively."""
    order = np.argsort(scores)
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    kept = []
    while len(order):
        best, order = order[-1], order[:-1]
        kept.append(best)
        corner = np.maximum(boxes[best, :2], boxes[order, :2])
        extent = np.maximum(np.minimum(boxes[best, 2:], boxes[order, 2:]) - corner + 1, 0)
        shared = extent[:, 0] * extent[:, 1]
        order = order[shared / np.minimum(area[best], area[order]) <= threshold]
    return np.array(kept, dtype=np.intp)


def move(boxes: Float32Array, moves: Float32Array) -> Float32Array:
    """Boxes whose sides are moved by shares of their size, pixels counted inclusively."""
    extent = (boxes[:, 2:4] - boxes[:, 0:2] + 1)[:, [0, 1, 0, 1]]
    return np.asarray(boxes + moves * extent, dtype=np.float32)


def square(boxes: Float32Array) -> Float32Array:
    """Squares of the longer side about the same centres."""
    extent = boxes[:, 2:4] - boxes[:, 0:2]
    side = np.maximum(extent[:, :1], extent[:, 1:])
    corner = boxes[:, 0:2] + extent * 0.5 - side * 0.5
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


def iou(a: Float32Array, b: Float32Array) -> float:
    """Intersection over union of two boxes (4,)."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(float(w), 0.0) * max(float(h), 0.0)
    total = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])) - shared
    return shared / total if total > 0 else 0.0
