"""Figures of expressions beside the peer's; the peer itself does not run here."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from compare_expressions import (
    MESH_68,
    WATCHED,
    Labels,
    clip_figures,
    correlation,
    markdown,
    peer_answer,
    read_clip,
)

NAMES = [
    *dict.fromkeys(name for kind in WATCHED.values() for name in kind),
    *(f"eyeLook{way}{side}" for way in ("In", "Out") for side in ("Left", "Right")),
]
LABELS = Labels(closed=[6, 7], open=[0, 1, 2, 3, 4, 5], smile=[8, 9, 10], nosmile=[0, 2, 5])


def clip() -> np.ndarray:
    """(12, k): a blink, then a smile, as the labels say."""
    values = np.zeros((12, len(NAMES)))
    values[6:8, [NAMES.index(n) for n in WATCHED["blink"]]] = 0.8
    values[8:11, [NAMES.index(n) for n in WATCHED["smile"]]] = 0.6
    return values


def test_who_sees_tells_the_frames_apart() -> None:
    values = clip()
    judge = dict(zip(NAMES, values.T, strict=True))
    figures = clip_figures(NAMES, values, LABELS, judge)
    assert figures["lids"] == figures["smile"] == 1.0
    assert figures["trembling"] == 0.0
    assert figures["spread smile"] == pytest.approx(values[:, NAMES.index("mouthSmileLeft")].std())
    assert figures["with the peer smile"] == pytest.approx(1.0)
    constant = clip_figures(NAMES, np.full_like(values, 0.3), LABELS, judge)
    assert constant["lids"] == constant["smile"] == 0.5
    assert constant["with the peer blink"] == 0.0


def test_frames_without_a_face_are_left_out() -> None:
    values = clip()
    values[[1, 7]] = np.nan
    figures = clip_figures(NAMES, values, LABELS, dict(zip(NAMES, clip().T, strict=True)))
    assert figures["frames"] == 10
    assert figures["lids"] == 1.0
    assert all(np.isfinite(list(figures.values())))


def test_correlation_of_what_both_know() -> None:
    a = np.array([0.0, 1.0, np.nan, 2.0])
    assert correlation(a, np.array([1.0, 3.0, 9.0, 5.0])) == pytest.approx(1.0)
    assert correlation(a, np.ones(4)) == 0.0


def test_the_peers_frame_becomes_ours() -> None:
    """Its face is turned about y up: to its own left. Ours is y down, own right above zero."""
    R = cv2.Rodrigues(np.radians([0.0, 30.0, 0.0]))[0]
    said = {
        "names": np.array(["jawOpen"]),
        "values": np.float32([[0.25]]),
        "points": np.arange(956, dtype=np.float32).reshape(1, 478, 2),
        "rotations": R[None].astype(np.float32),
    }
    answer = peer_answer(said, 0)
    assert answer.expression is not None
    assert answer.expression["jawOpen"] == 0.25
    assert answer.R_camera_face is not None
    # Its own left is the picture's right: the way it looks, -z, has x above zero.
    assert -answer.R_camera_face[0, 2] == pytest.approx(0.5, abs=1e-6)
    assert answer.landmarks68_px is not None
    assert len(set(MESH_68)) > 60
    np.testing.assert_array_equal(answer.landmarks68_px[30], said["points"][0, 4])


def test_table_and_files(tmp_path: Path) -> None:
    table = markdown({"ours": {"frames": 3.0, "lids": 0.51234}}).splitlines()
    assert table == ["| | frames | lids |", "|---|---|---|", "| ours | 3 | 0.512 |"]
    path = tmp_path / "a.labels.json"
    path.write_text(json.dumps({"closed": [1], "open": [2], "smile": [3], "nosmile": [4]}))
    assert Labels.load(path).smile == [3]
    with pytest.raises(OSError, match="video"):
        read_clip(path)
