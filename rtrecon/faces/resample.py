"""Area resampling as torch's adaptive average pooling does it, from one integral image.

Every output pixel is the mean of the whole input pixels that its cell touches. With the
picture's sums from the top left a mean costs four reads, however large the cell: after one
pass over the picture neither the pyramid nor the candidates touch its pixels again.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.types import BgrImage, Float32Array

__all__ = ["AreaSampler", "pixel_spans"]

Int32Array = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]


class AreaSampler:
    """Means over rectangles of the (H, W, 3) uint8 picture that was loaded last.

    All buffers are kept: pages that the system takes back and gives again would cost more
    than the arithmetic. So what `resize` and `crops` return holds until their next call.
    """

    def __init__(self) -> None:
        self.height = self.width = 0
        self._buffers: dict[str, npt.NDArray[np.uint8]] = {}
        self._sums: npt.NDArray[np.complex128] = np.empty(0, dtype=np.complex128)
        self._stride = 1

    def load(self, image: BgrImage) -> None:
        """Sum up a picture; the sums are copies, it may change afterwards."""
        self.height, self.width = height, width = image.shape[:2]
        self._stride = width + 1
        # Four channels make a sum 16 bytes, which NumPy moves as one complex number. Sums of
        # large pictures wrap around; their differences are right all the same.
        padded = self._buffer("padded", (height, width, 4), np.uint8)
        cv2.cvtColor(image, cv2.COLOR_BGR2BGRA, dst=padded)
        sums = self._buffer("sums", (height + 1, width + 1, 4), np.int32)
        cv2.integral(padded, sums, sdepth=cv2.CV_32S)
        self._sums = sums.reshape(-1).view(np.complex128)

    def resize(self, rows: int, columns: int, band: tuple[int, int] | None = None) -> Float32Array:
        """The whole picture as (1, 3, rows, columns) float32 of 0 to 255.

        With ``band``, first row and the one behind the last, only these rows of it.
        """
        y0, y1 = _cells(self.height, rows)
        if band is not None:
            y0, y1 = y0[slice(*band)], y1[slice(*band)]
            rows = len(y0)
        x0, x1 = _cells(self.width, columns)
        if 3 * columns < self.width:
            upper, lower = y0[:, None] * self._stride, y1[:, None] * self._stride
            total = self._corner_sums(upper, lower, x0, x1)
        else:
            # So many columns that whole rows are cheaper to copy than corners to pick.
            sums = self._sums.reshape(self.height + 1, self._stride)
            bands = self._difference(sums, y1, y0, 0, "bands")
            total = self._difference(bands, x1, x0, 1, "total").view(np.int32)
        return self._means(total.reshape(1, rows, columns, 4), y1 - y0, x1 - x0)

    def crops(self, spans: Int32Array, size: int) -> Float32Array:
        """Rectangles ``spans`` (n, 4) of `pixel_spans` as (n, 3, size, size) float32.

        Every rectangle must have an area.
        """
        x0, y0, x1, y1 = (spans[:, k, None].astype(np.int64) for k in range(4))
        k = np.arange(size, dtype=np.int64)
        left, right = x0 + k * (x1 - x0) // size, x0 - (-(k + 1) * (x1 - x0) // size)
        top, bottom = y0 + k * (y1 - y0) // size, y0 - (-(k + 1) * (y1 - y0) // size)
        total = self._corner_sums(
            top[:, :, None] * self._stride,
            bottom[:, :, None] * self._stride,
            left[:, None, :],
            right[:, None, :],
        )
        return self._means(total.reshape(len(spans), size, size, 4), bottom - top, right - left)

    def _corner_sums(
        self, upper: IntArray, lower: IntArray, left: IntArray, right: IntArray
    ) -> Int32Array:
        """Sums over cells from their corners: offsets of rows, and columns."""
        shape = np.broadcast_shapes(upper.shape, left.shape)
        index = self._buffer("index", shape, np.int64)
        corner = self._buffer("corner", shape, np.complex128)
        total = self._buffer("total", shape, np.complex128)
        whole: Int32Array = total.view(np.int32)
        part = corner.view(np.int32)
        # The mode is for speed alone: with "raise" NumPy copies through a buffer.
        np.take(self._sums, np.add(lower, right, out=index), out=total, mode="clip")
        np.take(self._sums, np.add(lower, left, out=index), out=corner, mode="clip")
        whole -= part
        np.take(self._sums, np.add(upper, right, out=index), out=corner, mode="clip")
        whole -= part
        np.take(self._sums, np.add(upper, left, out=index), out=corner, mode="clip")
        whole += part
        return whole

    def _difference(
        self,
        sums: npt.NDArray[np.complex128],
        last: IntArray,
        first: IntArray,
        axis: int,
        name: str,
    ) -> npt.NDArray[np.complex128]:
        """Sums at ``last`` less those at ``first`` along ``axis``."""
        shape = list(sums.shape)
        shape[axis] = len(last)
        out: npt.NDArray[np.complex128] = self._buffer(name, tuple(shape), np.complex128)
        less = self._buffer("corner", tuple(shape), np.complex128)
        np.take(sums, last, axis=axis, out=out, mode="clip")
        np.take(sums, first, axis=axis, out=less, mode="clip")
        whole = out.view(np.int32)
        whole -= less.view(np.int32)
        return out

    def _means(self, total: Int32Array, heights: IntArray, widths: IntArray) -> Float32Array:
        """(n, 3, rows, columns) from sums (n, rows, columns, 4) and the extents of cells."""
        n, rows, columns, _ = total.shape
        weight = _weights(heights, widths)
        out: Float32Array = self._buffer("means", (n, 3, rows, columns), np.float32)
        for channel in range(3):
            np.multiply(total[..., channel], weight, out=out[:, channel], casting="unsafe")
        return out

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """Memory of that name, as large as it ever had to be."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size, dtype=np.uint8)
        return buffer[:size].view(dtype).reshape(shape)


def pixel_spans(boxes_px: Float32Array, width: int, height: int) -> Int32Array:
    """Pixels of boxes (n, 4) as x0, y0, x1, y1, the last exclusive, cut at the borders.

    MTCNN's boxes count pixels from one; they are cut towards zero to whole numbers.
    """
    spans = np.trunc(boxes_px).astype(np.int32)
    spans[:, :2] = np.maximum(spans[:, :2], 1) - 1
    spans[:, 2] = np.minimum(spans[:, 2], width)
    spans[:, 3] = np.minimum(spans[:, 3], height)
    return spans


def _cells(length: int, count: int) -> tuple[IntArray, IntArray]:
    """First and last+1 pixel of each of ``count`` cells over ``length`` pixels."""
    k = np.arange(count, dtype=np.int64)
    return k * length // count, -(-(k + 1) * length // count)


def _weights(heights: IntArray, widths: IntArray) -> Float32Array:
    """One over the area of each cell, (..., rows, columns) float32."""
    inverse_heights = np.float32(1.0) / heights.astype(np.float32)
    inverse_widths = np.float32(1.0) / widths.astype(np.float32)
    return np.asarray(inverse_heights[..., :, None] * inverse_widths[..., None, :], np.float32)
