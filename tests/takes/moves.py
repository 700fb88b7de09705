"""Results of a person who moves, as a camera or a film would give them; and takes of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.avatar.rotations import from_angles, to_matrix
from rtrecon.expression.gaze import gaze_of
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.output import Output, Run
from rtrecon.outputs.take import TakeOutput
from rtrecon.result import LiveResult
from rtrecon.takes.replay import RecordedFace
from rtrecon.takes.row import TakenFace
from rtrecon.types import Expression, Frame, Intrinsics

SIZE_PX = (64, 48)
CAMERA = Intrinsics(70.1, 70.3, 31.5, 23.5, *SIZE_PX, dist=(0.1, -0.02, 0.0, 0.003))
NAMES = ARKIT_NAMES[:51]


def taken(t_s: float, seed: int = 0, id: int = 0) -> TakenFace:  # noqa: A002
    noise = np.random.default_rng(seed)
    T = np.eye(4)
    turn = [0.3 * math.sin(t_s * speed) for speed in (2.0, 3.0, 1.5)]
    T[:3, :3] = to_matrix(from_angles(*turn))
    T[:3, 3] = (0.02 * math.sin(t_s), 0.01 * t_s, 0.5 + 0.03 * math.cos(t_s))
    expression = Expression(NAMES, noise.random(51, dtype=np.float32))
    gaze = gaze_of(expression, T)
    assert gaze is not None
    return TakenFace(
        id=id,
        score=0.99,
        box_px=np.array([20, 10, 44, 40], dtype=np.float32) + noise.random(4, dtype=np.float32),
        landmarks_px=(20 + 20 * noise.random((5, 2), dtype=np.float32)),
        z_ref_m=0.1 + 0.2,
        T_camera_face=T,
        expression=expression,
        gaze=(gaze.left, gaze.right),
        landmarks68_px=40 * noise.random((68, 2), dtype=np.float32),
        landmarks68_camera=noise.random((68, 3), dtype=np.float32),
    )


def results(
    count: int = 12, *, is_film: bool = False, gone: Sequence[int] = (), rate_hz: float = 30.0
) -> list[LiveResult]:
    """``gone``: in which of them there is nobody. Indices have gaps, as of pictures dropped."""
    made = []
    for k in range(count):
        t_ns = 7_000_000_000 + round(k * 1e9 / rate_hz) + 13 * k * k
        image = np.full((SIZE_PX[1], SIZE_PX[0], 3), 10 * k % 256, dtype=np.uint8)
        frame = Frame(
            image,
            2 * k + 5,
            900_000_000_000_000 + t_ns,
            t_media_ns=t_ns - 7_000_000_000 if is_film else None,
        )
        faces = [] if k in gone else [RecordedFace(taken(k / rate_hz, k), CAMERA)]
        made.append(LiveResult(frame, faces, 5.0))
    return made


def record(
    folder: Path,
    made: Iterable[LiveResult],
    *others: Output,
    video: bool = False,
    **of_run: Any,
) -> Path:
    """A take of these results, which the other outputs of the run get too; its folder."""
    run = Run(source="camera 0", width=64, height=48, rate_hz=30.0, model="face-dpt", **of_run)
    outputs = [TakeOutput(folder, video=video), *others]
    for output in outputs:
        output.open(run)
    for result in made:
        for output in outputs:
            output.write(result)
    for output in outputs:
        output.close()
    return folder
