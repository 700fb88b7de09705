from __future__ import annotations

import threading
import time

import pytest
from threadpoolctl import threadpool_info

from rtrecon.blas import one_blas_thread
from rtrecon.draw.live_head import LiveHead
from tests.draw.heads import head


def blas_threads() -> list[int]:
    return [int(pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_within_and_as_before_after_it() -> None:
    before = blas_threads()
    with one_blas_thread():
        assert set(blas_threads()) <= {1}
        with one_blas_thread():
            pass
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before


def test_threads_that_want_it_at_once_leave_it_as_it_was() -> None:
    before = blas_threads()
    is_within, may_end = threading.Event(), threading.Event()

    def other() -> None:
        with one_blas_thread():
            is_within.set()
            may_end.wait(10)

    thread = threading.Thread(target=other)
    with one_blas_thread():
        thread.start()
        assert is_within.wait(10)
    may_end.set()
    thread.join()
    assert blas_threads() == before


def test_an_error_within_ends_it() -> None:
    before = blas_threads()
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == before


def test_a_head_again_and_again_keeps_no_other_thread_busy() -> None:
    make, face = LiveHead(), head()
    make(face, 0)
    time.sleep(0.5)  # until what was started before rests
    process_s, own_s = time.process_time(), time.thread_time()
    for k in range(1, 21):
        make(face, k * 33_000_000)
        time.sleep(0.03)
    own_s = time.thread_time() - own_s
    others_s = time.process_time() - process_s - own_s
    assert others_s < 0.5 * own_s  # it was four times as much
