"""``rtrecon calibrate-camera``: from a board before a camera to what every run takes by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import rtrecon
from rtrecon.capture import cameras
from rtrecon.capture.cameras import CameraInfo, camera_key
from rtrecon.capture.saved_cameras import CameraStore
from rtrecon.commands import board_window
from rtrecon.commands.board_window import draw_guide
from rtrecon.lens import Board, ViewCollector
from rtrecon.types import Intrinsics
from tests.capture.webcam import Webcam
from tests.lens.scene import TRUE, pictures

Cli = Callable[..., tuple[int, str, str]]
FACES = Path(__file__).parents[1] / "data" / "faces"


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures of the board."""
    folder = tmp_path_factory.mktemp("boards")
    for number, image in enumerate(pictures(Board())):
        cv2.imwrite(str(folder / f"{number:02}.png"), image)
    return folder


@pytest.fixture(scope="module")
def clip(boards: Path) -> Path:
    """As a webcam sees it: each view is held for a while."""
    path = boards.parent / f"{boards.name}.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 480))
    for picture in sorted(boards.iterdir()):
        for _ in range(12):
            video.write(cv2.imread(str(picture)))
    video.release()
    return path


@pytest.fixture
def webcam(monkeypatch: pytest.MonkeyPatch) -> Webcam:
    made = Webcam()
    made.period_s = 0.03
    monkeypatch.setattr(cv2, "VideoCapture", made)
    listed = [CameraInfo(0, "/dev/video0", "Logi C270"), CameraInfo(1, "/dev/video1", "Other")]
    monkeypatch.setattr(cameras, "_list_v4l2", lambda: listed)
    monkeypatch.setattr(cameras, "_list_named", lambda: listed)
    monkeypatch.setattr(cameras, "_usb_serial", lambda index: f"usb:046d:0825:{index}{index}")
    return made


def test_a_folder_of_pictures_to_a_file(
    run_cli: Cli, boards: Path, tmp_path: Path, config_folder: Path
) -> None:
    path = tmp_path / "camera.json"
    code, out, err = run_cli("calibrate-camera", boards, "-o", path)
    assert code == 0, err
    assert f"wrote {path}: use it with --intrinsics" in out
    assert "px (RMS) over 15 views" in out
    found = Intrinsics.load(path)
    assert (found.fx, found.fy) == pytest.approx((TRUE.fx, TRUE.fy), rel=0.01)
    assert json.loads(path.read_text(encoding="utf-8"))["board"] == "charuco 9x6"
    assert not config_folder.exists()


@pytest.mark.timeout(300)
def test_from_a_camera_to_every_run_with_it(
    run_cli: Cli, clip: Path, webcam: Webcam, dome_model: Path, config_folder: Path
) -> None:
    webcam.clip = clip
    code, out, err = run_cli("calibrate-camera", "0", "--view", "none")
    assert code == 0, err
    assert "show the board" in out or "turn the board" in out or "bring the board" in out
    (path,) = config_folder.rglob("*.json")
    assert f"kept: {path}" in out
    assert path.name.startswith("logi-c270.640x480.")
    with rtrecon.open_source(0) as source:  # the library too
        assert source.intrinsics is not None
        assert source.intrinsics.fx == pytest.approx(TRUE.fx, rel=0.02)
        assert source.saved == path
        assert source.again().intrinsics == source.intrinsics
        frame = source.read()
        assert frame is not None
        assert frame.intrinsics == source.intrinsics
    with rtrecon.open_source(1) as source:
        assert source.intrinsics is None
    with rtrecon.open_source(0, saved_camera=False) as source:
        assert source.intrinsics is None
    webcam.clip = Webcam().clip
    run = ("run", "0", "--model", dome_model, "--view", "none", "--max-frames", "2")
    said = {}
    for option in ((), ("--no-saved-camera",), ("--fov", "70"), ("--intrinsics", path)):
        code, _, err = run_cli(*run, *option)
        assert code == 0, err
        said[option[:1]] = (str(path) in err, "field of view is not known" in err)
    assert said == {
        (): (True, False),
        ("--no-saved-camera",): (False, True),
        ("--fov",): (False, False),
        ("--intrinsics",): (False, False),
    }
    code, out, _ = run_cli("calibrate-camera", "--list")
    assert out.startswith("Logi C270 at 640x480, fx 6")
    code, out, _ = run_cli("calibrate-camera", "--forget", "logi")
    assert (code, out.strip()) == (0, f"deleted {path}")
    assert not path.exists()


