"""The virtual camera, through pyvirtualcam with a device of our own that keeps the pictures."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.rotations import from_angles
from rtrecon.avatar.stage import AvatarStage
from rtrecon.errors import ArgumentError, MissingExtraError, OutputError
from rtrecon.fanout import Fanout
from rtrecon.output import Run
from rtrecon.outputs.camera import CameraOutput
from rtrecon.outputs.registry import make_output
from rtrecon.result import LiveResult
from rtrecon.types import Frame
from tests.draw.heads import FIGURES, GREEN, RED, head, picture_of, share_of
from tests.outputs.doubles import PATIENCE_S, Noted, result

pyvirtualcam = pytest.importorskip("pyvirtualcam")


class Device:
    """A backend as pyvirtualcam asks for it: keeps what is sent, and can fail or hold."""

    made: list[Device]
    fails_at_opening = ""
    name = "double"

    def __init__(
        self, *, width: int, height: int, fps: float, fourcc: int, device: str | None
    ) -> None:
        if self.fails_at_opening:
            raise RuntimeError(self.fails_at_opening)
        self.shape, self.fps, self.asked = (height, width, 3), fps, device
        self.pictures: list[np.ndarray] = []
        self.changed = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()
        self.fault = ""
        self.closed = 0
        self.made.append(self)

    def send(self, frame: np.ndarray) -> None:
        assert self.gate.wait(PATIENCE_S)
        if self.fault:
            raise RuntimeError(self.fault)
        with self.changed:
            self.pictures.append(frame.reshape(self.shape).copy())
            self.changed.notify_all()

    def device(self) -> str:
        return self.asked or self.name

    def native_fourcc(self) -> None:
        return None

    def close(self) -> None:
        self.closed += 1

    def wait_for(self, shown: Callable[[list[np.ndarray]], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: shown(self.pictures), PATIENCE_S)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Device]]:
    """What was opened; there is no other camera than the double."""
    monkeypatch.setattr("pyvirtualcam.camera.BACKENDS", {})
    monkeypatch.setattr(Device, "made", [], raising=False)
    monkeypatch.setattr(Device, "fails_at_opening", "")
    pyvirtualcam.register_backend("double", Device)
    yield Device.made
    for device in Device.made:
        device.gate.set()


def of_head(index: int = 0) -> LiveResult:
    face = head()
    return LiveResult(Frame(picture_of(face), index, 7_000_000_000), [face], 5.0)


def last_of(text: str, *results: LiveResult) -> np.ndarray:
    """The last picture that the device was sent."""
    output = make_output(text)
    output.open(Run(figures=lambda _: FIGURES))
    for one in results:
        output.write(one)
    output.close()
    return Device.made[-1].pictures[-1]


def side_of(picture: np.ndarray, rgb: tuple[int, int, int]) -> float:
    """Mean column of a colour, from -1 at the left to 1 at the right."""
    columns = np.nonzero(share_of(picture, rgb))[1]
    assert len(columns) > 20
    return float(columns.mean() / (picture.shape[1] - 1) * 2 - 1)


def test_an_avatar_is_shown_with_or_without_a_face(devices: list[Device]) -> None:
    for results in ([of_head(k) for k in range(3)], [result(3)]):
        sent = last_of("camera?content=avatar&size=640x480", *results).astype(int)
        assert sent.shape == (480, 640, 3)
        assert (sent[:, :60] == 28).all()
        skin = (sent[..., 2] > sent[..., 0] + 25) & (sent[..., 2] > 90)
        assert skin[:, 80:560].mean() > 0.2


def test_an_avatar_in_a_mirror_turns_the_other_way(
    devices: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = AvatarFrame.neutral()
    turned = replace(turned, rotation=from_angles(0.0, 0.5, 0.0))
    monkeypatch.setattr(AvatarStage, "frame", lambda *_: turned)

    def irises(mirror: int) -> float:
        sent = last_of(f"camera?content=avatar&size=640x480&mirror={mirror}", of_head())
        blue = sent[..., 0].astype(int) > sent[..., 2] + 12
        return float(np.argwhere(blue)[:, 1].mean()) - 319.5

    assert irises(0) < -10
    assert irises(1) > 10


def test_a_picture_is_whole_in_the_middle_with_its_overlay(devices: list[Device]) -> None:
    sent = last_of("camera?size=1280x720", of_head())
    assert sent.shape == (720, 1280, 3)
    assert not sent[:, :160].any()
    assert not sent[:, -160:].any()
    assert sent[:, 160].min() > 60  # 4:3 in 16:9: the wall of the picture's own edge
    assert sent[:, 1119].min() > 60
    assert side_of(sent, RED) < -0.02 < 0.02 < side_of(sent, GREEN)
    assert share_of(sent, (64, 220, 96), 12).sum() > 500  # the box
    assert (sent[690:, 160:] == 255).any()  # the figures
    assert devices[0].closed == 1


def test_a_wide_picture_has_black_above_and_below(devices: list[Device]) -> None:
    wide = LiveResult(Frame(np.full((90, 320, 3), 200, np.uint8), 0, 0), (), 5.0)
    sent = last_of("camera?size=640x480", wide)
    assert not sent[:150].any()
    assert not sent[-150:].any()
    assert (sent[151:280] == 200).all()


def test_a_mirrored_picture_has_its_marks_on_the_face(devices: list[Device]) -> None:
    plain, mirrored = (last_of(f"camera?mirror={k}", of_head()) for k in (0, 1))
    assert side_of(mirrored, RED) > 0.02 > -0.02 > side_of(mirrored, GREEN)
    box = (64, 220, 96)
    found = [np.nonzero(share_of(p, box, 12).sum(axis=0) > 100)[0] for p in (plain, mirrored)]
    assert abs(found[1].min() - (1279 - found[0].max())) <= 2
    # Words stay words.
    words = np.abs(plain[690:, 160:600].astype(int) - mirrored[690:, 160:600])
    assert words.mean() < 1


def test_the_face_alone(devices: list[Device]) -> None:
    plain, mirrored = (last_of(f"camera?content=mesh&mirror={k}", of_head()) for k in (0, 1))
    assert (plain[:, :280] == plain[0, 640]).all()  # no seam
    assert side_of(plain, RED) < -0.05 < 0.05 < side_of(plain, GREEN)
    np.testing.assert_array_equal(mirrored, plain[:, ::-1])
    skin = share_of(plain, (205, 150, 120), 30)
    assert np.ptp(np.nonzero(skin)[0]) > 0.6 * 720  # large
    nobody = last_of("camera?content=mesh&mirror=1", result(0))
    assert (nobody[300:400] == 255).any()  # it says so


def test_the_last_picture_is_sent_again_while_nothing_comes(devices: list[Device]) -> None:
    output = CameraOutput(size="64x64", fps=100.0)
    output.open(Run(figures=lambda _: FIGURES))
    device = devices[0]
    device.wait_for(lambda pictures: len(pictures) >= 3)  # black, before anything came
    assert not np.any(device.pictures)
    output.write(LiveResult(Frame(np.full((64, 64, 3), 200, np.uint8), 0, 0), (), 5.0))
    device.wait_for(lambda pictures: sum(p[0, 0, 0] == 200 for p in pictures) >= 5)
    output.close()
    assert device.fps == 100.0
    assert device.closed == 1


def test_a_device_that_holds_is_waited_for_by_nobody_else(devices: list[Device]) -> None:
    """The newest wins, and what waits at the end is shown."""
    output, other = CameraOutput(size="64x64", fps=240.0), Noted()
    fanout = Fanout([output, other])
    output.close_timeout_s = PATIENCE_S
    fanout.open(Run(figures=lambda _: FIGURES))
    devices[0].gate.clear()
    for k in range(1, 9):
        fanout.put(result(k * 25))
        other.wait_for(k * 25)
    devices[0].gate.set()
    fanout.close()
    levels = [int(p[16, 60, 0]) for p in devices[0].pictures]
    assert levels == sorted(levels)
    assert levels[-1] == 200
    summary = fanout.summary()[0]
    assert summary["dropped"] >= 4
    assert (summary["target"], summary["errors"]) == ("double", 0)


@pytest.mark.parametrize("vanishes", ["it fails", "its file goes"])
def test_a_device_that_goes_is_said_once(
    devices: list[Device], tmp_path: Path, caplog: pytest.LogCaptureFixture, vanishes: str
) -> None:
    path = tmp_path / "video7"
    path.touch()
    output, other = CameraOutput(str(path), size="64x64", fps=240.0), Noted()
    fanout = Fanout([output, other])
    fanout.open(Run(figures=lambda _: FIGURES))
    fanout.put(result(1))
    devices[0].wait_for(lambda pictures: bool(pictures[-1:]) and pictures[-1].any())
    if vanishes == "it fails":
        devices[0].fault = "unplugged"
    else:
        path.unlink()
    with output._changed:
        assert output._changed.wait_for(lambda: output._lost, PATIENCE_S)
    with caplog.at_level(logging.WARNING, "rtrecon"):
        for k in range(2, 6):
            fanout.put(result(k))
            other.wait_for(k)
        fanout.close()
    assert [r.getMessage() for r in caplog.records if "has gone" in r.getMessage()] == [
        f"output camera:{path}: the virtual camera {path} has gone: {output._lost}"
    ]
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    assert devices[0].closed == 1


def test_a_device_that_went_after_the_last_result_is_said_at_the_end(
    devices: list[Device],
) -> None:
    output = CameraOutput(size="64x64", fps=240.0)
    output.open(Run(figures=lambda _: FIGURES))
    devices[0].fault = "unplugged"
    with output._changed:
        assert output._changed.wait_for(lambda: output._lost, PATIENCE_S)
    with pytest.raises(OutputError, match="double has gone: unplugged"):
        output.close()
    assert devices[0].closed == 1


@pytest.mark.parametrize(
    ("system", "command"),
    [("linux", "sudo modprobe v4l2loopback"), ("darwin", "OBS Studio"), ("win32", "OBS Studio")],
)
def test_without_a_device_the_command_is_said(
    devices: list[Device], monkeypatch: pytest.MonkeyPatch, system: str, command: str
) -> None:
    Device.fails_at_opening = "no device"
    monkeypatch.setattr("rtrecon.outputs.camera.sys.platform", system)
    with pytest.raises(OutputError, match=f"/dev/video9 of 1280x720 .*no device.*{command}"):
        CameraOutput("/dev/video9").open(Run())
    assert not devices


def test_without_the_package_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CameraOutput.missing() == ""
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rtrecon\[camera\]'"):
        CameraOutput().open(Run())
    assert "rtrecon[camera]" in CameraOutput.missing()


def test_the_package_is_imported_only_when_it_is_opened() -> None:
    script = (
        "import sys; from rtrecon.outputs.registry import make_output; "
        "output = make_output('camera:/dev/video9'); output.missing(); "
        "sys.exit('pyvirtualcam' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("camera?content=nothing", "content must be picture or mesh or avatar, not 'nothing'"),
        ("camera?size=huge", "1280x720"),
        ("camera?size=641x480", "even"),
        ("camera?size=16x16", "64 to 4096"),
        ("camera?fps=0", "1 to 240"),
        ("camera?fps=fast", "fps must be a number"),
        ("camera?mirror=perhaps", "mirror must be 1 or 0"),
    ],
)
def test_bad_options(text: str, words: str) -> None:
    with pytest.raises(Exception, match=words) as caught:
        make_output(text)
    assert caught.value.exit_code == 2  # type: ignore[attr-defined]


def test_content_is_checked_for_callers_too() -> None:
    with pytest.raises(ArgumentError, match="picture, mesh or avatar"):
        CameraOutput(content="nothing")  # type: ignore[arg-type]
