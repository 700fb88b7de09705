"""Recording takes: what lies in the folder, and whose folder it is."""

from __future__ import annotations

import csv
import json
import math
from datetime import datetime
from pathlib import Path

import av
import numpy as np
import pytest

from rtrecon.errors import ArgumentError, OutputError
from rtrecon.output import Run
from rtrecon.outputs.registry import make_output
from rtrecon.outputs.take import TakeOutput
from rtrecon.takes.folder import Take
from tests.takes.moves import record, results, taken


def test_what_lies_in_the_folder(tmp_path: Path) -> None:
    take = record(tmp_path / "new" / "take", results(12, gone=(3,)), video=True)
    names = {path.name for path in take.iterdir()}
    assert names == {"take.json", "frames.jsonl", "coefficients.csv", "video.mp4"}
    data = json.loads((take / "take.json").read_text())
    assert (data["schema"], data["version"]) == ("rtrecon-take", 1)
    assert (data["source"], data["model"], data["fps"]) == ("camera 0", "face-dpt", 30.0)
    assert (data["width"], data["height"], data["clock"]) == (64, 48, "capture")
    assert (data["complete"], data["frames"], data["frames_with_face"]) == (True, 12, 11)
    assert data["duration_s"] == pytest.approx(11 / 30, abs=1e-5)
    assert data["calibration"] is None
    assert datetime.fromisoformat(data["started"]).tzinfo is not None
    assert "T_camera_face" in data["meaning"]
    rows = [json.loads(line) for line in (take / "frames.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows] == list(range(5, 29, 2))
    assert [row["tracked"] for row in rows] == [k != 3 for k in range(12)]
    assert rows[0]["t_ns"] == 0
    with av.open(str(take / "video.mp4")) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        times = [float(frame.time) for frame in video.decode(video=0)]
    assert times == pytest.approx([row["t_ns"] * 1e-9 for row in rows], abs=1e-4)


def test_the_table(tmp_path: Path) -> None:
    take = record(tmp_path / "take", results(3, gone=(1,), is_film=True))
    with (take / "coefficients.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["face"] for row in rows] == ["0", "", "0"]
    assert [row["time_s"] for row in rows] == ["0.000000", "0.033333", "0.066667"]
    assert set(rows[1].values()) == {"0.033333", "7", ""}
    face = taken(2 / 30, 2)
    assert face.expression is not None
    assert float(rows[2]["jawOpen"]) == pytest.approx(face.expression["jawOpen"], abs=1e-6)
    assert float(rows[2]["tongueOut"]) == 0.0
    assert float(rows[2]["head_pitch_deg"]) == pytest.approx(
        math.degrees(0.3 * math.sin(2 * 2 / 30)), abs=1e-5
    )
    assert float(rows[2]["head_z_m"]) == pytest.approx(face.T_camera_face[2, 3], abs=1e-6)


def test_a_film_keeps_its_own_times(tmp_path: Path) -> None:
    take = Take(record(tmp_path / "take", results(5, is_film=True)[2:]))
    assert take.info.clock == "film"
    assert take.info.duration_s == pytest.approx(2 / 30, abs=1e-5)
    rows = [row for row in take.rows() if row is not None]
    assert rows[0].t_ns == 66_666_667 + 13 * 4


def test_pictures_that_change_their_size(tmp_path: Path) -> None:
    made = results(4)
    object.__setattr__(made[2].frame, "image", np.zeros((24, 32, 3), dtype=np.uint8))
    take = Take(record(tmp_path / "take", made, video=True))
    assert [r.size_px for r in take.rows() if r] == [(64, 48), (64, 48), (32, 24), (64, 48)]


def test_a_take_is_not_overwritten_without_the_word(tmp_path: Path) -> None:
    take = record(tmp_path / "take", results(3), video=True)
    before = (take / "frames.jsonl").read_bytes()
    with pytest.raises(OutputError, match="holds a take: name another folder, or give overwrite=1"):
        TakeOutput(take).open(Run())
    assert (take / "frames.jsonl").read_bytes() == before
    output = make_output(f"take:{take}?overwrite=1&video=0")
    output.open(Run())
    output.close()
    assert not (take / "video.mp4").exists()
    assert Take(take).info.frames == 0


def test_nothing_else_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "frames.jsonl").write_text("mine")
    with pytest.raises(OutputError, match="is no take's"):
        TakeOutput(tmp_path, overwrite=True).open(Run())
    assert (tmp_path / "frames.jsonl").read_text() == "mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    record(tmp_path / "other", results(2))
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_a_take_that_is_played_or_recorded_is_not_overwritten(tmp_path: Path) -> None:
    take = record(tmp_path / "take", results(3))
    with pytest.raises(OutputError, match="is the take that is played"):
        TakeOutput(take, overwrite=True).open(Run(source=str(take)))
    running = TakeOutput(tmp_path / "running")
    running.open(Run())
    with pytest.raises(OutputError, match="is being recorded now"):
        TakeOutput(tmp_path / "running", overwrite=True).open(Run())
    running.close()


def test_the_word_must_be_right() -> None:
    with pytest.raises(ArgumentError, match="needs a target"):
        make_output("take")
    with pytest.raises(ArgumentError, match="no option 'force': it has video, overwrite"):
        make_output("take:x?force=1")
