"""Better answers for pictures: the mean over a mirrored and slightly moved crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from rtrecon.depth.manifest import DepthKind
from rtrecon.depth.mirror import flip_expression, flip_landmarks, flip_rotation
from rtrecon.depth.model import DepthModel, DepthPrediction
from rtrecon.errors import DataError
from rtrecon.faces.align import Crop
from rtrecon.types import BgrImage, Float32Array, Float64Array

__all__ = ["predict_averaged"]

# Roll in degrees and size of the crops after the first pair (plain and mirrored).
_JITTER = ((3.0, 1.03), (-3.0, 0.97), (-2.0, 1.05), (2.0, 0.95), (5.0, 1.0), (-5.0, 1.0))
MAX_PASSES = 2 + 2 * len(_JITTER)


def predict_averaged(
    model: DepthModel, image_bgr: BgrImage, crops: Sequence[Crop], passes: int
) -> list[DepthPrediction]:
    """`DepthModel.predict`, averaged over ``passes`` views of each crop.

    The first pass is the plain crop, the second the same mirrored, then come small turns
    and zooms, each with its mirror image. Values of kind ``inverse`` are brought to the
    first pass's scale and shift before the mean, since each pass has its own. Coefficients,
    landmarks and rotation are averaged too, brought back from their mirrored or turned view.

    Raises:
        DataError: ``passes`` is not 1 to 14, or see `DepthModel.predict`.
    """
    if not 1 <= passes <= MAX_PASSES:
        raise DataError(f"passes must be 1 to {MAX_PASSES}, not {passes}")
    predictions = model.predict(image_bgr, crops)
    if passes == 1 or not crops:
        return predictions
    values = [[p.value] for p in predictions]
    masks = [None if p.mask_logit is None else [p.mask_logit] for p in predictions]
    seen_extras = [[_extras(p)] for p in predictions]
    for number in range(1, passes):
        M_base_view = _view(number, model.size_px)
        views = [_moved(crop, M_base_view) for crop in crops]
        zoom = float(np.hypot(M_base_view[0, 0], M_base_view[1, 0]))
        for k, seen in enumerate(model.predict(image_bgr, views)):
            value = _back(seen.value, M_base_view)
            values[k].append(_comparable(value, values[k][0], model.kind, zoom))
            logits = masks[k]
            if logits is not None and seen.mask_logit is not None:
                logits.append(_back(seen.mask_logit, M_base_view))
            seen_extras[k].append(_extras_back(_extras(seen), M_base_view, seen.expression_names))
    return [
        replace(
            plain,
            value=np.mean(value, axis=0, dtype=np.float32),
            mask_logit=None if logits is None else np.mean(logits, axis=0, dtype=np.float32),
            expression=_mean([e.expression for e in extras]),
            landmarks68=_mean([e.landmarks68 for e in extras]),
            rotation=_mean_rotation([e.rotation for e in extras]),
        )
        for plain, value, logits, extras in zip(
            predictions, values, masks, seen_extras, strict=True
        )
    ]


class _Extras(NamedTuple):
    expression: Float32Array | None
    landmarks68: Float32Array | None
    rotation: Float32Array | None


def _extras(prediction: DepthPrediction) -> _Extras:
    return _Extras(prediction.expression, prediction.landmarks68, prediction.rotation)


def _extras_back(said: _Extras, M_base_view: Float64Array, names: Sequence[str]) -> _Extras:
    """What a view said beside the depth, in the words of the plain crop."""
    expression, marks, R = said
    turn = np.eye(3, dtype=np.float32)
    A = M_base_view[:, :2] / np.hypot(M_base_view[0, 0], M_base_view[1, 0])
    if np.linalg.det(A) < 0.0:
        A = A * (-1.0, 1.0)  # what is left is the turn alone
        expression = None if expression is None else flip_expression(expression, names)
        marks = None if marks is None else flip_landmarks(marks)
        R = None if R is None else flip_rotation(R)
    turn[:2, :2] = A
    if marks is not None:
        zoom = np.hypot(M_base_view[0, 0], M_base_view[1, 0])
        marks = ((marks - 0.5) @ (zoom * A).T + 0.5).astype(np.float32)  # about the middle
    return _Extras(expression, marks, None if R is None else turn @ R)


def _mean(said: Sequence[Float32Array | None]) -> Float32Array | None:
    known = [values for values in said if values is not None]
    return np.mean(known, axis=0, dtype=np.float32) if known else None


def _mean_rotation(said: Sequence[Float32Array | None]) -> Float32Array | None:
    """The rotation closest to the mean of the matrices."""
    mean = _mean(said)
    if mean is None or not np.isfinite(mean).all():
        return mean
    U, _, Vt = np.linalg.svd(mean.astype(np.float64))
    sign = np.array([1.0, 1.0, np.linalg.det(U @ Vt)])
    return np.asarray(U * sign @ Vt, dtype=np.float32)


def _view(number: int, size: int) -> Float64Array:
    """(2, 3) from the pixels of view ``number`` (1: mirrored) to those of the plain crop."""
    roll_deg, zoom = (0.0, 1.0) if number < 2 else _JITTER[(number - 2) // 2]
    angle, middle = np.radians(roll_deg), (size - 1) / 2.0
    M = np.zeros((2, 3))
    M[:, :2] = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if number % 2 == 1:
        M[:, 0] *= -1.0
    M[:, 2] = middle - M[:, :2].sum(axis=1) * middle
    return M


def _moved(crop: Crop, M_base_view: Float64Array) -> Crop:
    M = crop.M_picture_crop[:, :2] @ M_base_view
    M[:, 2] += crop.M_picture_crop[:, 2]
    zoom = float(np.hypot(M_base_view[0, 0], M_base_view[1, 0]))
    return Crop(M, crop.size_px, crop.side_px * zoom)


def _back(values: Float32Array, M_base_view: Float64Array) -> Float32Array:
    """What a view said, at the pixels of the plain crop."""
    height, width = values.shape
    M_view_base = cv2.invertAffineTransform(M_base_view)
    warped = cv2.warpAffine(
        values,
        M_view_base,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, dtype=np.float32)


def _comparable(
    value: Float32Array, plain: Float32Array, kind: DepthKind, zoom: float
) -> Float32Array:
    if kind == "relief":  # in widths of the crop, and this crop had another width
        return np.asarray(value * np.float32(zoom), dtype=np.float32)
    if kind == "inverse":
        scale, shift = np.polyfit(value.ravel(), plain.ravel(), 1)
        return np.asarray(value * scale + shift, dtype=np.float32)
    return value
