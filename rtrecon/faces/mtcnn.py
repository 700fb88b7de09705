"""MTCNN (Zhang et al., "Joint Face Detection and Alignment", SPL 2016) in ONNX Runtime.

The networks and every step between them follow facenet-pytorch 2.5.3, so that the answers
are the same; area resampling runs on one integral image, so that neither the pyramid nor
the candidates touch the picture's pixels again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.errors import DataError, ModelError
from rtrecon.types import BgrImage, Face, Float32Array

__all__ = ["Mtcnn", "check_picture", "detect_faces"]

_CELL, _STRIDE = 12, 2


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Boxes (n, 4) and scores (n,), float32."""

    boxes: Float32Array
    scores: Float32Array

    def __getitem__(self, keep: Any) -> _Candidates:
        return _Candidates(self.boxes[keep], self.scores[keep])


class Mtcnn:
    """The three networks. One instance serves one thread.

    Args:
        folder: with ``model.json`` and the networks; default: the shipped one.
        threads: of each network; they are too small to gain from more than one.

    Raises:
        ModelError: a network is missing or its hash does not match.
    """

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        folder = folder or _shipped_folder()
        self._pnet, self._rnet, self._onet = _load(folder, threads)

    def detect(
        self,
        image: BgrImage,
        min_face_px: float = 20,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
    ) -> list[Face]:
        """All faces in ``image`` (H, W, 3) uint8 BGR, largest box first.

        Raises:
            DataError: it is not such a picture.
        """
        check_picture(image)
        height, width = image.shape[:2]
        integral = _integral(image)
        found = self._propose(integral, width, height, min_face_px, thresholds[0], factor)
        if len(found.boxes) == 0:
            return []
        pixels, kept = _crops(integral, found.boxes, 24, width, height)
        found = found[kept]
        if len(found.boxes) == 0:
            return []
        moves, probability = self._rnet.run(None, {"image": pixels})
        passed = probability[:, 1] > thresholds[1]
        found = _Candidates(found.boxes[passed], probability[passed, 1])
        pick = _nms(found.boxes, found.scores, 0.7)
        boxes = _square(_regress(found.boxes[pick], moves[passed][pick]))
        return self._refine(integral, boxes, width, height, thresholds[2])

    def refine(self, image: BgrImage, boxes_px: Float32Array) -> list[Face]:
        """What O-Net makes of each square box (n, 4): one face a box, whatever its score.

        Reads only the pixels of the boxes, so its cost does not grow with the picture.
        """
        height, width = image.shape[:2]
        pixels = np.empty((len(boxes_px), 3, 48, 48), dtype=np.float32)
        spans = _spans(boxes_px, width, height)
        for k, (x0, y0, x1, y1) in enumerate(spans):
            if x1 - x0 < 2 or y1 - y0 < 2:
                pixels[k] = 127.5
                continue
            small = cv2.resize(image[y0:y1, x0:x1], (48, 48), interpolation=cv2.INTER_AREA)
            pixels[k] = small.transpose(2, 0, 1)
        moves, marks, probability = self._onet.run(None, {"image": pixels})
        # Relative to the whole pixels that were read: what truncation moved is not lost.
        read = spans.astype(np.float32)
        read[:, :2] += 1
        boxes, landmarks = _place(read, moves, marks)
        return [
            Face(boxes[k], landmarks[k], float(probability[k, 1])) for k in range(len(boxes_px))
        ]

    def _propose(
        self,
        integral: npt.NDArray[np.int32],
        width: int,
        height: int,
        min_face_px: float,
        threshold: float,
        factor: float,
    ) -> _Candidates:
        """P-Net over a pyramid, with its boxes regressed and made square."""
        scale = _CELL / min_face_px
        least = min(height, width) * scale
        rows: list[Float32Array] = []
        while least >= _CELL:
            size = (int(height * scale + 1), int(width * scale + 1))
            pixels = _area_resize(integral, width, height, size)
            moves, probability = self._pnet.run(None, {"image": pixels})
            rows.append(_pnet_boxes(moves[0], probability[0, 1], scale, threshold))
            scale *= factor
            least *= factor
        if not rows:
            return _Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
        kept = [r[_nms(r[:, :4], r[:, 4], 0.5)] for r in rows]
        found = np.concatenate(kept)
        found = found[_nms(found[:, :4], found[:, 4], 0.7)]
        extent = (found[:, 2:4] - found[:, 0:2])[:, [0, 1, 0, 1]]
        boxes = found[:, :4] + found[:, 5:9] * extent
        return _Candidates(_square(boxes), found[:, 4])

    def _refine(
        self,
        integral: npt.NDArray[np.int32],
        boxes: Float32Array,
        width: int,
        height: int,
        threshold: float,
    ) -> list[Face]:
        pixels, kept = _crops(integral, boxes, 48, width, height)
        boxes = boxes[kept]
        if len(boxes) == 0:
            return []
        moves, marks, probability = self._onet.run(None, {"image": pixels})
        passed = probability[:, 1] > threshold
        scores = probability[passed, 1]
        boxes, landmarks = _place(boxes[passed], moves[passed], marks[passed])
        pick = _nms_min(boxes, scores, 0.7)
        boxes, landmarks, scores = boxes[pick], landmarks[pick], scores[pick]
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return [Face(boxes[k], landmarks[k], float(scores[k])) for k in np.argsort(area)[::-1]]


