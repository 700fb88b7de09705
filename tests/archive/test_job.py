"""An archive made in this process: what is in it, and what is made again."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from rtrecon.archive.engine import HereEngine
from rtrecon.archive.inputs import find_inputs
from rtrecon.archive.job import ArchiveJob, Tally
from rtrecon.archive.tables import decode_depth, encode_depth
from rtrecon.archive.units import Options
from rtrecon.archive.work import Outcome, Task
from rtrecon.capture import open_source
from rtrecon.errors import RtreconError, UserError
from rtrecon.pipeline import Reconstructor
from tests.archive.films import demo_pictures, write_film

FACES = Path(__file__).parent.parent / "data" / "faces"


class Counting(HereEngine):
    """Notes what it did, and is interrupted before the task number ``end_at``."""

    def __init__(self, end_at: int | None = None) -> None:
        super().__init__()
        self.did: list[str] = []
        self._end_at = end_at

    def next_done(self) -> tuple[Task, Outcome]:
        if len(self.did) == self._end_at:
            raise KeyboardInterrupt
        task, outcome = super().next_done()
        self.did.append(task.kind)
        return task, outcome


def archive(
    path: Path, out: Path, options: Options, engine: Counting | None = None, **more: bool
) -> Tally:
    inputs, _ = find_inputs([str(path)], out)
    return ArchiveJob(inputs, options, out, **more).run(engine or Counting())


def test_tables_are_what_a_single_pass_gives(clip: Path, options: Options, tmp_path: Path) -> None:
    """With one segment to the bit."""
    asked = replace(options, segment_s=10.0, depth=True, mesh_every_s=0.5)
    assert archive(clip, tmp_path, asked).done == 1
    folder = tmp_path / "clip.mp4"
    faces = pq.read_table(folder / "faces.parquet")
    assert faces.schema.metadata == {
        b"rtrecon.table": b"archive.faces",
        b"rtrecon.version": b"1",
    }
    rows = faces.to_pylist()
    depths = pq.read_table(folder / "depth.parquet").to_pylist()
    with (
        Reconstructor(provider="cpu", threads=1) as recon,
        open_source(clip) as source,
    ):
        for frame, row, depth in zip(source, rows, depths, strict=True):
            (face,) = recon(frame)
            assert (row["frame"], row["t_ns"], row["id"]) == (frame.index, frame.t_media_ns, 0)
            T = face.T_camera_face
            assert row["T_camera_face"] == T.ravel().tolist()
            assert row["distance_m"] == pytest.approx(np.linalg.norm(T[:3, 3]))
            assert row["landmarks68_px"] == face.landmarks68_px.ravel().tolist()
            assert row["box_px"] == face.box_px.tolist()
            assert face.expression is not None
            assert {name: row[name] for name in face.expression} == dict(face.expression)
            kept = decode_depth(depth["png"], depth["unit_mm"])
            np.testing.assert_array_equal(np.isnan(kept), np.isnan(face.depth_m))
            assert np.nanmax(np.abs(kept - face.depth_m)) <= 0.51e-4
            M = np.reshape(depth["M_picture_crop"], (2, 3))
            np.testing.assert_array_equal(M, face.crop.M_picture_crop)
    assert set(face.expression) < set(faces.schema.names)
    assert len(face.expression) == 51
    frames = pq.read_table(folder / "frames.parquet").to_pylist()
    assert [row["frame"] for row in frames] == list(range(30))
    assert frames[0]["fx"] == pytest.approx(face.intrinsics.fx)
    meshes = sorted(path.name for path in (folder / "meshes").iterdir())
    assert meshes == ["00000000.face0.glb", "00000010.face0.glb", "00000020.face0.glb"]
    record = json.loads((folder / "video.json").read_text())
    assert record["pictures"] == record["with_face"] == 30
    assert record["made_with"]["provider"] == "cpu"
    page = (folder / "index.html").read_text()
    assert page.count("<svg") == 3
    assert "http" not in page
    assert not (tmp_path / ".work").exists()


def test_segments_are_joined_and_meshes_are_not_doubled(
    clip: Path, options: Options, tmp_path: Path
) -> None:
    asked = replace(options, mesh_every_s=0.8)
    archive(clip, tmp_path, asked)
    folder = tmp_path / "clip.mp4"
    faces = pq.read_table(folder / "faces.parquet")
    assert faces["frame"].to_pylist() == list(range(30))
    assert set(faces["id"].to_pylist()) == {0}
    assert pq.ParquetFile(folder / "faces.parquet").num_row_groups == 3
    # The second interval begins in the second segment, and the third segment is in it too.
    assert sorted(p.name for p in (folder / "meshes").iterdir()) == [
        "00000000.face0.glb",
        "00000016.face0.glb",
    ]


@pytest.fixture(scope="module")
def whole(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an archive of the clip gives that nothing interrupts."""
    full = tmp_path_factory.mktemp("whole")
    archive(clip, full, Options(segment_s=0.5, warm_up_s=0.2, provider="cpu"))
    return full


