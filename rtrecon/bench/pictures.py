"""Pictures to measure on: decoded beforehand, at each size, with as many faces as asked for.

They lie in a file that each measured process maps into memory: decoder and disk are no part of
the figures, and however many processes there are, the pictures are in memory once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rtrecon.capture import open_source
from rtrecon.errors import DataError, OutputError
from rtrecon.faces.mtcnn import Mtcnn
from rtrecon.types import BgrImage, Face, Float64Array

__all__ = ["Footage", "load_footage", "tile_grid", "write_pictures"]

logger = logging.getLogger(__name__)

MAX_PICTURES = 300
MAX_BYTES = 192 << 20
MIN_PICTURES = 16  # kept however large they are
_LOOKS = 8  # pictures of the footage in which faces are looked for
_MARGIN = 1.7  # a tile shows so much more than the face's box over all pictures
_MIN_FACE_PX = 60.0  # as live use looks for, in a picture with a long side of 640


@dataclass(slots=True, eq=False)
class Footage:
    """Decoded pictures (H, W, 3) uint8 BGR and where faces were found in them.

    ``face_box_px`` (4,) x0 y0 x1 y1 is the box of the largest face over all pictures looked
    at; ``faces`` is how many faces there are in each of them at least.
    """

    name: str
    pictures: list[BgrImage]
    rate_hz: float | None
    face_box_px: Float64Array
    faces: int

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.pictures[0].shape[:2]
        return width, height


def load_footage(source: str) -> Footage:
    """Decode the beginning of ``source``, at most 300 pictures or 192 MiB, and find its faces.

    Raises:
        SourceError: it cannot be opened.
        DataError: it holds no picture, or no face.
    """
    pictures: list[BgrImage] = []
    with open_source(source) as opened:
        total = opened.frame_count
        for frame in opened:
            if pictures and frame.image.shape != pictures[0].shape:
                continue  # a folder may hold pictures of several sizes
            pictures.append(np.array(frame.image))
            if len(pictures) >= _most(frame.image.nbytes):
                break
        name, rate_hz = opened.name, opened.rate_hz
    if not pictures:
        raise DataError(f"{name} holds no picture that can be decoded: nothing to measure on")
    if total is None or total > len(pictures):
        logger.info("measuring on the first %d pictures of %s", len(pictures), name)
    box, faces = _find_faces(name, pictures)
    return Footage(name, pictures, rate_hz, box, faces)


def write_pictures(
    footage: Footage, size_px: tuple[int, int], faces: int, path: Path
) -> tuple[int, ...]:
    """Write the footage at ``size_px`` with ``faces`` faces in it as an .npy file.

    The picture keeps its shape: it is cut, not stretched. For more faces than it has, the
    surroundings of its face are repeated in a grid, every second one mirrored.

    Returns:
        The shape written, (n, H, W, 3).

    Raises:
        DataError: fewer faces than that are found in the result.
        OutputError: there is no room for it on the disk.
    """
    width, height = size_px
    count = min(len(footage.pictures), _most(width * height * 3))
    shape = (count, height, width, 3)
    try:
        out = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    except OSError as error:
        raise OutputError(
            f"no room for {count} pictures of {width}x{height} in {path.parent}: "
            f"{error.strerror}; set TMPDIR to a larger disk"
        ) from error
    columns, rows = tile_grid(faces, size_px) if faces > footage.faces else (1, 1)
    for k in range(count):
        _compose(footage, k, faces, (columns, rows), out[k])
    found = _least_faces([np.asarray(out[k]) for k in _spread(count, 3)])
    del out  # written out
    if found < faces:
        raise DataError(
            f"of {faces} faces in {width}x{height} only {found} are found: they are too small "
            "there; take fewer, or a source with a larger face"
        )
    return shape


def tile_grid(faces: int, size_px: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows for ``faces`` tiles, as square as they can be."""
    width, height = size_px

    def short_side(columns: int) -> float:
        return min(width / columns, height / -(-faces // columns))

    columns = max(range(1, faces + 1), key=short_side)
    return columns, -(-faces // columns)


def _compose(
    footage: Footage, index: int, faces: int, grid: tuple[int, int], out: BgrImage
) -> None:
    columns, rows = grid
    height, width = out.shape[:2]
    picture = footage.pictures[index]
    if (columns, rows) == (1, 1):
        out[:] = _cut(footage, picture, (width, height), (width, height))
        return
    xs = np.linspace(0, width, columns + 1).astype(int)
    ys = np.linspace(0, height, rows + 1).astype(int)
    out[:] = 64
    for k in range(faces):
        row, column = divmod(k, columns)
        x0, x1, y0, y1 = xs[column], xs[column + 1], ys[row], ys[row + 1]
        tile = _cut(footage, picture, (x1 - x0, y1 - y0), (width, height))
        out[y0:y1, x0:x1] = tile[:, ::-1] if k % 2 else tile


def _cut(
    footage: Footage, picture: BgrImage, tile_px: tuple[int, int], frame_px: tuple[int, int]
) -> BgrImage:
    """The part of ``picture`` about the face that fills a tile, the face as large as in the
    whole frame if it fits."""
    width, height = footage.size_px
    if tile_px == (width, height):
        return picture
    x0, y0, x1, y1 = footage.face_box_px
    cover = max(frame_px[0] / width, frame_px[1] / height)
    fit = min(tile_px[0] / (x1 - x0), tile_px[1] / (y1 - y0)) / _MARGIN
    scale = min(cover, fit)
    part = np.array(tile_px) / scale
    # Inside the picture where it is large enough, else the border goes on.
    space = np.array([width, height]) - part
    low = np.array([x0 + x1, y0 + y1]) / 2 - part / 2
    low = np.where(space >= 0, np.clip(low, 0, np.maximum(space, 0)), space / 2)
    M = np.array([[1 / scale, 0, low[0]], [0, 1 / scale, low[1]]])
    M[:, 2] += 0.5 / scale - 0.5
    return np.asarray(
        cv2.warpAffine(
            picture,
            M,
            (int(tile_px[0]), int(tile_px[1])),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        dtype=np.uint8,
    )


def _find_faces(name: str, pictures: Sequence[BgrImage]) -> tuple[Float64Array, int]:
    mtcnn = Mtcnn()
    found = [mtcnn.detect_live(pictures[k], _MIN_FACE_PX) for k in _spread(len(pictures), _LOOKS)]
    seen = [_largest(faces) for faces in found if faces]
    if not seen:
        raise DataError(
            f"no face is found in {name}: a face reconstructor is measured on faces; take "
            "another source, or `demo`"
        )
    boxes = np.stack([face.box_px for face in seen]).astype(np.float64)
    union = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    return union, min(len(faces) for faces in found)


def _least_faces(pictures: Sequence[BgrImage]) -> int:
    mtcnn = Mtcnn()
    return min(len(mtcnn.detect_live(picture, _MIN_FACE_PX)) for picture in pictures)


def _largest(faces: Sequence[Face]) -> Face:
    return max(faces, key=lambda face: float(np.prod(face.box_px[2:] - face.box_px[:2])))


def _spread(count: int, most: int) -> list[int]:
    """Up to ``most`` different indices over ``count``, first and last among them."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(most, count)).round()})


def _most(picture_bytes: int) -> int:
    return max(MIN_PICTURES, min(MAX_PICTURES, MAX_BYTES // max(picture_bytes, 1)))