def detect_faces(image: BgrImage, min_face_px: float = 20) -> list[Face]:
    """All faces in one (H, W, 3) uint8 BGR picture, largest first, by full MTCNN.

    The networks are loaded at the first call and kept.

    Raises:
        DataError: it is not such a picture.
    """
    global _detector
    if _detector is None:
        _detector = Mtcnn()
    return _detector.detect(image, min_face_px=min_face_px)


_detector: Mtcnn | None = None


def check_picture(image: object) -> None:
    """Refuse what is not a (H, W, 3) uint8 picture.

    Raises:
        DataError: says what it is and how to convert it.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = getattr(image, "dtype", type(image).__name__)
        raise DataError(f"a picture must be a uint8 array, not {kind}: scale it to 0..255")
    if image.ndim != 3 or image.shape[2] != 3:
        raise DataError(
            f"a picture must be (height, width, 3) BGR, not {image.shape}: convert it with "
            "cv2.cvtColor (COLOR_GRAY2BGR, COLOR_BGRA2BGR)"
        )
    if image.size == 0:
        raise DataError(f"the picture is empty: {image.shape}")


def _shipped_folder() -> Path:
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_models" / "mtcnn", package.parent / "models" / "mtcnn"):
        if (folder / "model.json").is_file():
            return folder
    raise ModelError("models/mtcnn is missing: reinstall rtrecon")


def _load(folder: Path, threads: int) -> list[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    sessions = []
    try:
        manifest = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        for name in ("pnet.onnx", "rnet.onnx", "onet.onnx"):
            content = (folder / name).read_bytes()
            if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
                raise ModelError(f"{folder / name} is damaged (wrong SHA-256): reinstall rtrecon")
            sessions.append(
                onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            )
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"cannot load MTCNN from {folder} ({error}): reinstall rtrecon") from error
    return sessions


def _integral(image: BgrImage) -> npt.NDArray[Any]:
    """Sums from the top left, (H + 1, W + 1, 3); int32 holds 8 million bright pixels."""
    depth = cv2.CV_32S if image.shape[0] * image.shape[1] < 2**23 else cv2.CV_64F
    return np.asarray(cv2.integral(image, sdepth=depth))


def _area_resize(
    integral: npt.NDArray[Any], width: int, height: int, size: tuple[int, int]
) -> Float32Array:
    """(1, 3, rows, columns) means over the cells of torch's adaptive average pooling."""
    rows, columns = size
    y0, y1 = _cells(0, height, rows)
    x0, x1 = _cells(0, width, columns)
    upper, lower = integral[y0], integral[y1]
    total = lower[:, x1] - lower[:, x0] - upper[:, x1] + upper[:, x0]
    count = (y1 - y0)[:, None] * (x1 - x0)[None, :]
    mean = total / count[..., None].astype(np.float32)
    return np.ascontiguousarray(mean.transpose(2, 0, 1)[None], dtype=np.float32)


def _cells(start: int, length: int, count: int) -> tuple[npt.NDArray[np.int64], ...]:
    """First and last+1 sample of ``count`` cells over ``length`` samples from ``start``."""
    k = np.arange(count, dtype=np.int64)
    return start + k * length // count, start + -(-(k + 1) * length // count)


