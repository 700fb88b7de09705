from __future__ import annotations

import json
import logging
from pathlib import Path

import av
import cv2
import pytest

from rtrecon.errors import ArgumentError, OutputError
from rtrecon.output import Run
from rtrecon.outputs.record import RecordOutput, write_snapshot
from tests.draw.heads import head, view_of
from tests.outputs.doubles import result


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as video:
        return [float(frame.time) for frame in video.decode(video=0)]


def at(seconds: float) -> int:
    return 7_000_000_000 + round(seconds * 1e9)


@pytest.mark.parametrize("paced", [True, False])
def test_each_picture_has_its_own_time(tmp_path: Path, paced: bool) -> None:
    """Frames that were left out do not make it shorter, and close ones not longer."""
    recorder = RecordOutput(tmp_path)
    recorder.open(Run(rate_hz=20.0, paced=paced))
    times_s = [0.0, 0.05, 0.1, 0.5, 0.51, 0.52, 1.0, 1.95]
    for k, t_s in enumerate(times_s):
        recorder.write(result(k, t_capture_ns=at(t_s)))
    recorder.close()
    assert times_of(tmp_path / "preview.mp4") == pytest.approx(times_s, abs=1e-4)
    rows = [json.loads(row) for row in (tmp_path / "poses.jsonl").read_text("utf-8").splitlines()]
    assert [row["t_s"] for row in rows] == pytest.approx(times_s)
    assert [row["t_capture_ns"] for row in rows] == [at(t) for t in times_s]
    assert [row["frame"] for row in rows] == list(range(8))


def test_a_rate_thins_the_video_alone(tmp_path: Path) -> None:
    recorder = RecordOutput(tmp_path, rate_hz=10.0)
    recorder.open(Run(rate_hz=20.0, paced=False))
    for k in range(10):
        recorder.write(result(k, t_capture_ns=at(k / 20)))
    recorder.close()
    shown = times_of(tmp_path / "preview.mp4")
    assert shown == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=1e-4)
    assert len((tmp_path / "poses.jsonl").read_text("utf-8").splitlines()) == 10


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


def test_a_snapshot_is_a_picture_and_each_face(tmp_path: Path) -> None:
    paths = write_snapshot(tmp_path / "new", view_of(head(), head(x_m=0.2, face_id=1)))
    names = [p.name.split("-")[-1] for p in paths]
    assert names == [
        "picture.png",
        "face0.ply",
        "face1.ply",
        *(
            f"{name}{k}.{suffix}"
            for k in (0, 1)
            for name, suffix in (("face", "glb"), ("head", "png"))
        ),
    ]
    assert cv2.imread(str(paths[0])) is not None
    assert all(p.read_bytes().startswith(b"ply") for p in paths[1:3])
    assert paths[3].read_bytes().startswith(b"glTF")
    cut = cv2.imread(str(paths[4]), cv2.IMREAD_UNCHANGED)
    assert cut.shape[2] == 4
    assert cut[0, 0, 3] == 0
    assert cut[450, 450, 3] == 255
    rim = (cut[..., 3] > 100) & (cut[..., 3] < 250)
    assert cut[rim][:, 2].mean() > 120  # skin, without the dark behind it
