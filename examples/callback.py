"""Live, with a function that is called for each result: a camera is never made to wait for it.

The camera, the network and the callback have a thread each. A callback that is slow misses
results, and how many it missed is in the figures.

Install:  pip install 'rtrecon[cpu]'
Run:      python callback.py [SOURCE]      Ctrl-C ends it
"""

import sys

import rtrecon


def on_result(result: rtrecon.LiveResult) -> None:
    """On a thread of its own; the newest result wins."""
    for face in result.faces:
        print(f"face {face.id} at {face.T_camera_face[2, 3]:.2f} m, {result.latency_ms:.0f} ms old")


with rtrecon.live(sys.argv[1] if len(sys.argv) > 1 else 0, on_result=on_result) as session:
    try:
        session.wait()  # until the source ends
    except KeyboardInterrupt:
        pass
    print(f"{session.stats()['fps']:.1f} frames a second", session.stats()["outputs"])