def _crops(
    integral: npt.NDArray[Any], boxes: Float32Array, size: int, width: int, height: int
) -> tuple[Float32Array, npt.NDArray[np.bool_]]:
    """(m, 3, size, size) area-resampled boxes, and which of the boxes have any area."""
    spans = _spans(boxes, width, height).astype(np.int64)
    kept = (spans[:, 2] > spans[:, 0]) & (spans[:, 3] > spans[:, 1])
    x0, y0, x1, y1 = (spans[kept, k, None] for k in range(4))
    k = np.arange(size, dtype=np.int64)[None, :]
    left, right = x0 + k * (x1 - x0) // size, x0 - (-(k + 1) * (x1 - x0) // size)
    top, bottom = y0 + k * (y1 - y0) // size, y0 - (-(k + 1) * (y1 - y0) // size)
    stride = integral.shape[1]
    flat = integral.reshape(-1, 3)
    top, bottom = top[:, :, None] * stride, bottom[:, :, None] * stride
    left, right = left[:, None, :], right[:, None, :]
    total = flat[bottom + right] - flat[bottom + left] - flat[top + right] + flat[top + left]
    count = ((bottom - top) // stride) * (right - left)
    mean = total / count[..., None].astype(np.float32)
    return np.ascontiguousarray(mean.transpose(0, 3, 1, 2), dtype=np.float32), kept


def _spans(boxes: Float32Array, width: int, height: int) -> npt.NDArray[np.int32]:
    """Pixel spans x0, y0, x1, y1 (exclusive) of boxes, cut at the picture's borders."""
    whole = np.trunc(boxes).astype(np.int32)
    whole[:, :2] = np.maximum(whole[:, :2], 1) - 1
    whole[:, 2] = np.minimum(whole[:, 2], width)
    whole[:, 3] = np.minimum(whole[:, 3], height)
    return whole


def _pnet_boxes(
    moves: Float32Array, probability: Float32Array, scale: float, threshold: float
) -> Float32Array:
    """Rows (n, 9): box, score, four moves."""
    y, x = np.nonzero(probability >= threshold)
    out = np.empty((len(y), 9), dtype=np.float32)
    out[:, 0] = np.floor((_STRIDE * x + 1) / np.float32(scale))
    out[:, 1] = np.floor((_STRIDE * y + 1) / np.float32(scale))
    out[:, 2] = np.floor((_STRIDE * x + _CELL) / np.float32(scale))
    out[:, 3] = np.floor((_STRIDE * y + _CELL) / np.float32(scale))
    out[:, 4] = probability[y, x]
    out[:, 5:9] = moves[:, y, x].T
    return out


def _nms(boxes: Float32Array, scores: Float32Array, threshold: float) -> npt.NDArray[np.intp]:
    """Indices kept by greedy non-maximum suppression by IoU, best first."""
    order = np.argsort(-scores, kind="stable")
    if len(order) < 2:
        return order
    b = boxes[order]
    area = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    alive = np.ones(len(b), dtype=bool)
    for k in range(len(b)):
        if not alive[k]:
            continue
        rest = slice(k + 1, None)
        w = np.minimum(b[k, 2], b[rest, 2]) - np.maximum(b[k, 0], b[rest, 0])
        h = np.minimum(b[k, 3], b[rest, 3]) - np.maximum(b[k, 1], b[rest, 1])
        shared = np.maximum(w, 0) * np.maximum(h, 0)
        alive[rest] &= shared <= threshold * (area[k] + area[rest] - shared)
    return order[alive]


def _nms_min(boxes: Float32Array, scores: Float32Array, threshold: float) -> npt.NDArray[np.intp]:
    """The same with the overlap over the smaller box, pixels counted inclusively."""
    order = np.argsort(scores)
    area = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    kept = []
    while len(order):
        best, order = order[-1], order[:-1]
        kept.append(best)
        w = np.minimum(boxes[best, 2], boxes[order, 2]) - np.maximum(
            boxes[best, 0], boxes[order, 0]
        )
        h = np.minimum(boxes[best, 3], boxes[order, 3]) - np.maximum(
            boxes[best, 1], boxes[order, 1]
        )
        shared = np.maximum(w + 1, 0) * np.maximum(h + 1, 0)
        order = order[shared / np.minimum(area[best], area[order]) <= threshold]
    return np.array(kept, dtype=np.intp)


def _regress(boxes: Float32Array, moves: Float32Array) -> Float32Array:
    """Boxes moved by shares of their size, pixels counted inclusively."""
    extent = (boxes[:, 2:4] - boxes[:, 0:2] + 1)[:, [0, 1, 0, 1]]
    return np.asarray(boxes + moves * extent, dtype=np.float32)


def _square(boxes: Float32Array) -> Float32Array:
    """Squares of the longer side about the same centres."""
    extent = boxes[:, 2:4] - boxes[:, 0:2]
    side = extent.max(axis=1, keepdims=True) if len(boxes) else extent[:, :1]
    corner = boxes[:, 0:2] + extent * 0.5 - side * 0.5
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


def _place(
    boxes: Float32Array, moves: Float32Array, marks: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """O-Net's boxes (n, 4) and landmarks (n, 5, 2) in picture pixels."""
    extent = boxes[:, 2:4] - boxes[:, 0:2] + 1
    landmarks = np.stack(
        [
            extent[:, :1] * marks[:, :5] + boxes[:, 0:1] - 1,
            extent[:, 1:] * marks[:, 5:] + boxes[:, 1:2] - 1,
        ],
        axis=-1,
    )
    return _regress(boxes, moves), landmarks.astype(np.float32)
