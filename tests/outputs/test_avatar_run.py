"""What avatar outputs of a run share: one calibration that is kept, and a mirror that turns."""

from __future__ import annotations

import json
import logging
import socket
import stat
import sys
from pathlib import Path

import pytest

from rtrecon.avatar.rotations import to_angles
from rtrecon.avatar.stage import AvatarSettings
from rtrecon.output import Run
from rtrecon.outputs.avatar_output import AvatarOptions, AvatarOutput
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.outputs.avatars import LiveLinkOutput
from rtrecon.outputs.face_csv import FaceCsvOutput
from rtrecon.outputs.registry import make_output
from rtrecon.profiles import ProfileStore
from tests.avatar.faces import face, result, turned


def a_run(
    camera: str = "Webcam", person: str = "default", *, is_live: bool = True, pitch_deg: float = 12
) -> Run:
    """A run in which somebody has looked at the screen for two seconds."""
    run = Run(source="camera 0", device=camera, person=person, is_live=is_live)
    stage = AvatarRun.of(run).stage(AvatarSettings())
    for k in range(60):
        stage.frame(result(k / 30, face(turned(pitch_deg, 0, 0)), index=k))
    return run


def pitch_at_once(
    camera: str = "Webcam", person: str = "default", *, is_live: bool = True
) -> float:
    """What a new run says of a head that looks straight along the camera's axis."""
    run = Run(device=camera, person=person, is_live=is_live)
    frame = AvatarRun.of(run).stage(AvatarSettings()).frame(result(0.0, face()))
    return round(float(to_angles(frame.rotation)[0]) * 57.2958, 1)


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.json"))


def test_what_one_run_has_learnt_the_next_begins_with(config_folder: Path) -> None:
    AvatarRun.of(a_run()).save()
    (path,) = kept(config_folder)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["camera"], data["person"]) == ("Webcam", "default")
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert pitch_at_once() == -12.0
    assert kept(config_folder) == [path]


def test_two_cameras_and_two_persons(config_folder: Path) -> None:
    places = [("Left", "anna"), ("Left", "otto"), ("Right", "anna"), ("Right", "otto")]
    for k, (camera, person) in enumerate(places):
        AvatarRun.of(a_run(camera, person, pitch_deg=4 + 4 * k)).save()
    assert len(kept(config_folder)) == 4
    assert [pitch_at_once(*place) for place in places] == [-4.0, -8.0, -12.0, -16.0]
    assert pitch_at_once("Left", "Anna") == 0.0  # is somebody else
    assert len(ProfileStore().stored()) == 4


@pytest.mark.parametrize("person", ["", "anna"])
def test_a_film_writes_nothing(config_folder: Path, person: str) -> None:
    AvatarRun.of(a_run("clip.mp4", person, is_live=False)).save()
    assert kept(config_folder) == []


def test_a_film_reads_what_was_made_for_it_and_asked_for(config_folder: Path) -> None:
    AvatarRun.of(a_run("clip.mp4", "anna")).save()
    (path,) = kept(config_folder)
    before = path.read_bytes()
    assert pitch_at_once("clip.mp4", "anna", is_live=False) == -12.0
    assert pitch_at_once("clip.mp4", "", is_live=False) == 0.0
    assert path.read_bytes() == before


def test_nothing_is_written_for_nobody_or_before_anybody_was_at_rest(config_folder: Path) -> None:
    AvatarRun.of(a_run(person="")).save()
    run = Run(device="Webcam", person="default", is_live=True)
    AvatarRun.of(run).save()
    AvatarRun.of(run).stage(AvatarSettings())
    AvatarRun.of(run).stage(AvatarSettings(calibrate=False))
    AvatarRun.of(run).save()
    assert not config_folder.exists()


def test_what_has_not_changed_is_not_written_again(config_folder: Path) -> None:
    avatars = AvatarRun.of(a_run())
    avatars.save()
    (path,) = kept(config_folder)
    path.unlink()
    avatars.save()
    assert kept(config_folder) == []


def test_it_is_kept_once_a_minute(config_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"s": 0.0}
    monkeypatch.setattr("rtrecon.outputs.avatar_run.time.monotonic", lambda: clock["s"])
    avatars = AvatarRun.of(a_run())
    for clock["s"], count in ((100.0, 0), (159.0, 0), (161.0, 1)):
        avatars.save_if_due()
        assert len(kept(config_folder)) == count


def test_outputs_of_one_run_read_and_write_one_file(
    config_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    AvatarRun.of(a_run()).save()
    run = Run(device="Webcam", person="default", is_live=True)
    outputs = [
        make_output("vmc:127.0.0.1:9"),
        make_output("livelink:127.0.0.1:9?gain=2"),
        make_output(f"csv:{tmp_path / 'take.csv'}?lids=link"),
    ]
    with caplog.at_level(logging.INFO, logger="rtrecon"):
        for output in outputs:
            output.open(run)
    assert [r.message for r in caplog.records] == ["calibration of default before Webcam: as kept"]
    for output in outputs:
        assert isinstance(output, AvatarOutput | FaceCsvOutput)
        frame = output._stage.frame(result(0.0, face(turned(12, 0, 0))))
        assert to_angles(frame.rotation)[0] == pytest.approx(0.0, abs=1e-3)
        output.close()
    AvatarRun.of(run).save()
    assert len(kept(config_folder)) == 1


def test_the_mirror_turns_while_it_runs() -> None:
    """Each output the other way round, whichever way it was."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10.0)
        port = receiver.getsockname()[1]
        run = Run()
        outputs = [
            LiveLinkOutput(str(port), common=AvatarOptions(mirror=mirror))
            for mirror in (False, True)
        ]
        for output in outputs:
            output.open(run)
        said = []
        for k in range(3):
            for output in outputs:
                given = result(k / 30, face(turned(0, 20, 0), eyeBlinkLeft=0.9), index=k)
                output.write(given)
                said.append(receiver.recv(4096))
            AvatarRun.of(run).flip()
        for output in outputs:
            output.close()
    plain, mirrored = said[0], said[1]
    assert plain[-300:] != mirrored[-300:]
    sides = [_sides(datagram) for datagram in said]
    assert sides == [sides[0], sides[1], sides[1], sides[0], sides[0], sides[1]]
    assert sides[0] == (True, -1)
    assert sides[1] == (False, 1)


def _sides(datagram: bytes) -> tuple[bool, int]:
    """Whether the left eye is the closed one, and the sign of the yaw."""
    import struct

    values = struct.unpack(">61f", datagram[-244:])
    return values[0] > values[7], 1 if values[52] > 0 else -1


def test_recalibrating_reaches_all_stages() -> None:
    run = Run()
    avatars = AvatarRun.of(run)
    stages = [avatars.stage(AvatarSettings(gain=gain)) for gain in (1.0, 2.0)]
    aside = face(turned(0, 40, 0))
    for stage in stages:
        stage.frame(result(0.0, aside))
    avatars.recalibrate()
    for stage in stages:
        assert to_angles(stage.frame(result(0.1, aside, index=1)).rotation)[1] == pytest.approx(0)
