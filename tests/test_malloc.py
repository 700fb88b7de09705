from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

ARENAS = """
import ctypes, re, sys, threading
import numpy as np
if sys.argv[1] == "shared":
    import rtrecon.malloc
    rtrecon.malloc.share_arenas()
start = threading.Barrier(16)
def work():
    start.wait()
    kept = [np.ones(10_000) for _ in range(50)]
    start.wait()
threads = [threading.Thread(target=work) for _ in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = libc.fopen(sys.argv[2].encode(), b"w")
libc.malloc_info(0, ctypes.c_void_p(file))
libc.fclose(ctypes.c_void_p(file))
print(len(re.findall("<heap nr", open(sys.argv[2]).read())))
"""


def arenas(how: str, path: str, **variables: str) -> int:
    env = {name: text for name, text in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(
        [sys.executable, "-c", ARENAS, how, path],
        env=env | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "malloc_info")),
    reason="another C library than glibc",
)
def test_threads_share_arenas_unless_the_environment_says_otherwise(tmp_path: object) -> None:
    path = f"{tmp_path}/info.xml"
    assert arenas("own", path) > 2
    assert arenas("shared", path) <= 2
    assert arenas("shared", path, MALLOC_ARENA_MAX="8") > 2
