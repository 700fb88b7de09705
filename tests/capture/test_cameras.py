"""Cameras are listed as the system has them: from a made-up /sys, and a stand-in library."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import cv2
import pytest

from rtrecon.capture import cameras, list_cameras


def test_linux_lists_the_nodes_that_give_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, devices = tmp_path / "sys", tmp_path / "dev"
    devices.mkdir()
    for node, index, name in (
        ("video10", "0", "HD Webcam"),
        ("video2", "0", "Inside"),
        ("video3", "1", "Inside"),
    ):
        (system / node).mkdir(parents=True)
        (system / node / "index").write_text(f"{index}\n", encoding="ascii")
        (system / node / "name").write_text(f"{name}\n", encoding="utf-8")
        (devices / node).touch()
    (system / "video4").mkdir()  # without a device: unplugged just now
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cameras, "_SYSTEM", system)
    monkeypatch.setattr(cameras, "_DEVICES", devices)
    found = [(c.index, c.path, c.name) for c in list_cameras()]
    assert found == [(2, "/dev/video2", "Inside"), (10, "/dev/video10", "HD Webcam")]


def test_a_camera_has_its_name_whatever_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        cameras.CameraInfo(k, f"/dev/video{k}", name)
        for k, name in ((0, "Inside"), (2, "Webcam"), (5, "Webcam"))
    ]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cameras, "_list_v4l2", lambda: found)
    names = [cameras.device_name(k) for k in (0, 2, 5, 7)]
    assert names == ["Inside", "Webcam 1", "Webcam 2", ""]


def test_elsewhere_the_library_tells_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def enumerate_cameras(backend: int) -> list[SimpleNamespace]:
        asked.append(backend)
        return [
            SimpleNamespace(index=0, path="usb#1", name="Inside"),
            SimpleNamespace(index=1, path=None, name="HD Webcam"),
        ]

    library = ModuleType("cv2_enumerate_cameras")
    library.enumerate_cameras = enumerate_cameras  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", library)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(cameras.platform, "system", lambda: "Windows")
    found = [(c.index, c.path, c.name) for c in list_cameras()]
    assert found == [(0, "usb#1", "Inside"), (1, "1", "HD Webcam")]
    assert asked == [cv2.CAP_MSMF]


def test_without_the_library_they_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    class Capture:
        def __init__(self, index: int) -> None:
            self._index = index

        def isOpened(self) -> bool:
            return self._index == 1

        def release(self) -> None:
            pass

    monkeypatch.setitem(sys.modules, "cv2_enumerate_cameras", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(cameras.cv2, "VideoCapture", Capture)
    assert [(c.index, c.name) for c in list_cameras()] == [(1, "camera 1")]
