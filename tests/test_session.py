from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtrecon
from rtrecon.avatar.stage import AvatarSettings
from rtrecon.capture.source import Source
from rtrecon.draw.video_file import VideoFile
from rtrecon.output import Command
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.profiles import ProfileStore
from rtrecon.session import LiveSession
from tests.outputs.doubles import PATIENCE_S, Noted


@pytest.fixture
def config(dome_model: Path) -> rtrecon.ReconstructorConfig:
    return rtrecon.ReconstructorConfig(model=dome_model, threads=1)


def no_threads_are_left() -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while [t for t in threading.enumerate() if t.name.startswith("rtrecon-")]:
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def test_iterating_gives_newer_and_newer_results(config: rtrecon.ReconstructorConfig) -> None:
    with rtrecon.live("demo", config=config, max_frames=12) as session:
        results = list(session)
        assert session.latest() is results[-1]
    indices = [result.frame.index for result in results]
    assert indices == sorted(set(indices))
    for result in results:
        assert result.frame.image.shape == (480, 640, 3)
        assert len(result.faces) == 1
        assert result.latency_ms > 0
        assert result.times.depth > 0
    assert session.stats()["frames_processed"] == 12
    assert session.stats()["outputs"] == []
    assert no_threads_are_left()


def test_a_callback_is_called_on_a_thread_of_its_own(config: rtrecon.ReconstructorConfig) -> None:
    seen: list[tuple[str, int]] = []

    def note(result: rtrecon.LiveResult) -> None:
        seen.append((threading.current_thread().name, len(result.faces)))

    with rtrecon.live("demo", config=config, on_result=note, max_frames=5) as session:
        session.wait()
    assert seen
    assert set(seen) == {("rtrecon-out-callback", 1)}


def test_outputs_by_name_and_as_objects(
    config: rtrecon.ReconstructorConfig, tmp_path: Path
) -> None:
    noted = Noted("own")
    outputs: Sequence[str | rtrecon.Output] = [f"record:{tmp_path / 'take'}", noted]
    with rtrecon.live("demo", outputs=outputs, config=config, max_frames=4) as session:
        session.wait()
    assert {p.name for p in (tmp_path / "take").iterdir()} >= {"preview.mp4", "face0.ply"}
    assert noted.run.source == "demo"
    assert (noted.run.width, noted.run.height) == (640, 480)
    assert noted.run.paced
    assert noted.calls[-1] == "close"
    assert [s["name"] for s in session.stats()["outputs"]] == ["record", "noted"]
    assert not session.has_failed


def test_a_file_that_is_only_recorded_is_recorded_whole(
    config: rtrecon.ReconstructorConfig,
) -> None:
    noted = Noted("all", every=True)
    with rtrecon.live("demo", outputs=[noted], config=config, max_frames=30) as session:
        session.wait()
    assert noted.indices == list(range(30))
    assert not noted.run.paced


def test_the_last_result_is_latest_while_nobody_takes_any(
    config: rtrecon.ReconstructorConfig,
) -> None:
    with rtrecon.live("demo", config=config, every_frame=True, max_frames=3) as session:
        deadline_s = time.monotonic() + PATIENCE_S
        while session.pipeline.running:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        latest = session.latest()
        assert latest is not None
        assert latest.frame.index == 2


def test_stop_ends_the_loop(config: rtrecon.ReconstructorConfig) -> None:
    with rtrecon.live("demo", config=config, loop=True) as session:
        for count, _ in enumerate(session):
            if count == 2:
                session.stop()
    assert no_threads_are_left()


def test_what_was_opened_is_closed_where_entering_fails(
    config: rtrecon.ReconstructorConfig,
) -> None:
    source = rtrecon.open_source("demo")
    with pytest.raises(rtrecon.NoOutputError, match="no output 'nowhere'"):
        rtrecon.live(source, outputs=["nowhere"], config=config).__enter__()
    assert not source.grab()
    assert no_threads_are_left()


def test_a_session_that_has_not_begun(config: rtrecon.ReconstructorConfig) -> None:
    with pytest.raises(rtrecon.OutputError, match="with"):
        rtrecon.live("demo", config=config).latest()


class Keys(Noted):
    """A window whose user presses one key after the other, each after another frame."""

    name = "keys"
    is_view = True

    def __init__(self, keys: Sequence[Command]) -> None:
        super().__init__(main=True)
        self._keys = list(keys)
        self.states: list[str] = []

    def write(self, result: rtrecon.LiveResult) -> None:
        super().write(result)
        self.states.append(self.run.figures(result).state)
        if len(self.indices) % 4 == 0 and self._keys:
            self.run.ask(self._keys.pop(0))


