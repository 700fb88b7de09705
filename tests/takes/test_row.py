"""Lines of a take: the same bits come back, and what is no line says why."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rtrecon.takes.row import TakenFace, TakeRow
from tests.takes.moves import CAMERA, SIZE_PX, taken

ROW = TakeRow(3, 100_000_000, 900_000_000_000_001, SIZE_PX, CAMERA, (taken(0.1), taken(0.2, 1, 7)))


def changed(**changes: Any) -> bytes:
    """The line with other values in its first face; None takes one away."""
    data = json.loads(ROW.to_line())
    for name, value in changes.items():
        data["faces"][0][name] = value
    return json.dumps(data).encode() + b"\n"


def bits(face: TakenFace) -> list[object]:
    arrays = (face.box_px, face.landmarks_px, face.T_camera_face, face.landmarks68_px)
    assert face.expression is not None
    return [
        *(None if a is None else (a.dtype, a.shape, a.tobytes()) for a in arrays),
        None if face.landmarks68_camera is None else face.landmarks68_camera.tobytes(),
        (face.expression.names, np.asarray(face.expression).tobytes()),
        (face.id, face.score, face.z_ref_m, face.gaze),
    ]


def test_the_same_bits_come_back() -> None:
    line = ROW.to_line()
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    read = TakeRow.from_line(line)
    for own, other in zip(ROW.faces, read.faces, strict=True):
        assert bits(own) == bits(other)
    assert (read.index, read.t_ns, read.t_capture_ns) == (3, 100_000_000, 900_000_000_000_001)
    assert (read.size_px, read.intrinsics) == (SIZE_PX, CAMERA)
    assert read.to_line() == line


def test_any_float_comes_back() -> None:
    noise = np.random.default_rng(0)
    for _ in range(50):
        values = noise.integers(0, 1 << 32, 136, dtype=np.uint32).view(np.float32)
        values[~(np.abs(values) < 1e9)] = 0.0  # also what is not finite
        points = values.reshape(68, 2)
        face = replace(taken(0.0), landmarks68_px=points)
        read = TakeRow.from_line(replace(ROW, faces=(face,)).to_line()).faces[0]
        assert read.landmarks68_px is not None
        assert read.landmarks68_px.tobytes() == points.tobytes()


def test_what_is_not_finite_is_null() -> None:
    T = np.eye(4)
    T[0, 3] = np.nan
    points = np.zeros((68, 2), dtype=np.float32)
    points[3] = (np.inf, -np.inf)
    line = replace(
        ROW, faces=(replace(taken(0.0), T_camera_face=T, landmarks68_px=points),)
    ).to_line()
    assert b"null" in line
    assert b"NaN" not in line
    assert b"inf" not in line
    face = TakeRow.from_line(line).faces[0]
    assert np.isnan(face.T_camera_face[0, 3])
    assert face.landmarks68_px is not None
    assert np.isnan(face.landmarks68_px[3]).all()


def test_what_a_model_does_not_give_is_null() -> None:
    bare = replace(
        taken(0.0), expression=None, gaze=None, landmarks68_px=None, landmarks68_camera=None
    )
    read = TakeRow.from_line(replace(ROW, faces=(bare,)).to_line()).faces[0]
    assert read.expression is read.gaze is read.landmarks68_px is read.landmarks68_camera is None


def test_nobody() -> None:
    read = TakeRow.from_line(replace(ROW, intrinsics=None, faces=()).to_line())
    assert (read.faces, read.intrinsics) == ((), None)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "Expecting value"),
        (b"{}\n", "size_px"),
        (b"[]\n", "not what it should be"),
        (ROW.to_line()[:200] + b"\n", "Expecting value"),
        (ROW.to_line().replace(b"0.99", b"NaN", 1), "NaN is no number"),
        (ROW.to_line().replace(b'"frame": 3', b'"frame": 3.5'), "whole number"),
        (ROW.to_line().replace(b'"frame": 3', b'"frame": 1e999'), "whole number"),
        (ROW.to_line().replace(b"[64, 48]", b"[64]"), "unpack"),
        (ROW.to_line().replace(b"[64, 48]", b"[64, 4800000]"), "whole number"),
        (ROW.to_line().replace(b"[64, 48]", b"[64, -48]"), "no pictures of 64x-48"),
        (ROW.to_line().replace(b"[64, 48]", b"[60000, 60000]"), "no pictures of 60000x60000"),
        (changed(box_px=[1, 2, 3]), "box_px has the shape"),
        (changed(box_px=[1, 2, 3, None]), "box_px has numbers that are none"),
        (changed(T_camera_face=[[1e30] * 4] * 4), "T_camera_face has numbers that cannot be"),
        (changed(T_camera_face="x"), "could not convert"),
        (changed(coefficients=[0.5]), "not what it should be"),
        (changed(coefficients={"jawOpen": "wide"}), "could not convert"),
        (changed(gaze={"left_yaw_rad": 1}), "left_pitch_rad"),
        (changed(landmarks68_px=[[1, 2]] * 67), "landmarks68_px has the shape"),
        (changed(id=True), "whole number"),
        (changed(score="high"), "no number"),
        (b"\xff\xfe\x00\n", "Expecting value"),
        (b"[" * 5000 + b"\n", "nested"),
    ],
)
def test_what_is_no_line(line: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TakeRow.from_line(line)
