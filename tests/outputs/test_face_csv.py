"""Takes as CSV: header, time code, a line a result."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rtrecon.avatar.csv_rows import HEADER, csv_row, time_code
from rtrecon.avatar.frame import AvatarFrame
from rtrecon.errors import ArgumentError, OutputError
from rtrecon.output import Run
from rtrecon.outputs.registry import make_output
from rtrecon.result import LiveResult
from rtrecon.types import Frame
from tests.avatar.faces import PICTURE, face, sample


@pytest.mark.parametrize(
    ("time_s", "code"),
    [
        (0.0, "00:00:00:00.000"),
        (0.5, "00:00:00:30.000"),
        (1 / 48, "00:00:00:01.250"),
        (3725.0, "01:02:05:00.000"),
        (59.9999999, "00:01:00:00.000"),
        (86400.0 + 1.0, "00:00:01:00.000"),
    ],
)
def test_time_codes(time_s: float, code: str) -> None:
    assert time_code(time_s) == code


def test_a_row() -> None:
    row = dict(zip(HEADER.split(","), csv_row(sample(), 2.0).split(","), strict=True))
    assert (row["Timecode"], row["BlendShapeCount"]) == ("00:00:02:00.000", "61")
    assert float(row["EyeBlinkLeft"]) == pytest.approx(0.9)
    assert float(row["HeadYaw"]) == pytest.approx(-0.349066, abs=1e-5)  # own right is negative
    assert float(row["LeftEyeYaw"]) == pytest.approx(0.279253, abs=1e-5)  # own left positive
    assert list(row)[2:5] == ["EyeBlinkLeft", "EyeLookDownLeft", "EyeLookInLeft"]
    assert list(row)[53] == "TongueOut"


def test_without_a_face() -> None:
    values = csv_row(AvatarFrame.neutral(), 0.0).split(",")
    assert len(values) == len(HEADER.split(",")) == 63
    assert values[1] == "0"
    assert set(values[2:]) == {"0.0000000"}


def test_a_film_becomes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "take.csv"
    output = make_output(f"csv:{path}?calibrate=0")
    output.open(Run())
    for k in range(5):
        picture = Frame(PICTURE, k, 1000 + k, t_media_ns=round(k * 1e9 / 30))
        output.write(LiveResult(picture, [face(jawOpen=k / 4)], 1.0))
        assert not path.exists()
    output.close()
    with path.open(encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    assert [row["Timecode"] for row in rows[:2]] == ["00:00:00:00.000", "00:00:00:02.000"]
    assert [float(row["JawOpen"]) for row in rows][::4] == [0.0, 1.0]


def test_a_camera_has_the_time_of_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtrecon.outputs.face_csv._time_of_day_s", lambda: 7200.0)
    path = tmp_path / "take.csv"
    output = make_output(f"csv:{path}")
    output.open(Run())
    for k in range(2):
        output.write(LiveResult(Frame(PICTURE, k, 10**12 + k * 10**9), [face()], 1.0))
    output.close()
    lines = path.read_text(encoding="ascii").splitlines()
    assert [line[:15] for line in lines[1:]] == ["02:00:00:00.000", "02:00:01:00.000"]


def test_places_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="needs a target"):
        make_output("csv")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make folder"):
        make_output(f"csv:{tmp_path / 'file' / 'take.csv'}").open(Run())


def test_a_file_that_is_there_is_lost_only_by_the_word(tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    path.write_text("precious", encoding="ascii")
    with pytest.raises(OutputError, match="overwrite=1"):
        make_output(f"csv:{path}").open(Run())
    assert path.read_text(encoding="ascii") == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["take.csv"]
    output = make_output(f"csv:{path}?overwrite=1")
    output.open(Run())
    output.close()
    assert path.read_text(encoding="ascii").splitlines() == [HEADER]


def test_a_file_that_came_meanwhile_stays_and_so_do_the_lines(tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    output = make_output(f"csv:{path}")
    output.open(Run())
    path.write_text("of another", encoding="ascii")
    with pytest.raises(OutputError, match="came to be there") as raised:
        output.close()
    assert path.read_text(encoding="ascii") == "of another"
    part = Path(str(raised.value).rpartition(" ")[2])
    assert part.read_text(encoding="ascii").splitlines() == [HEADER]
