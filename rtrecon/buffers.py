"""Arrays whose memory is used again once nobody holds them."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BufferPool"]


class BufferPool:
    """Hands out arrays from a stock; an array returns by itself when its last view is gone.

    An array is safe to keep for as long as one likes: NumPy keeps the base of every view
    alive, the base here is a lease, and only the end of the lease returns the memory. So
    the pool never takes back what someone can still read. Thread-safe: the thread that
    drops the last view need not be the one that takes.

    Args:
        keep: buffers kept at most for each size; what comes back beyond it is freed.
    """

    def __init__(self, keep: int = 8) -> None:
        self._stock: defaultdict[int, deque[npt.NDArray[np.uint8]]] = defaultdict(
            lambda: deque(maxlen=keep)
        )
        self.allocated = 0

    def take(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A C-contiguous array with undefined contents."""
        dtype = np.dtype(dtype)
        size = _rounded(math.prod(shape) * dtype.itemsize)
        stock = self._stock[size]
        try:
            memory = stock.pop()
        except IndexError:
            memory = np.empty(size, dtype=np.uint8)
            self.allocated += 1
        return np.asarray(_Lease(memory, stock, shape, dtype))


def _rounded(size: int) -> int:
    """The next power of the square root of two: few sizes of stock, however many shapes.

    The region under a crop has another size in almost every frame.
    """
    half_octaves = math.ceil(2.0 * math.log2(max(size, 64)))
    return math.ceil(math.exp2(half_octaves / 2.0))


class _Lease:
    """Exposes memory as an array and gives it back to the stock when it is collected."""

    __slots__ = ("__array_interface__", "_memory", "_stock")

    def __init__(
        self,
        memory: npt.NDArray[np.uint8],
        stock: deque[npt.NDArray[np.uint8]],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self._memory = memory
        self._stock = stock
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "data": (memory.ctypes.data, False),
        }

    def __del__(self) -> None:
        self._stock.append(self._memory)
