"""Which cameras this machine has."""

from __future__ import annotations

import logging
import platform
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from rtrecon.shown import plain

__all__ = ["CameraInfo", "camera_backends", "camera_key", "device_name", "list_cameras"]

logger = logging.getLogger(__name__)

_SYSTEM, _DEVICES = Path("/sys/class/video4linux"), Path("/dev")
_PROBED = 4  # indices tried where the system does not list cameras by itself


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera: OpenCV's index, the device's path and name, modes if they were asked for."""

    index: int
    path: str
    name: str
    modes: tuple[str, ...] = field(default=())


def list_cameras(*, probe_modes: bool = False) -> list[CameraInfo]:
    """The cameras, by index. With ``probe_modes`` each is opened for its present mode."""
    found = _list_v4l2() if sys.platform.startswith("linux") else _list_by_library()
    if not probe_modes:
        return found
    return [
        CameraInfo(c.index, c.path, c.name, modes) for c in found for modes in [_modes(c.index)]
    ]


def _list_v4l2() -> list[CameraInfo]:
    cameras = []
    if not _SYSTEM.is_dir():
        return []
    for entry in sorted(_SYSTEM.iterdir(), key=lambda p: int(re.sub(r"\D", "", p.name) or 0)):
        match = re.fullmatch(r"video(\d+)", entry.name)
        if match is None or not (_DEVICES / entry.name).exists():
            continue
        try:
            # A webcam has several nodes; the first one gives pictures, the others metadata.
            if (entry / "index").read_text(encoding="ascii").strip() != "0":
                continue
            name = plain((entry / "name").read_text(encoding="utf-8", errors="replace").strip())
        except OSError:
            name = entry.name
        cameras.append(CameraInfo(int(match[1]), f"/dev/{entry.name}", name))
    return cameras


def device_name(index: int) -> str:
    """The name of a camera, with a count where several have the same; "" where it is not known.

    Opens none.
    """
    found = _list_v4l2() if sys.platform.startswith("linux") else _list_named() or []
    name = next((camera.name for camera in found if camera.index == index), "")
    same = [camera.index for camera in found if camera.name == name]
    return f"{name} {same.index(index) + 1}" if name and len(same) > 1 else name


def camera_key(index: int) -> str:
    """What a camera is known by when it has another number, or is in another socket.

    On Linux the numbers of its maker and model and its serial number, where no other camera here
    has the same; else its name. "" where nothing is known. Opens none.
    """
    if not sys.platform.startswith("linux"):
        return device_name(index)
    serials = {camera.index: _usb_serial(camera.index) for camera in _list_v4l2()}
    own = serials.get(index, "")
    return own if own and list(serials.values()).count(own) == 1 else device_name(index)


def _usb_serial(index: int) -> str:
    """``usb:VENDOR:PRODUCT:SERIAL`` of a camera that has a serial number, else ""."""
    try:
        device = (_SYSTEM / f"video{index}" / "device").resolve()
        for folder in (device, *list(device.parents)[:3]):
            if (folder / "idVendor").is_file():
                names = ("idVendor", "idProduct", "serial")
                parts = [(folder / n).read_text(encoding="utf-8").strip() for n in names]
                return plain(":".join(["usb", *parts]))
    except (OSError, ValueError):
        pass  # it has none
    return ""


def camera_backends() -> list[int]:
    """OpenCV's backends for this system's cameras, the one to try first first."""
    return {
        "Linux": [cv2.CAP_V4L2],
        "Darwin": [cv2.CAP_AVFOUNDATION],
        "Windows": [cv2.CAP_MSMF, cv2.CAP_DSHOW],
    }.get(platform.system(), [cv2.CAP_ANY])


def _list_by_library() -> list[CameraInfo]:
    """macOS and Windows: OpenCV opens cameras by index there, but does not tell their names."""
    named = _list_named()
    return _list_by_opening() if named is None else named


def _list_named() -> list[CameraInfo] | None:
    """As a library of its own tells them; None where it does not."""
    try:
        from cv2_enumerate_cameras import enumerate_cameras

        found = enumerate_cameras(camera_backends()[0])
    except (ImportError, NotImplementedError, OSError, RuntimeError) as error:
        logger.debug("the cameras' names are not known: %s", error)
        return None
    return [CameraInfo(c.index, c.path or str(c.index), plain(c.name)) for c in found]


def _list_by_opening() -> list[CameraInfo]:
    cameras = []
    for index in range(_PROBED):
        capture = cv2.VideoCapture(index)
        if capture.isOpened():
            cameras.append(CameraInfo(index, str(index), f"camera {index}"))
        capture.release()
    return cameras


def _modes(index: int) -> tuple[str, ...]:
    capture = cv2.VideoCapture(index)
    try:
        if not capture.isOpened():
            return ()
        width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        return (f"{width}x{height} at {capture.get(cv2.CAP_PROP_FPS):g} Hz",)
    finally:
        capture.release()
