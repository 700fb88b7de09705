"""Opens the real window, as a program of its own: a test gives it a display and reads on.

python -m tests.outputs.window.drive_window SCENARIO OUT.npz [MODEL]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import rtrecon
from rtrecon.draw.raster import orbit
from rtrecon.draw.state import ViewFrame
from rtrecon.outputs.window.window import FaceWindow
from tests.draw.heads import FIGURES, head, view_of

SIZE = (640, 400)


def clip(model: str) -> dict[str, np.ndarray]:
    """60 frames of the bundled clip; what the window and the picture show at some of them."""
    window = FaceWindow(*SIZE, sways=False)
    reconstruct = rtrecon.Reconstructor(model=model, threads=1)
    kept: dict[str, np.ndarray] = {"ticks": np.array(0)}
    with rtrecon.open_source("demo") as source:
        for k, frame in zip(range(60), source, strict=False):
            faces = reconstruct(frame)
            window.update(ViewFrame(frame.image, faces, frame.t_capture_ns, FIGURES))
            kept["ticks"] += int(window.tick())
            if k in (10, 59):
                kept[f"shown_{k}"] = window.capture()
                kept[f"picture_{k}"] = frame.image.copy()
                kept[f"landmarks_{k}"] = faces[0].landmarks_px.copy()
    window.close()
    kept["open"] = np.array(window.tick())
    return kept


def still(_: str) -> dict[str, np.ndarray]:
    """A painted head: none yet, alone, farther to the right, two, alone again, none any more."""
    window = FaceWindow(*SIZE, sways=False)
    kept = {}
    views = {
        "nobody": [],
        "one": [head()],
        "aside": [head(x_m=0.1)],
        "two": [head(x_m=-0.2), head(x_m=0.2, face_id=1)],
        "again": [head()],
        "none": [],
    }
    for name, faces in views.items():
        for _repeat in range(25):
            window.update(view_of(*faces))
            window.tick()
        kept[name] = window.capture()
        if name == "one":
            for side, yaw in (("from_left", -50.0), ("from_right", 50.0)):
                turn(window, yaw)
                kept[side] = window.capture()
            turn(window, 0.0)
    on_end = np.full((900, 300, 3), (0, 0, 255), np.uint8)
    for _repeat in range(3):
        window.update(ViewFrame(on_end, [], 0, FIGURES))
        window.tick()
    kept["picture_on_end"] = window.capture()
    window.close()
    return kept


def turn(window: FaceWindow, yaw_deg: float) -> None:
    """As the mouse would."""
    control = window._window.get_view_control()
    parameters = control.convert_to_pinhole_camera_parameters()
    extrinsic = np.array(parameters.extrinsic)
    extrinsic[:3, :3] = orbit(yaw_deg)
    parameters.extrinsic = extrinsic
    control.convert_from_pinhole_camera_parameters(parameters, allow_arbitrary=True)


def keys(_: str) -> dict[str, np.ndarray]:
    """Every key and the mouse, through the X server."""
    window = FaceWindow(*SIZE, sways=False)
    view = view_of(head())

    def settle() -> None:
        for _ in range(4):
            window.update(view)
            window.tick()
            time.sleep(0.02)

    def xdo(*arguments: str) -> None:
        subprocess.run(["xdotool", *arguments], check=True)
        settle()

    settle()
    xdo("mousemove", "400", "300")
    kept = {"mesh": window.capture()}
    for name in ("wireframe", "points", "mesh_again"):
        xdo("key", "m")
        kept[name] = window.capture()
    for key, name in (("d", "depth"), ("d", "video"), ("l", "lit"), ("l", "unlit"), ("h", "help")):
        xdo("key", key)
        kept[name] = window.capture()
    xdo("key", "h")
    xdo("mousedown", "1")
    for x in range(400, 520, 20):
        xdo("mousemove", str(x), "300")
    xdo("mouseup", "1")
    kept["turned"] = window.capture()
    xdo("key", "r")
    kept["reset"] = window.capture()
    for letter in "fsvcxpo":
        xdo("key", letter)
    kept["commands"] = np.array(window.poll_commands())
    xdo("key", "f")
    kept["before_all"] = window.capture()
    for key in (*"abegijknoptuwyz1234567890", "bracketleft", "bracketright", "semicolon"):
        xdo("key", key)
    xdo("key", "Print")
    kept["after_all"] = window.capture()
    window.poll_commands()
    window._sways = True
    xdo("key", "r")
    kept["sway_0"] = window.capture()
    time.sleep(0.8)
    settle()
    kept["sway_1"] = window.capture()
    xdo("mousedown", "1")
    xdo("mousemove", "430", "300")
    xdo("mouseup", "1")
    kept["sway_2"] = window.capture()
    time.sleep(0.8)
    settle()
    kept["sway_3"] = window.capture()
    xdo("key", "q")
    kept["quit"] = np.array(window.poll_commands())
    xdo("key", "Escape")
    kept["open"] = np.array(window.tick())
    window.close()
    window.close()
    return kept


def main() -> None:
    """Run a scenario and keep what it saw."""
    scenario, out = sys.argv[1], Path(sys.argv[2])
    cv2.setNumThreads(1)
    run = {"clip": clip, "still": still, "keys": keys}[scenario]
    kept: dict[str, Any] = dict(run(sys.argv[3] if len(sys.argv) > 3 else ""))
    np.savez(out, **kept)


if __name__ == "__main__":
    main()
