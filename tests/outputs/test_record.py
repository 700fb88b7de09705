from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtrecon.errors import ArgumentError, OutputError
from rtrecon.output import Run
from rtrecon.outputs.record import RecordOutput, unused_folder, write_snapshot
from tests.draw.heads import head, view_of
from tests.outputs.doubles import result


def pictures_of(path: Path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(path))
    pictures = []
    while True:
        ok, image = video.read()
        if not ok:
            return pictures
        pictures.append(image)


def at(seconds: float) -> int:
    return 7_000_000_000 + round(seconds * 1e9)


def test_a_paced_recording_is_as_long_as_what_it_shows(tmp_path: Path) -> None:
    """Frames that were left out do not make it shorter, and close ones not longer."""
    recorder = RecordOutput(tmp_path)
    recorder.open(Run(rate_hz=20.0, paced=True))
    times_s = [0.0, 0.05, 0.1, 0.5, 0.51, 0.52, 1.0, 1.95]
    for k, t_s in enumerate(times_s):
        recorder.write(result(k, t_capture_ns=at(t_s)))
    recorder.close()
    assert len(pictures_of(tmp_path / "preview.mp4")) == 40  # two seconds at 20 Hz
    rows = (tmp_path / "poses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(row)["t_capture_ns"] for row in rows] == [at(t) for t in times_s]


def test_a_recording_of_every_frame_has_each_once(tmp_path: Path) -> None:
    recorder = RecordOutput(tmp_path, rate_hz=10.0)
    recorder.open(Run(rate_hz=20.0, paced=False))
    for k in range(5):
        recorder.write(result(k, t_capture_ns=at(k * 3.0)))
    recorder.close()
    video = cv2.VideoCapture(str(tmp_path / "preview.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10.0)
    assert len(pictures_of(tmp_path / "preview.mp4")) == 5


def test_the_faces_are_those_of_the_last_frame_with_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = RecordOutput(tmp_path)
    recorder.open(Run())
    recorder.write(result(0, [head(face_id=1)]))
    recorder.write(result(1, [head(face_id=2), head(x_m=0.3, face_id=3)]))
    recorder.write(result(2))
    with caplog.at_level(logging.INFO, "rtrecon"):
        recorder.close()
    names = ["face2.ply", "face3.ply", "poses.jsonl", "preview.mp4"]
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert {Path(r.args[0]).name for r in caplog.records} == set(names)  # type: ignore[index, arg-type]


def test_what_cannot_be_written_is_said_when_it_is_opened(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot make folder"):
        RecordOutput(blocked / "sub").open(Run())
    with pytest.raises(ArgumentError, match="rate_hz"):
        RecordOutput(tmp_path, rate_hz=0)


def test_a_second_recording_leaves_the_first_alone(tmp_path: Path) -> None:
    first = unused_folder(tmp_path / "out")
    assert first == tmp_path / "out"
    recorder = RecordOutput(first)
    recorder.open(Run())
    second = unused_folder(first)  # while the first goes on
    assert second.parent == first
    recorder.close()
    assert unused_folder(first).parent == first
    assert (first / "poses.jsonl").exists()


def test_a_snapshot_is_a_picture_and_each_face(tmp_path: Path) -> None:
    paths = write_snapshot(tmp_path / "new", view_of(head(), head(x_m=0.2, face_id=1)))
    assert [p.name.split("-")[-1] for p in paths] == ["picture.png", "face0.ply", "face1.ply"]
    assert cv2.imread(str(paths[0])) is not None
    assert all(p.read_bytes().startswith(b"ply") for p in paths[1:])