@pytest.mark.parametrize("end_at", [1, 3, 5])  # tasks: facts, scan, three pieces, join
def test_a_second_start_does_what_is_missing_and_no_more(
    end_at: int, clip: Path, options: Options, tmp_path: Path, whole: Path
) -> None:
    out = tmp_path / "out"
    first = Counting(end_at)
    with pytest.raises(KeyboardInterrupt):
        archive(clip, out, options, first)
    assert not (out / "clip.mp4").exists()
    second = Counting()
    archive(clip, out, options, second)
    assert second.did.count("make") == 3 - first.did.count("make")
    for name in ("faces.parquet", "frames.parquet", "video.json", "index.html"):
        assert (out / "clip.mp4" / name).read_bytes() == (whole / "clip.mp4" / name).read_bytes()
    third = Counting()
    assert archive(clip, out, options, third).there == 1
    assert third.did == []
    assert not (out / ".work").exists()


def test_what_a_killed_worker_left_is_no_piece(
    clip: Path, options: Options, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        archive(clip, tmp_path, options, Counting(3))
    (begun,) = (tmp_path / ".work").glob("clip.mp4.*")
    part = begun / "pieces" / ".00001.0123456789abcdef.part"
    part.mkdir()
    (part / "faces.parquet").write_bytes(b"PAR1 half")
    engine = Counting()
    archive(clip, tmp_path, options, engine)
    assert engine.did.count("make") == 2
    assert pq.read_table(tmp_path / "clip.mp4" / "faces.parquet").num_rows == 30


def test_other_options_do_not_mix(clip: Path, options: Options, tmp_path: Path) -> None:
    archive(clip, tmp_path, options)
    asked = replace(options, faces=2, mesh_every_s=1.0)
    with pytest.raises(UserError, match=r"made with another --faces, --mesh-every: .*--overwrite"):
        archive(clip, tmp_path, asked)
    assert archive(clip, tmp_path, replace(options, provider="auto")).there == 1
    assert archive(clip, tmp_path, asked, overwrite=True).done == 1
    assert json.loads((tmp_path / "clip.mp4" / "video.json").read_text())["made_with"]["faces"] == 2


def test_a_video_that_changed_is_made_again(
    clip: Path, options: Options, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = tmp_path / "a.mp4"
    shutil.copy(clip, film)
    out = tmp_path / "out"
    archive(film, out, options)
    write_film(film, demo_pictures(60, 8))
    assert archive(film, out, options).done == 1
    assert "has changed since" in caplog.text
    assert pq.read_table(out / "a.mp4" / "faces.parquet").num_rows == 8


def test_a_corrupt_video_is_said_and_the_others_are_done(
    clip: Path, options: Options, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(clip, folder / "b.mp4")
    (folder / "a.mp4").write_bytes(clip.read_bytes()[:3000])
    (folder / "c.mp4").write_bytes(b"")
    tally = archive(folder, tmp_path / "out", options)
    assert (tally.done, len(tally.failed)) == (1, 2)
    assert caplog.text.count("a.mp4 is not a video that can be read") == 1
    data = json.loads((tmp_path / "out" / "archive.json").read_text())
    assert [one["name"] for one in data["inputs"]] == ["b.mp4"]
    assert [Path(one["source"]).name for one in data["failed"]] == ["a.mp4", "c.mp4"]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "1 done, 2 failed" in page
    assert "c.mp4 is empty" in page


def test_pictures_that_are_damaged_in_the_middle_are_counted(
    clip: Path, options: Options, tmp_path: Path
) -> None:
    film = tmp_path / "in" / "a.mkv"
    film.parent.mkdir()
    write_film(film, demo_pictures(0, 30))
    data = bytearray(film.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    film.write_bytes(data)
    archive(film, tmp_path / "out", options)
    record = json.loads((tmp_path / "out" / "a.mkv" / "video.json").read_text())
    rows = pq.read_table(tmp_path / "out" / "a.mkv" / "frames.parquet")["frame"].to_pylist()
    assert rows == sorted(set(rows))
    assert 0 < len(rows) == record["pictures"] < 31


def test_pictures_are_rows_of_their_own(options: Options, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(FACES, folder)
    (folder / "0.jpg").write_bytes(b"\xff\xd8\xff no picture")
    tally = archive(folder, tmp_path / "out", replace(options, faces=4, mesh_every_s=1.0))
    assert tally.done == 1
    frames = pq.read_table(tmp_path / "out" / "in" / "frames.parquet").to_pylist()
    names = sorted(p.name for p in FACES.iterdir() if p.suffix in (".jpg", ".png"))
    assert sorted(row["picture"] for row in frames) == names
    faces = pq.read_table(tmp_path / "out" / "in" / "faces.parquet").to_pylist()
    assert len(faces) == sum(row["faces"] for row in frames) > 0
    assert {row["t_ns"] for row in faces} == {None}
    record = json.loads((tmp_path / "out" / "in" / "video.json").read_text())
    assert record["damaged"] == 1
    assert len(list((tmp_path / "out" / "in" / "meshes").iterdir())) == len(faces)


def test_a_full_disk_ends_it_with_nothing_half_written(
    clip: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pq.write_table
    calls = []

    def full(*arguments: object, **more: object) -> None:
        calls.append(1)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*arguments, **more)

    monkeypatch.setattr(pq, "write_table", full)
    engine = Counting()
    with pytest.raises(RtreconError, match="No space left") as error:
        archive(clip, tmp_path, options, engine)
    assert error.value.exit_code == 1
    (begun,) = (tmp_path / ".work").glob("clip.mp4.*")
    assert [p.name for p in (begun / "pieces").iterdir()] == ["00000"]
    monkeypatch.undo()
    again = Counting()
    archive(clip, tmp_path, options, again)
    assert again.did.count("make") == 2


def test_the_pictures_themselves_are_never_replaced(options: Options, tmp_path: Path) -> None:
    """``archive photos/pics --out photos``: the results would be where the pictures are."""
    pictures = tmp_path / "pics"
    pictures.mkdir()
    shutil.copy(FACES / "portrait.jpg", pictures)
    for more in ({}, {"overwrite": True}):
        with pytest.raises(UserError, match="pics is there, and no archive has made it"):
            archive(pictures, tmp_path, options, **more)
    assert (pictures / "portrait.jpg").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pics"]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mp4/notes.txt", "index.html", "archive.json"])
def test_what_no_archive_has_made_is_not_replaced(
    name: str, clip: Path, options: Options, tmp_path: Path
) -> None:
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(UserError, match="not replaced; give another --out"):
        archive(clip, tmp_path, options)
    assert mine.read_text() == "mine"


def test_what_came_there_meanwhile_is_not_replaced(
    clip: Path, options: Options, tmp_path: Path
) -> None:
    class Busy(Counting):
        def submit(self, task: Task) -> None:
            if task.kind == "join":
                (tmp_path / "clip.mp4").mkdir()
                (tmp_path / "clip.mp4" / "notes.txt").write_text("mine")
            super().submit(task)

    with pytest.raises(RtreconError, match="not replaced"):
        archive(clip, tmp_path, options, Busy())
    assert [path.name for path in (tmp_path / "clip.mp4").iterdir()] == ["notes.txt"]


def test_two_runs_on_one_folder_are_refused(clip: Path, options: Options, tmp_path: Path) -> None:
    from filelock import FileLock

    (tmp_path / ".work").mkdir()
    with FileLock(tmp_path / ".work" / "lock"), pytest.raises(UserError, match="another `rtrecon"):
        archive(clip, tmp_path, options)


def test_a_model_that_is_not_there_ends_it(clip: Path, options: Options, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no depth model 'none-such'"):
        archive(clip, tmp_path, replace(options, model="none-such"))


def test_far_faces_have_a_coarser_unit() -> None:
    depth = np.full((8, 8), np.nan, np.float32)
    depth[2:4, 2:4] = 12.345
    png, unit_mm = encode_depth(depth)
    assert unit_mm == 1.0
    assert np.nanmax(np.abs(decode_depth(png, unit_mm) - depth)) < 0.6e-3
    assert cv2.imdecode(np.frombuffer(png, np.uint8), -1).dtype == np.uint16
