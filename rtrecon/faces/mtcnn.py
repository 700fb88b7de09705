"""MTCNN (Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", IEEE SPL 2016) in ONNX Runtime.

The networks and every step between them follow facenet-pytorch 2.5.3, so that the answers
are the same.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtrecon.errors import DataError, MissingExtraError, ModelError
from rtrecon.faces.boxes import move, nms, nms_min, square
from rtrecon.faces.light import brighten, gain_beside_lamps, gain_for
from rtrecon.faces.picture_input import check_picture
from rtrecon.faces.resample import AreaSampler, pixel_spans
from rtrecon.json_text import read_json
from rtrecon.types import BgrImage, Face, Float32Array

__all__ = ["Mtcnn"]

logger = logging.getLogger(__name__)

_CELL, _STRIDE = 12, 2  # P-Net's window and step, pixels of the pyramid
_LIVE_LONG_SIDE_PX = 640
# Halves the candidates of R-Net and leaves O-Net a third of them; facenet-pytorch has 0.7.
_LIVE_OVERLAP = 0.4
# The sums that the search reads take 20 bytes a pixel; larger pictures are shrunk for it.
_MOST_SEARCHED_PX = 13_000_000
_KEPT_PX = 4_000_000  # the sums of larger ones are let go of
_SHARP_FACE_PX = 96  # larger in the shrunk picture, O-Net sees no more in the whole one
_BAND_PX, _AT_ONCE = 400_000, 128  # input of P-Net, candidates of the others: memory
_MUCH_WORSE = 0.2  # of the score
_WORTH_A_LOOK = 1.5  # how much brighter a picture must become to be searched again


class Mtcnn:
    """The three networks. One instance serves one thread.

    Args:
        folder: with ``model.json`` and the networks; default: the shipped one.
        threads: of each network; they are too small to gain from more than one.

    Raises:
        ModelError: a network is missing or its hash does not match.
        MissingExtraError: no ONNX Runtime is installed.
    """

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        self._pnet, self._rnet, self._onet = _load(folder or _shipped_folder(), threads)
        self._sampler = AreaSampler()

    def detect(
        self,
        image: BgrImage,
        min_face_px: float = 20,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
        *,
        evens_dark: bool = False,
    ) -> list[Face]:
        """All faces in ``image`` (H, W, 3) uint8 BGR, largest box first.

        ``min_face_px`` is the side of the smallest face looked for, ``thresholds`` are the
        least scores of P-, R- and O-Net, ``factor`` is the step of the pyramid. With
        ``evens_dark`` a dark picture is brightened first; without, and in all others, the
        answers are facenet-pytorch's. Pictures of more than 13 million pixels are searched
        shrunk by a whole number, for faces of 12 pixels or more in that.

        Raises:
            DataError: it is not such a picture, or a parameter is out of range.
        """
        check_picture(image)

        shrink = math.ceil(math.sqrt(image.shape[0] * image.shape[1] / _MOST_SEARCHED_PX))
        least_px = min_face_px if shrink <= 1 else max(min_face_px / shrink, float(_CELL))

        def find(lit: BgrImage) -> list[Face]:
            return self._cascade(lit, least_px, thresholds, factor, overlap=0.7)

        small = _whole_blocks(image, shrink)
        faces = _find_in_any_light(find, small) if evens_dark else find(small)
        if small.shape[0] * small.shape[1] > _KEPT_PX:
            self._sampler = AreaSampler()
        if shrink <= 1:
            return faces
        if least_px * shrink > min_face_px:
            logger.info(
                "a picture of %dx%d: faces are looked for from %.0f px on",
                *image.shape[1::-1],
                least_px * shrink,
            )
        return [self._sharpened(image, face, shrink) for face in faces]

    def _sharpened(self, image: BgrImage, face: Face, shrink: int) -> Face:
        """``face`` of a picture shrunk so many times, in ``image``; a small one looked at again."""
        scaled = Face(face.box_px * shrink, face.landmarks_px * shrink, face.score)
        if np.ptp(face.box_px[0::2]) >= _SHARP_FACE_PX:
            return scaled
        (again,) = self.refine(image, square(scaled.box_px[None]))
        return again if again.score >= face.score - _MUCH_WORSE else scaled

    def detect_live(self, image: BgrImage, min_face_px: float = 60) -> list[Face]:
        """As `detect`, at a cost that does not grow with the picture beyond one downscale.

        Pictures whose long side is much over 640 pixels are shrunk by a whole number, and
        ``min_face_px`` is in pixels of a picture with a long side of 640: the same share of
        the view at every size. Candidates that overlap much are thinned out earlier, which
        finds the same faces with slightly other boxes. Dark pictures are brightened.

        Raises:
            DataError: as `detect`.
        """
        check_picture(image)
        height, width = image.shape[:2]
        long_side_px = max(height, width)
        shrink = max(1, (long_side_px + _LIVE_LONG_SIDE_PX // 2) // _LIVE_LONG_SIDE_PX)
        min_face_px *= max(1.0, long_side_px / _LIVE_LONG_SIDE_PX)

        def find(lit: BgrImage) -> list[Face]:
            return self._cascade(lit, min_face_px / shrink, overlap=_LIVE_OVERLAP)

        if shrink == 1:
            return _find_in_any_light(find, image)
        faces = _find_in_any_light(find, _whole_blocks(image, shrink))
        # MTCNN's coordinates are edges of pixels, so that they scale without an offset.
        return [Face(f.box_px * shrink, f.landmarks_px * shrink, f.score) for f in faces]

    def refine(self, image: BgrImage, boxes_px: Float32Array) -> list[Face]:
        """What O-Net makes of each square box (n, 4): one face a box, whatever its score.

        Reads only the pixels of the boxes, so its cost does not grow with the picture.
        Unlike `detect` it fills what lies outside of the picture with black instead of
        stretching the rest, so that landmarks stay true at the border. A dark box is
        brightened, whatever the light around it.
        """
        squares = np.round(boxes_px)
        squares[:, 2:] = np.maximum(squares[:, 2:], squares[:, :2] + 1)
        pixels = np.empty((len(squares), 3, 48, 48), dtype=np.float32)
        for k, box in enumerate(squares.astype(np.int64)):
            crop = _padded_crop(image, box)
            pixels[k] = brighten(crop, gain_beside_lamps(crop)).transpose(2, 0, 1)
        moves, marks, scores = self._onet.run(None, {"image": pixels})
        boxes, landmarks = _place(squares, moves, marks)
        return [Face(boxes[k], landmarks[k], float(scores[k])) for k in range(len(squares))]

    def _cascade(
        self,
        image: BgrImage,
        min_face_px: float,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        factor: float = 0.709,
        *,
        overlap: float,
    ) -> list[Face]:
        if not min_face_px >= 1 or not 0.0 < factor < 1.0:
            raise DataError(
                f"min_face_px must be 1 or more and factor in (0, 1), not {min_face_px}, {factor}"
            )
        self._sampler.load(image)
        boxes = self._propose(min_face_px, thresholds[0], factor, overlap)
        boxes = self._reject(boxes, thresholds[1], overlap)
        return self._finish(boxes, thresholds[2])

    def _propose(
        self, min_face_px: float, threshold: float, factor: float, overlap: float
    ) -> Float32Array:
        """P-Net over a pyramid: square candidates (n, 4)."""
        sampler = self._sampler
        scale = _CELL / min_face_px
        least = min(sampler.height, sampler.width) * scale
        rows: list[Float32Array] = []
        while least >= _CELL:
            size = int(sampler.height * scale + 1), int(sampler.width * scale + 1)
            found = np.concatenate(
                [
                    self._scan(size, band, scale, threshold)
                    for band in _bands(size[0], max(2, _BAND_PX // size[1]))
                ]
            )
            rows.append(found[nms(found[:, :4], found[:, 4], 0.5)])
            scale *= factor
            least *= factor
        if not rows:
            return np.empty((0, 4), dtype=np.float32)
        found = np.concatenate(rows)
        found = found[nms(found[:, :4], found[:, 4], overlap)]
        extent = (found[:, 2:4] - found[:, 0:2])[:, [0, 1, 0, 1]]
        return square(found[:, :4] + found[:, 5:9] * extent)

    def _scan(
        self, size: tuple[int, int], band: tuple[int, int], scale: float, threshold: float
    ) -> Float32Array:
        """P-Net over a band of rows of the picture at ``size`` (rows, columns)."""
        pixels = self._sampler.resize(*size, band)
        moves, scores = self._pnet.run(None, {"image": pixels})
        return _pnet_boxes(moves[0], scores[0], scale, threshold, band[0] // _STRIDE)

    def _judge(self, net: Any, spans: Any, size: int) -> list[Any]:
        """What R- or O-Net says of spans (n, 4), so many at once."""
        parts = [
            net.run(None, {"image": self._sampler.crops(spans[k : k + _AT_ONCE], size)})
            for k in range(0, len(spans), _AT_ONCE)
        ]
        return (
            parts[0]
            if len(parts) == 1
            else [np.concatenate(part) for part in zip(*parts, strict=True)]
        )

    def _reject(self, boxes: Float32Array, threshold: float, overlap: float) -> Float32Array:
        """R-Net: the candidates (n, 4) that pass, moved and made square again."""
        sampler = self._sampler
        boxes, spans = _inside(boxes, sampler)
        if len(boxes) == 0:
            return boxes
        moves, scores = self._judge(self._rnet, spans, 24)
        passed = scores > threshold
        boxes, moves, scores = boxes[passed], moves[passed], scores[passed]
        pick = nms(boxes, scores, overlap)
        return square(move(boxes[pick], moves[pick]))

    def _finish(self, boxes: Float32Array, threshold: float) -> list[Face]:
        """O-Net: faces of the candidates (n, 4), largest first."""
        sampler = self._sampler
        boxes, spans = _inside(boxes, sampler)
        if len(boxes) == 0:
            return []
        moves, marks, scores = self._judge(self._onet, spans, 48)
        passed = scores > threshold
        scores = scores[passed]
        boxes, landmarks = _place(boxes[passed], moves[passed], marks[passed])
        pick = nms_min(boxes, scores, 0.7)
        boxes, landmarks, scores = boxes[pick], landmarks[pick], scores[pick]
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return [Face(boxes[k], landmarks[k], float(scores[k])) for k in np.argsort(area)[::-1]]


def _find_in_any_light(find: Callable[[BgrImage], list[Face]], image: BgrImage) -> list[Face]:
    """What ``find`` finds in ``image``, brightened where it is dark.

    Where there is no face, but a lamp or a window beside which one may stand in the dark, it
    is looked for there.
    """
    gain = gain_for(image)
    faces = find(brighten(image, gain))
    if faces:
        return faces
    more = gain_beside_lamps(image)
    return find(brighten(image, more)) if more > _WORTH_A_LOOK * gain else []


def _shipped_folder() -> Path:
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_models" / "mtcnn", package.parent / "models" / "mtcnn"):
        if (folder / "model.json").is_file():
            return folder
    raise ModelError("the face detector's models/mtcnn is missing: reinstall rtrecon")


def _load(folder: Path, threads: int) -> list[Any]:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads fight capture and view for few cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    sessions = []
    try:
        manifest = read_json(folder / "model.json")
        for name in ("pnet.onnx", "rnet.onnx", "onet.onnx"):
            content = (folder / name).read_bytes()
            if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
                raise ModelError(f"{folder / name} is damaged (wrong SHA-256): reinstall rtrecon")
            sessions.append(
                onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"cannot load MTCNN from {folder} ({error}): reinstall rtrecon") from error
    return sessions


def _bands(rows: int, most: int) -> list[tuple[int, int]]:
    """First and last+1 of so many ``rows`` of P-Net's input at a time, the same cells in all.

    A cell k has the rows 2k to 2k + 11.
    """
    cells = max((most - _CELL) // _STRIDE + 1, 1)
    if rows <= _STRIDE * cells + _CELL:
        return [(0, rows)]
    firsts = range(0, rows - _CELL + 1, _STRIDE * cells)
    ends = [first + _STRIDE * (cells - 1) + _CELL for first in firsts]
    return [*zip(firsts[:-1], ends[:-1], strict=True), (firsts[-1], rows)]


def _pnet_boxes(
    moves: Float32Array, scores: Float32Array, scale: float, threshold: float, first_row: int = 0
) -> Float32Array:
    """Rows (n, 9) of P-Net's cells that pass: box, score, four moves."""
    y, x = np.nonzero(scores >= threshold)
    scores, moves = scores[y, x], moves[:, y, x].T
    y += first_row
    out = np.empty((len(y), 9), dtype=np.float32)
    out[:, 0] = np.floor((_STRIDE * x + 1).astype(np.float32) / np.float32(scale))
    out[:, 1] = np.floor((_STRIDE * y + 1).astype(np.float32) / np.float32(scale))
    out[:, 2] = np.floor((_STRIDE * x + _CELL).astype(np.float32) / np.float32(scale))
    out[:, 3] = np.floor((_STRIDE * y + _CELL).astype(np.float32) / np.float32(scale))
    out[:, 4] = scores
    out[:, 5:9] = moves
    return out