def test_keys_record_take_snapshots_and_end_the_run(
    config: rtrecon.ReconstructorConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = Keys(["snapshot", "record", "record", "record", "quit"])
    with rtrecon.live("demo", outputs=[keys], config=config) as session:
        session.wait()
    assert not session.has_failed
    folder = tmp_path / "rtrecon-out"
    names = {p.name.split("-")[-1] for p in folder.iterdir() if p.is_file()}
    assert names == {
        "picture.png",
        "face0.ply",
        "face0.glb",
        "head0.png",
        "preview.mp4",
        "poses.jsonl",
    }
    # The third key began a second recording, beside the first; the end of the run ended it.
    second = [p for p in folder.iterdir() if p.is_dir()]
    assert len(second) == 1
    assert (second[0] / "preview.mp4").stat().st_size > 0
    assert "recording" in keys.states
    assert keys.states[0] == "running"
    records = session.stats()["outputs"][1:]
    assert [r["name"] for r in records] == ["record", "record"]
    assert all(r["written"] > 0 for r in records)


class Closed(Noted):
    """A window that is closed some ticks after the film's end."""

    name = "closed"
    is_view = True

    def __init__(self) -> None:
        super().__init__(main=True)
        self.left = 5
        self.session: LiveSession | None = None

    def tick(self) -> bool:
        assert self.session is not None
        self.left -= not self.session.pipeline.running
        return self.left > 0


@pytest.mark.parametrize(("every_frame", "held"), [(False, True), (True, False)])
def test_a_film_s_last_picture_is_held_until_the_window_is_closed(
    config: rtrecon.ReconstructorConfig, tmp_path: Path, every_frame: bool, held: bool
) -> None:
    window = Closed()
    film = tmp_path / "film.mp4"
    writer = VideoFile(film, tmp_path / "film.part.mp4", (640, 480), rate_hz=30)
    with rtrecon.open_source("demo") as source:
        for frame in source:
            writer.write(frame.image, frame.index / 30)
            if frame.index == 5:
                break
    writer.close()
    session = LiveSession(
        film,
        outputs=[window],
        reconstructor=config,
        every_frame=every_frame,
        hold_end=True,
    )
    window.session = session
    with session:
        session.wait()
    assert (window.left == 0) is held
    assert no_threads_are_left()


def test_no_face_no_snapshot(
    config: rtrecon.ReconstructorConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import cv2

    monkeypatch.chdir(tmp_path)
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((120, 160, 3), np.uint8))
    keys = Keys(["snapshot", "quit"])
    with (
        caplog.at_level("WARNING", "rtrecon"),
        rtrecon.live(tmp_path / "0.png", outputs=[keys], config=config, loop=True) as session,
    ):
        session.wait()
    assert "no snapshot" in caplog.text
    assert not (tmp_path / "rtrecon-out").exists()


class Camera(Source):
    """The demo clip as if it came from a webcam of that name."""

    is_live = True

    def __init__(self, device: str) -> None:
        super().__init__()
        self._clip = rtrecon.open_source("demo", loop=True)
        self.name, self.device = "camera 7", device
        self.width, self.height = self._clip.width, self._clip.height

    def grab(self) -> bool:
        time.sleep(0.01)
        return self._clip.grab()

    def retrieve(self, out: rtrecon.types.BgrImage | None = None) -> rtrecon.types.BgrImage | None:
        return self._clip.retrieve(out)

    def close(self) -> None:
        self._clip.close()


def run_avatars(source: str | Source, config: rtrecon.ReconstructorConfig, **more: Any) -> None:
    """For as long as it takes to know a head at rest."""
    with rtrecon.live(source, outputs=["osc:9"], config=config, **more) as session:
        stage = AvatarRun.of(session.pipeline.run).stage(AvatarSettings())
        deadline_s = time.monotonic() + PATIENCE_S
        for _ in session.steps():
            if stage.profile() is not None:
                return
            assert time.monotonic() < deadline_s


def test_a_camera_keeps_a_calibration_for_each_person_and_a_film_none(
    config: rtrecon.ReconstructorConfig, config_folder: Path
) -> None:
    for source in ("demo", rtrecon.open_source("demo")):
        run_avatars(source, config)
        run_avatars("demo", config, person="anna")
    assert not config_folder.exists()
    run_avatars(Camera("Webcam"), config)
    run_avatars(Camera("Webcam"), config, person="anna")
    run_avatars(Camera("Other"), config, person="anna")
    run_avatars(Camera("Third"), config, person="")
    calibrated = rtrecon.ReconstructorConfig(model=config.model, threads=1, calibrate=True)
    run_avatars(Camera("Fourth"), calibrated)
    stored = {(s.camera, s.person) for s in ProfileStore().stored()}
    assert stored == {("Webcam", "default"), ("Webcam", "anna"), ("Other", "anna")}


def test_a_person_that_cannot_be() -> None:
    with pytest.raises(rtrecon.ArgumentError, match="person's name"):
        rtrecon.live("demo", person=" ")


def test_keys_turn_the_mirror_and_calibrate_anew(
    config: rtrecon.ReconstructorConfig, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(["mirror", "calibrate", "quit"])
    with (
        caplog.at_level("INFO", "rtrecon"),
        rtrecon.live("demo", outputs=["osc:9", keys], config=config) as session,
    ):
        avatars = AvatarRun.of(session.pipeline.run)
        session.wait()
    assert avatars.is_flipped
    assert "avatars: mirror turned round" in caplog.text
    assert "neutral of the avatars" in caplog.text


def test_keys_without_an_avatar_say_so(
    config: rtrecon.ReconstructorConfig, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(["calibrate", "quit"])
    with (
        caplog.at_level("INFO", "rtrecon"),
        rtrecon.live("demo", outputs=[keys], config=config) as session,
    ):
        session.wait()
    assert "this run moves no avatar" in caplog.text
