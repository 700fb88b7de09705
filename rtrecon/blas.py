"""NumPy's matrix products on one thread, where they are small and come thirty times a second.

OpenBLAS shares a product of some 100,000 terms among its threads, which then spin for a tenth of a
second in case another one comes: a head that is drawn thirty times a second kept a whole core busy
with that, 42 ms a head beside 11 of work.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

__all__ = ["one_blas_thread"]

_limiting = threading.Lock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Products of matrices take one thread meanwhile, in the whole process.

    Of threads that want it at once the first one's is in force, until that ends: two limits that
    overlap would leave one of them for good.
    """
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _libraries().limit(limits=1):
            yield
    finally:
        _limiting.release()


@lru_cache(maxsize=1)
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
