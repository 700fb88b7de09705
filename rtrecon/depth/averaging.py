"""Better answers for pictures: the mean over a mirrored and slightly moved crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from rtrecon.depth.manifest import DepthKind
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
    first pass's scale and shift before the mean, since each pass has its own.

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
    return [
        replace(
            plain,
            value=np.mean(value, axis=0, dtype=np.float32),
            mask_logit=None if logits is None else np.mean(logits, axis=0, dtype=np.float32),
        )
        for plain, value, logits in zip(predictions, values, masks, strict=True)
    ]


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
