"""The pool behind pictures and mesh arrays: what it hands out, and what it keeps."""

from __future__ import annotations

import numpy as np

from rtrecon.buffers import BufferPool


def test_a_returned_buffer_is_handed_out_again() -> None:
    pool = BufferPool()
    first = pool.take((100, 3), np.float32)
    assert first.shape == (100, 3)
    assert first.dtype == np.float32
    del first
    pool.take((100, 3), np.float32)
    assert pool.allocated == 1


def test_a_view_keeps_its_memory_out_of_the_stock() -> None:
    pool = BufferPool()
    kept = pool.take((100, 3), np.float32)[10:20]
    kept[:] = 7.0
    other = pool.take((100, 3), np.float32)
    other[:] = 1.0
    assert pool.allocated == 2
    assert np.all(kept == 7.0)
    assert not np.shares_memory(kept, other)


def test_ever_new_shapes_do_not_make_it_grow() -> None:
    pool = BufferPool()
    for side in range(100, 400):
        pool.take((side, side, 3), np.float32)
    # Sixteen times the bytes from the first to the last: eight sizes of stock and its ends.
    assert pool.allocated <= 10


def test_shape_and_type_may_differ_within_one_buffer() -> None:
    pool = BufferPool()
    pool.take((90, 4), np.int32)
    again = pool.take((95, 15), np.uint8)
    assert again.shape == (95, 15)
    again[:] = 255
    assert int(again.sum()) == 255 * 95 * 15
