"""Takes that are played: the same results, times and datagrams, again and again."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import rtrecon
from rtrecon.avatar.profile import CalibrationProfile, HeadRest
from rtrecon.avatar.rotations import from_angles
from rtrecon.expression.calibration import Calibration
from rtrecon.expression.names import ARKIT_NAMES
from rtrecon.output import Output
from rtrecon.outputs.registry import make_output
from rtrecon.profiles import ProfileStore
from rtrecon.takes.folder import Take
from rtrecon.takes.replay import RecordedFace
from rtrecon.takes.source import TakeSource
from tests.outputs.doubles import PATIENCE_S, Noted
from tests.takes.moves import record, results

PROTOCOLS = ("vmc", "livelink", "openseeface", "ifacialmocap", "osc")
Run = Callable[..., tuple[int, str, str]]


class Receiver:
    """Keeps all datagrams that come to a port of this machine."""

    def __init__(self, socket_: socket.socket) -> None:
        self._socket = socket_
        self.port = int(socket_.getsockname()[1])
        self.datagrams: list[bytes] = []
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        while (data := self._socket.recv(65536)) != b"end":
            self.datagrams.append(data)

    def end(self) -> list[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.sendto(b"end", ("127.0.0.1", self.port))
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.datagrams


@contextmanager
def receivers(count: int) -> Iterator[list[Receiver]]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        yield [Receiver(each) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def names(receivers: list[Receiver], options: str = "") -> list[str]:
    pairs = zip(PROTOCOLS, receivers, strict=True)
    return [f"{name}:127.0.0.1:{receiver.port}{options}" for name, receiver in pairs]


@pytest.mark.parametrize("is_film", [False, True])
@pytest.mark.parametrize("options", ["", "?mirror=1&gain=1.5&lids=link", "?calibrate=0"])
def test_a_replay_sends_what_the_run_sent(tmp_path: Path, is_film: bool, options: str) -> None:
    made = results(14, is_film=is_film, gone=range(3, 12), rate_hz=10)  # long enough to be lost
    with receivers(5) as live, receivers(5) as first, receivers(5) as second:
        outputs: list[Output] = [make_output(name) for name in names(live, options)]
        take = record(tmp_path / "take", made, *outputs)
        for again in (first, second):
            with rtrecon.live(take, outputs=names(again, options), every_frame=True) as session:
                session.wait()
            assert [o["written"] for o in session.stats()["outputs"]] == [14] * 5
            assert not session.has_failed
        for own, *others in zip(live, first, second, strict=True):
            sent = own.end()
            assert len(sent) >= 5
            assert [other.end() for other in others] == [sent, sent]


def test_a_replay_starts_from_the_calibration_of_its_recording(
    tmp_path: Path, config_folder: Path
) -> None:
    neutral = Calibration.at_rest(ARKIT_NAMES, np.full((1, 52), 0.1234, dtype=np.float32))
    rest = HeadRest(from_angles(0.11, -0.02, 0.03), (0.012, -0.034, 0.567))
    ProfileStore().save("Webcam", "me", CalibrationProfile(rest, neutral, frozenset(["jawOpen"])))
    with receivers(5) as live, receivers(5) as again, receivers(5) as other:
        outputs: list[Output] = [make_output(name) for name in names(live)]
        take = record(tmp_path / "take", results(6), *outputs, device="Webcam", person="me")
        kept = Take(take).info.calibration
        assert kept is not None
        assert kept["head"]["position_m"] == [0.012, -0.034, 0.567]
        ProfileStore().forget("me")
        for receiver, person in ((again, None), (other, "nobody yet")):
            outs = names(receiver)
            with rtrecon.live(take, outputs=outs, every_frame=True, person=person) as session:
                session.wait()
        for own, same, different in zip(live, again, other, strict=True):
            sent = own.end()
            assert same.end() == sent
            assert different.end() != sent


def test_a_calibration_that_cannot_be_used(tmp_path: Path) -> None:
    take = record(tmp_path / "take", results(3))
    data = json.loads((take / "take.json").read_text())
    (take / "take.json").write_text(json.dumps({**data, "calibration": {"format": "mine"}}))
    with pytest.raises(rtrecon.NoOutputError, match="the calibration of the take: it is no"):
        rtrecon.live(take, outputs=["vmc"]).__enter__()


def test_at_its_own_rate_all_of_it_is_sent_too(tmp_path: Path) -> None:
    take = record(tmp_path / "take", results(6))
    noted = Noted("own")
    noted.needs_pictures = False
    with rtrecon.live(take, outputs=[noted]) as session:
        session.wait()
    assert noted.indices == [5, 7, 9, 11, 13, 15]
    assert noted.run.is_replay
    assert not noted.run.has_pictures


def test_a_slow_output_makes_a_replay_wait_but_a_view_does_not(tmp_path: Path) -> None:
    take = record(tmp_path / "take", results(30), video=True)
    slow, view = Noted("slow"), Noted("view")
    view.is_view = True
    view.gate.clear()  # does not come to its second frame before all is over
    config = rtrecon.ReconstructorConfig(model=Path("none"))
    slow.needs_pictures = view.needs_pictures = False
    with rtrecon.live(take, outputs=[slow, view], every_frame=True, config=config) as session:
        slow.wait_for(5 + 2 * 29)
        view.gate.set()
        session.wait()
    assert len(slow.indices) == 30
    assert len(view.indices) < 30


def test_what_is_recorded_of_a_replay_is_the_same(tmp_path: Path) -> None:
    first = record(tmp_path / "first", results(9, gone=(0, 4)))
    with rtrecon.live(first, outputs=[f"take:{tmp_path / 'second'}?video=0"]) as session:
        session.wait()
    lines = [
        [json.loads(line) for line in (tmp_path / name / "frames.jsonl").read_text().splitlines()]
        for name in ("first", "second")
    ]
    for row in lines[0] + lines[1]:
        assert row.pop("t_capture_ns") > 0
    assert lines[0] == lines[1]


def test_over_and_over_its_times_go_on(tmp_path: Path) -> None:
    take = record(tmp_path / "take", results(4))
    with rtrecon.live(take, loop=True, every_frame=True, max_frames=10) as session:
        times = [r.frame.t_media_ns for r in session]
    assert times == sorted(times)
    source = TakeSource(Take(take), pictures=False, loop=True)
    seen = [source.read() for _ in range(9)]
    steps = np.diff([frame.t_media_ns for frame in seen if frame is not None])
    assert len(steps) == 8
    assert steps == pytest.approx(1e9 / 30, rel=1e-4)


# With pictures


@pytest.fixture(scope="module")
def filmed(dome_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("takes") / "filmed"
    config = rtrecon.ReconstructorConfig(model=dome_model, threads=1)
    with rtrecon.live("demo", outputs=[f"take:{folder}"], config=config, max_frames=8) as session:
        session.wait()
    return folder


def test_surfaces_are_made_anew_where_somebody_looks(filmed: Path, dome_model: Path) -> None:
    config = rtrecon.ReconstructorConfig(model=dome_model, threads=1)
    rows = [row for row in Take(filmed).rows() if row is not None]
    seen: list[rtrecon.LiveResult] = []

    class Looking(Noted):
        every_result = True

        def write(self, result: rtrecon.LiveResult) -> None:
            seen.append(result)

    with rtrecon.live(filmed, outputs=[Looking()], config=config) as session:
        session.wait()
        assert session.stats()["model"] == "dome"
    assert [r.frame.index for r in seen] == [row.index for row in rows] == list(range(8))
    with rtrecon.open_source("demo") as demo:
        for result, row, original in zip(seen, rows, demo, strict=False):
            (face,) = result.faces
            assert face.T_camera_face.tobytes() == row.faces[0].T_camera_face.tobytes()
            assert face.landmarks_px.tobytes() == row.faces[0].landmarks_px.tobytes()
            assert len(face.points_camera) > 1000
            nose = face.T_camera_face[:3, 3]
            assert np.abs(face.points_camera.mean(axis=0) - nose).max() < 0.1
            difference = result.frame.image.astype(int) - original.image
            assert np.abs(difference).mean() < 6.0  # H.264
    assert not isinstance(seen[0].faces[0], RecordedFace)


def test_a_face_keeps_its_size(dome_model: Path, tmp_path: Path) -> None:
    config = rtrecon.ReconstructorConfig(model=dome_model, threads=1, ipd_mm=70.0)
    take = tmp_path / "take"
    with rtrecon.live("demo", outputs=[f"take:{take}"], config=config, max_frames=2) as session:
        session.wait()
    assert Take(take).info.ipd_mm == 70.0
    recorded = [row.faces[0].z_ref_m for row in Take(take).rows() if row is not None]
    plain = rtrecon.ReconstructorConfig(model=dome_model, threads=1)
    assert plain.ipd_mm == 63.0
    with rtrecon.live(take, config=plain, every_frame=True) as session:
        for result in session:
            distance = recorded[result.frame.index]
            assert result.faces[0].z_ref_m == pytest.approx(distance, rel=0.02)
        assert session.stats()["ipd_mm"] == 70.0


def test_nobody_looks_and_nothing_is_computed(filmed: Path, tmp_path: Path) -> None:
    config = rtrecon.ReconstructorConfig(model=tmp_path / "no model")
    outputs = [f"csv:{tmp_path / 'take.csv'}"]
    with rtrecon.live(filmed, outputs=outputs, config=config) as session:
        (result, *_) = list(session)
    assert session.stats()["stage_ms"]["depth"]["p95"] == 0.0
    assert result.frame.image.shape == (480, 640, 3)
    assert not result.frame.image.any()
    with pytest.raises(rtrecon.UserError, match="has no surface"):
        _ = result.faces[0].points_camera
    with pytest.raises(AttributeError):
        _ = result.faces[0].nonsense  # type: ignore[attr-defined]


def test_odd_sizes(tmp_path: Path) -> None:
    made = results(5)
    for result in made:
        picture = np.full((47, 63, 3), 100, dtype=np.uint8)
        object.__setattr__(result.frame, "image", picture)
    take = record(tmp_path / "take", made, video=True)
    source = TakeSource(Take(take), pictures=True)
    frames = list(source)
    assert [frame.image.shape for frame in frames] == [(47, 63, 3)] * 5
    assert frames[4].image.mean() == pytest.approx(100, abs=4)


def test_the_pictures_of_a_take_are_a_film_too(filmed: Path) -> None:
    with rtrecon.open_source(filmed) as source:
        assert len(list(source)) == 8
        assert not source.is_recorded


# On the command line


def test_an_output_that_needs_pictures(tmp_path: Path, run_cli: Run) -> None:
    take = record(tmp_path / "take", results(3))
    code, _, err = run_cli("run", take, "--view", "none", "--out", f"record:{tmp_path / 'seen'}")
    assert code == 2
    assert f"record:{tmp_path / 'seen'}: it needs the pictures of {take}, which has none" in err
    code, _, err = run_cli(
        "run", take, "--view", "none", "--out", f"record:{tmp_path / 'seen'}",
        "--out", f"csv:{tmp_path / 'take.csv'}",
    )  # fmt: skip
    assert code == 1
    assert "needs the pictures" in err
    assert len((tmp_path / "take.csv").read_text().splitlines()) == 4


def test_no_window_for_a_take_without_pictures(
    tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtrecon.outputs.window.output import WindowOutput

    monkeypatch.setattr(WindowOutput, "missing", classmethod(lambda _: ""))
    take = record(tmp_path / "take", results(3))
    code, _, err = run_cli("run", take, "--out", f"csv:{tmp_path / 'take.csv'}")
    assert (code, "no window: the take" in err) == (0, True)
    code, _, err = run_cli("run", take / "take.json")
    assert code == 2
    assert "was recorded without pictures (video=0): name an output" in err


@pytest.mark.parametrize("options", [("--fov", "50"), ("--calibrate",), ("--ipd-mm", "70")])
def test_what_cannot_be_changed(tmp_path: Path, run_cli: Run, options: tuple[str, ...]) -> None:
    take = record(tmp_path / "take", results(3))
    code, _, err = run_cli("run", take, "--view", "none", "--out", "vmc", *options)
    assert code == 2
    assert "cannot be set for a take" in err
    assert "video.mp4" in err


def test_a_film_is_no_take(tmp_path: Path, run_cli: Run) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"film")
    code, _, errors = run_cli("take", str(tmp_path / "clip.mp4"))
    assert code == 2
    assert "is no take" in errors


def test_one_that_is_not_whole_is_said(tmp_path: Path, run_cli: Run) -> None:
    take = record(tmp_path / "take", results(3))
    info = json.loads((take / "take.json").read_text())
    words = "it was cut off, or is being recorded"
    for is_complete in (True, False):
        if not is_complete:
            (take / "take.json").write_text(json.dumps(info | {"complete": False, "frames": None}))
        code, _, errors = run_cli(
            "run", str(take), "--view", "none", "--out", f"csv:{tmp_path / 'a.csv'}?overwrite=1"
        )
        assert code == 0
        assert (words in errors) is not is_complete