def test_sizes_and_shapes(webcam: Webcam, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store, key = CameraStore(), camera_key(0)
    for width, height in ((640, 480), (1280, 960), (1280, 720)):
        store.save("Logi", key, Intrinsics.from_fov(width, height, 70), {})
    found = {size: store.find(key, *size) for size in ((640, 480), (320, 240), (1920, 1080))}
    assert [saved.path.name.split(".")[1] for saved in found.values() if saved] == [
        *("640x480", "1280x960", "1280x720"),
    ]
    assert store.find(key, 500, 500) is None
    assert "rtrecon calibrate-camera --size 500x500" in caplog.text
    assert store.find("another", 640, 480) is None
    webcam.only_size = (320, 240)
    with rtrecon.open_source(0) as source:
        assert source.intrinsics == Intrinsics.from_fov(1280, 960, 70).scaled(320, 240)
    given = Intrinsics.from_fov(320, 240, 50)
    with rtrecon.open_source(0, intrinsics=given) as source:
        assert source.intrinsics == given


def test_a_damaged_file_is_said_and_not_used(
    webcam: Webcam, run_cli: Cli, caplog: pytest.LogCaptureFixture
) -> None:
    store, key = CameraStore(), camera_key(0)
    path = store.save("Logi", key, TRUE, {})
    path.write_text('{"fx": 1', encoding="utf-8")
    with rtrecon.open_source(0) as source:
        assert source.intrinsics is None
    assert f"the saved camera {path} cannot be used" in caplog.text
    assert "cannot be used" in run_cli("calibrate-camera", "--list")[1]
    from rtrecon.commands.doctor import _saved_cameras

    (finding,) = _saved_cameras()
    assert finding.state == "broken"
    assert str(path) in finding.remedy
    path.unlink()
    os.mkfifo(path)  # nobody waits for it
    with rtrecon.open_source(0) as source:
        assert source.intrinsics is None


def test_cameras_are_known_by_their_serial_number_if_it_is_their_own(
    webcam: Webcam, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cameras.sys.platform.startswith("linux"):
        pytest.skip("by name there")
    assert camera_key(1) == "usb:046d:0825:11"
    monkeypatch.setattr(cameras, "_usb_serial", lambda _: "usb:046d:0825:SN0001")
    assert camera_key(1) == "Other"
    monkeypatch.setattr(cameras, "_usb_serial", lambda _: "")
    assert camera_key(0) == "Logi C270"


def test_a_serial_number_is_read_of_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "devices" / "1-2"
    (device / "1-2:1.0").mkdir(parents=True)
    for name, text in (("idVendor", "046d"), ("idProduct", "0825"), ("serial", "A\x1b1")):
        (device / name).write_text(f"{text}\n", encoding="utf-8")
    (tmp_path / "video3").mkdir()
    (tmp_path / "video3" / "device").symlink_to(device / "1-2:1.0")
    monkeypatch.setattr(cameras, "_SYSTEM", tmp_path)
    assert cameras._usb_serial(3) == "usb:046d:0825:A\\x1b1"
    (device / "serial").unlink()
    assert cameras._usb_serial(3) == ""
    assert cameras._usb_serial(4) == ""


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["demo"], 2, "demo is no camera that is known again: give --out FILE.json"),
        ([str(FACES), "-o", "OUT"], 2, "give those of one size"),
        (["--squares", "9"], 2, "--squares is written as 9x6"),
        (["demo", "-o", "OUT", "--squares", "2x2"], 2, "4 to 20 squares"),
        (["--print-board", "OUT"], 2, ".pdf or .png"),
        (["--forget"], 2, "say which camera"),
        (["Nobody's", "--forget"], 2, 'no camera "Nobody\'s" is kept; there is: none'),
        (["--list", "--print-board", "b.pdf"], 2, "give one of"),
        (["--size", "big"], 2, "1280x720"),
        (["no-such.mp4"], 2, "no-such.mp4"),
    ],
)
def test_what_cannot_be(
    run_cli: Cli, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    out = str(tmp_path / "camera.json")
    given = run_cli("calibrate-camera", *(out if word == "OUT" else word for word in arguments))
    assert given[0] == code
    assert words in given[2]
    assert "Traceback" not in given[2]
    assert list(tmp_path.iterdir()) == []


def test_pictures_without_a_board(run_cli: Cli, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((120, 160, 3), 99, np.uint8))
    code, _, err = run_cli("calibrate-camera", tmp_path, "-o", tmp_path / "camera.json")
    assert code == 2
    assert "no charuco 9x6 was seen in any picture of" in err
    assert "--squares" in err
    assert not (tmp_path / "camera.json").exists()


def test_a_board_to_print(run_cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "board.pdf"
    code, out, _ = run_cli("calibrate-camera", "--print-board", path, "--board", "chessboard")
    assert code == 0
    assert "rtrecon calibrate-camera --board chessboard" in out
    assert path.read_bytes().startswith(b"%PDF")


def test_the_window_shows_what_is_missing(boards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = ViewCollector(Board(), 640, 480, must_be_still=False)
    image = cv2.imread(str(boards / "00.png"))
    assert image is not None
    before = draw_guide(image, collector)
    assert collector.look(image)
    after = draw_guide(image, collector)
    assert after.shape == image.shape
    covered = (after.astype(int) - before)[:400].max(axis=(1, 2)) > 10
    assert covered[:200].any()
    # It is a mirror: what was at the left is at the right.
    changed = np.abs(after.astype(int) - before)[:400].sum(axis=(0, 2))
    assert changed[320:].sum() > changed[:320].sum()
    monkeypatch.setattr(board_window, "has_display", lambda: (False, "no display"))
    assert board_window.open_window() is None