def _inside(boxes: Float32Array, sampler: AreaSampler) -> tuple[Float32Array, Any]:
    """The boxes that cover any pixel, and their spans."""
    spans = pixel_spans(boxes, sampler.width, sampler.height)
    kept = (spans[:, 2] > spans[:, 0]) & (spans[:, 3] > spans[:, 1])
    return boxes[kept], spans[kept]


def _place(
    boxes: Float32Array, moves: Float32Array, marks: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """O-Net's boxes (n, 4) and landmarks (n, 5, 2) in picture pixels."""
    extent = boxes[:, 2:4] - boxes[:, 0:2] + 1
    landmarks = np.empty((len(boxes), 5, 2), dtype=np.float32)
    landmarks[..., 0] = extent[:, :1] * marks[:, :5] + boxes[:, 0:1] - 1
    landmarks[..., 1] = extent[:, 1:] * marks[:, 5:] + boxes[:, 1:2] - 1
    return move(boxes, moves), landmarks


def _padded_crop(image: BgrImage, box: Any) -> BgrImage:
    """(48, 48, 3) of a whole-numbered box that counts pixels from one; black outside."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = int(box[0]) - 1, int(box[1]) - 1, int(box[2]), int(box[3])
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if right <= left or bottom <= top:
        return np.zeros((48, 48, 3), dtype=np.uint8)
    crop: Any = image[top:bottom, left:right]
    if (left, top, right, bottom) != (x0, y0, x1, y1):
        crop = cv2.copyMakeBorder(
            crop, top - y0, y1 - bottom, left - x0, x1 - right, cv2.BORDER_CONSTANT
        )
    return _shrink(crop, (48, 48), detail=4)


def _whole_blocks(image: BgrImage, shrink: int) -> BgrImage:
    """``image`` shrunk by a whole number; a rest of a block is left out, so that there is no
    fraction of a pixel of shift."""
    if shrink <= 1:
        return image
    width, height = image.shape[1] // shrink, image.shape[0] // shrink
    return _shrink(image[: height * shrink, : width * shrink], (width, height))


def _shrink(image: BgrImage, size: tuple[int, int], detail: int = 2) -> BgrImage:
    """``image`` at (width, height) ``size``, at a cost that hardly depends on its own.

    Much too large, it is first sampled at ``detail`` times the size: the mean of detail x
    detail samples stands for that of all pixels, which at 4K costs thirty times as much.
    """
    width, height = size
    if image.shape[1] > detail * width and image.shape[0] > detail * height:
        between = (detail * width, detail * height)
        image = np.asarray(
            cv2.resize(image, between, interpolation=cv2.INTER_LINEAR), dtype=np.uint8
        )
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
