"""Where pictures come from: cameras, files, streams, folders, the bundled clip."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

import cv2

from rtrecon.assets import asset_path
from rtrecon.capture.cameras import camera_backends, camera_key, device_name, list_cameras
from rtrecon.capture.films import FileSource, StreamSource, open_url
from rtrecon.capture.folder import FolderSource
from rtrecon.capture.pictures import is_picture_file
from rtrecon.capture.saved_cameras import CameraStore
from rtrecon.capture.source import Source, VideoSource
from rtrecon.errors import DataError, SourceError, UserError
from rtrecon.plugins import Registry, Spec
from rtrecon.types import Intrinsics

__all__ = [
    "CameraSource",
    "FileSource",
    "FolderSource",
    "StreamSource",
    "open_source",
]

logger = logging.getLogger(__name__)

DEMO_CLIP = Path(__file__).resolve().parent.parent / "data" / "demo.mp4"
SOURCES = Registry("source", "rtrecon.sources", {})
"""What other packages bring; ours are told apart by what they look like."""
_ADDRESS = re.compile(r"(rtsps?|rtspu|https?|rtmps?|rtp|udp|tcp|srt|mms)://", re.IGNORECASE)


class CameraSource(VideoSource):
    """A webcam by OpenCV's index. Asks for MJPG, the size and the rate; says what it got."""

    is_live = True

    def __init__(
        self, index: int, size: tuple[int, int] | None = None, rate_hz: float | None = None
    ) -> None:
        self._camera_index, self._size, self._asked_rate_hz = index, size, rate_hz
        self._said_mode = False
        super().__init__(f"camera {index}")
        self.device = device_name(index)
        self.key = camera_key(index)

    def _make_capture(self) -> Any:
        for backend in camera_backends():
            capture = cv2.VideoCapture(self._camera_index, backend)
            if capture.isOpened():
                self._set_mode(capture)
                return capture
            capture.release()
        known = list_cameras()
        names = ", ".join(f"{c.index} ({c.name})" for c in known) or "none"
        raise SourceError(
            f"camera {self._camera_index} cannot be opened; cameras found: {names}. Is it plugged "
            "in, free (no other program), and may you use it (Linux: group video)? "
            "`rtrecon run demo` needs no camera"
        )

    def again(self) -> Source:
        """A new source of the same."""
        opened = CameraSource(self._camera_index, self._size, self._asked_rate_hz)
        opened.intrinsics = self.intrinsics
        if self.saved is not None and opened.key != self.key:
            opened.intrinsics = None  # another camera has its number now
        return opened

    def _set_mode(self, capture: Any) -> None:
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if self._size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        if self._asked_rate_hz is not None:
            capture.set(cv2.CAP_PROP_FPS, self._asked_rate_hz)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if self._said_mode:
            return
        self._said_mode = True
        got = (
            int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        logger.info("%s: %dx%d at %g Hz", self.name, *got, rate_hz)
        if self._size is not None and got != self._size:
            logger.warning("%s: asked for %dx%d, got %dx%d", self.name, *self._size, *got)
        if self._asked_rate_hz is not None and abs(rate_hz - self._asked_rate_hz) > 0.5:
            logger.warning(
                "%s: asked for %g Hz, got %g Hz", self.name, self._asked_rate_hz, rate_hz
            )


def open_source(
    source: int | str | Path,
    *,
    size: tuple[int, int] | None = None,
    rate_hz: float | None = None,
    intrinsics: Intrinsics | None = None,
    loop: bool = False,
    saved_camera: bool = True,
) -> Source:
    """Open a camera (index, path or name), video file, stream, folder of pictures, or ``demo``.

    Packages may bring more, opened by ``NAME:TARGET?key=value`` (entry point ``rtrecon.sources``).
    ``size`` and ``rate_hz`` are asked of a camera; ``intrinsics`` are put into every frame. The
    frames of pictures have those of their EXIF data unless they are given; those of a camera or
    stream have what `rtrecon calibrate-camera` has kept of it, unless ``saved_camera`` is False.

    Raises:
        SourceError: it does not exist or cannot be read; says what there is.
    """
    try:
        opened = _open(source, size, rate_hz, loop)
    except OSError as error:
        raise SourceError(f"{source} cannot be read: {error.strerror}") from error
    if intrinsics is not None:
        opened.intrinsics = intrinsics
    elif saved_camera and opened.key:
        _take_saved(opened)
    return opened


def _take_saved(source: Source) -> None:
    """Give a camera the calibration that was kept of it, if there is one."""
    saved = CameraStore().find(source.key, source.width, source.height)
    if saved is None or saved.intrinsics is None:
        return
    try:
        source.intrinsics = saved.intrinsics.scaled(source.width, source.height)
    except DataError as error:
        logger.warning("the saved camera %s cannot be used: %s", saved.path, error)
        return
    source.saved = saved.path
    logger.info("%s: calibrated, as saved in %s", source.name, saved.path)


def _open(
    source: int | str | Path, size: tuple[int, int] | None, rate_hz: float | None, loop: bool
) -> Source:
    if isinstance(source, int):
        if not 0 <= source < 10**9:
            raise SourceError(f"there is no camera {source}: they count from 0")
        return CameraSource(source, size, rate_hz)
    text = str(source)
    if text == "demo":
        return FileSource.of_path(asset_path(DEMO_CLIP.name), loop=loop, name="demo")
    if re.fullmatch("[0-9]{1,9}", text):
        return CameraSource(int(text), size, rate_hz)
    if "\0" in text:
        raise SourceError(f"a source with a NUL character in its name, {text!r}, cannot be")
    if _ADDRESS.match(text):
        return open_url(text, loop=loop)
    if re.match(r"file://", text, re.IGNORECASE):
        text = url2pathname(text[len("file://") :])
        source = Path(text)
    if (name := re.match(r"[A-Za-z][\w.-]+(?=:)", text)) and SOURCES.has(name[0]):
        return _open_plugin(text)
    # Links such as /dev/v4l/by-id/... name a camera whatever its number is today.
    device = re.fullmatch(r"/dev/video(\d+)", os.path.realpath(text))
    if device is not None:
        return CameraSource(int(device[1]), size, rate_hz)
    path = Path(source)
    if path.is_dir() and (path / "take.json").is_file():
        # The pictures of a take, whole or cut off; its results are played by a session.
        films = ("video.mp4", "video.part.mp4")
        found = next((path / film for film in films if (path / film).is_file()), None)
        if found is None:
            raise SourceError(f"the take {text} has no {films[0]}")
        path = found
    if path.is_dir():
        return FolderSource(path, loop=loop)
    if path.is_file():
        if is_picture_file(path):
            return FolderSource(path, loop=loop)
        return FileSource.of_path(path, loop=loop)
    cameras = list_cameras()
    for camera in cameras:
        if text.lower() in camera.name.lower():
            return CameraSource(camera.index, size, rate_hz)
    names = ", ".join(f"{c.index} ({c.name})" for c in cameras) or "none"
    raise SourceError(
        f"there is no file, folder or camera {text!r} (cameras: {names}); give an index, a path, "
        "an rtsp:// or http:// address, or `demo`"
    )


def _open_plugin(text: str) -> Source:
    """A source that another package brings, by ``NAME:TARGET?key=value``."""
    try:
        spec = Spec.parse(text)
        source = spec.build(SOURCES.load(spec.name))
    except SourceError:
        raise
    except UserError as error:
        raise SourceError(str(error)) from error
    if not isinstance(source, Source):
        raise SourceError(
            f"source {spec.name} of the package {SOURCES.package(spec.name)} makes a "
            f"{type(source).__name__}, not an rtrecon.Source: upgrade or remove that package"
        )
    return source
