"""A virtual camera: other programs choose it as they would choose a webcam."""

from __future__ import annotations

import importlib.util
import logging
import sys
import threading
import time
import typing
from pathlib import Path
from typing import Any

import numpy as np

from rtrecon.avatar.frame import mirrored
from rtrecon.avatar.rotations import to_matrix
from rtrecon.avatar.stage import AvatarSettings, AvatarStage
from rtrecon.config import parse_size
from rtrecon.draw.avatar_view import AvatarView
from rtrecon.draw.camera_frame import Content, draw_camera_frame, put_in_middle
from rtrecon.draw.state import ViewFrame
from rtrecon.draw.turning import TurningHead
from rtrecon.errors import ArgumentError, MissingExtraError, OutputError
from rtrecon.output import Output, Run
from rtrecon.outputs.avatar_run import AvatarRun
from rtrecon.result import LiveResult
from rtrecon.threads import start_thread

__all__ = ["CameraOutput"]

logger = logging.getLogger(__name__)

_MISSING = ("pyvirtualcam", "camera")
_LEAST_SIDE_PX, _LARGEST_SIDE_PX = 64, 4096
# In periods of the device's rate. Were a whole one kept between two pictures, a picture that
# was late once would make all that follow wait.
_CLOSEST, _QUIET = 0.75, 1.5
_LAST_PICTURE_S = 3.0
_LINUX = (
    "make one with: sudo modprobe v4l2loopback exclusive_caps=1 card_label=rtrecon (on Debian and "
    "Ubuntu it is in the package v4l2loopback-dkms)"
)
_OBS = "install OBS Studio (https://obsproject.com), start its virtual camera once and stop it"


class CameraOutput(Output):
    """Shows the picture with its overlay, or the face alone, as a camera of this machine.

    Needs pyvirtualcam, which is under the GPL, version 2: ``pip install 'rtrecon[camera]'``;
    and a device, v4l2loopback's on Linux, OBS's elsewhere. Each result is sent once; while none
    comes, the last picture is sent again, so that no program takes the camera for dead.

    Args:
        target: the device, such as ``/dev/video10`` or ``OBS Virtual Camera``; the first that
            is free where it is empty.
        content: ``picture``: the camera's with its overlay; ``mesh``: the person's head, turned
            to and fro; ``avatar``: a plain head that does what the person's does.
        size: of the device in pixels; what is of another shape is shown whole, black beside it.
        fps: pictures a second, about and at most.
        mirror: as in a mirror.
    """

    name = "camera"
    summary = "a virtual camera for calls and streams: the picture with its overlay, or the face"
    is_view = True
    close_timeout_s = 4.0

    def __init__(
        self,
        target: str = "",
        *,
        content: Content = "picture",
        size: str = "1280x720",
        fps: float = 30.0,
        mirror: bool = False,
    ) -> None:
        if content not in (known := typing.get_args(Content)):
            names = f"{', '.join(known[:-1])} or {known[-1]}"
            raise ArgumentError(f"camera: content must be {names}, not {content!r}")
        sides = parse_size(size)
        assert sides is not None
        if not all(_LEAST_SIDE_PX <= s <= _LARGEST_SIDE_PX and s % 2 == 0 for s in sides):
            raise ArgumentError(
                f"camera: size must be even numbers of {_LEAST_SIDE_PX} to {_LARGEST_SIDE_PX} "
                f"pixels, such as 1280x720, not {size!r}"
            )
        if not 1.0 <= fps <= 240.0:
            raise ArgumentError(f"camera: fps must be 1 to 240, not {fps:g}")
        self._target, self._content = target, content
        self._size_px, self._fps, self._is_mirrored = sides, fps, mirror
        self._run = Run()
        self._turning = TurningHead()
        self._avatars = AvatarRun(Run())
        self._stage: AvatarStage | None = None
        self._avatar: AvatarView | None = None
        self._t_first_ns: int | None = None
        self._camera: Any = None
        self._changed = threading.Condition()
        self._waiting: np.ndarray | None = None  # drawn and not yet taken by the sender
        self._closing = False
        self._lost = ""  # what ended the sender
        self._was_said = False
        self._drawn = 0

    @classmethod
    def missing(cls) -> str:
        """Whether pyvirtualcam is installed; whether there is a device shows when it is opened."""
        if "pyvirtualcam" in sys.modules:
            installed = sys.modules["pyvirtualcam"] is not None
        else:
            installed = importlib.util.find_spec("pyvirtualcam") is not None
        return "" if installed else str(MissingExtraError(*_MISSING))

    @property
    def target(self) -> str:
        """The device that was asked for, or the one that was found."""
        return self._target

    def open(self, run: Run) -> None:
        """Find the device and show black there.

        Raises:
            MissingExtraError: pyvirtualcam is not installed.
            OutputError: there is no such device, or it cannot be used.
        """
        try:
            import pyvirtualcam
        except ImportError as error:
            raise MissingExtraError(*_MISSING) from error
        self._run = run
        if self._content == "avatar":
            self._avatars = AvatarRun.of(run)
            self._stage, self._avatar = self._avatars.stage(AvatarSettings()), AvatarView()
        width, height = self._size_px
        try:
            self._camera = pyvirtualcam.Camera(
                width,
                height,
                self._fps,
                fmt=pyvirtualcam.PixelFormat.BGR,
                device=self._target or None,
            )
        except Exception as error:  # each system's backend has errors of its own
            named = f" {self._target}" if self._target else ""
            reason = "; ".join(str(error).splitlines()) or repr(error)
            raise OutputError(
                f"no virtual camera{named} of {width}x{height} ({reason}): {_remedy()}"
            ) from error
        self._target = str(self._camera.device)
        # The sender holds one while the next is drawn: see `write`.
        self._canvases = [np.zeros((height, width, 3), dtype=np.uint8) for _ in range(2)]
        try:
            self._sender = start_thread(self._send_all, name="rtrecon-camera-sender")
        except BaseException:
            self._camera.close()
            raise
        logger.info("virtual camera %s: %dx%d", self._target, width, height)

    def write(self, result: LiveResult) -> None:
        """Draw one result and leave it for the sender, once that has taken the one before.

        Raises:
            OutputError: the device has gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None or self._lost)
            self._say_if_lost()
        frame = result.frame
        if self._t_first_ns is None:
            self._t_first_ns = frame.t_ns
        view = ViewFrame(frame.image, result.faces, frame.t_capture_ns, self._run.figures(result))
        since_s = (frame.t_ns - self._t_first_ns) * 1e-9
        self._drawn += 1
        canvas = self._canvases[self._drawn % 2]
        if self._content == "avatar":
            self._draw_avatar(result, canvas)
        else:
            draw_camera_frame(
                view,
                self._content,
                since_s,
                canvas,
                turning=self._turning,
                mirror=self._is_mirrored,
            )
        with self._changed:
            self._waiting = canvas
            self._changed.notify_all()

    def _draw_avatar(self, result: LiveResult, canvas: np.ndarray) -> None:
        assert self._stage is not None
        assert self._avatar is not None
        frame = self._stage.frame(result)
        if self._is_mirrored != self._avatars.is_flipped:
            frame = mirrored(frame)
        R = np.array(to_matrix(frame.rotation))
        side = min(canvas.shape[:2])
        put_in_middle(self._avatar.draw(frame.coefficients, R, frame.eyes, (side, side)), canvas)

    def close(self) -> None:
        """Send what waits, and let go of the device.

        Raises:
            OutputError: the device has gone, and nothing was written since that could say so;
                or it takes no picture.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._sender.join(_LAST_PICTURE_S)
        if self._sender.is_alive():
            raise OutputError(f"{self._target} does not take its last picture: left as it is")
        self._camera.close()
        if not self._was_said:
            self._say_if_lost()

    def _say_if_lost(self) -> None:
        if self._lost:
            self._was_said = True
            raise OutputError(f"the virtual camera {self._target} has gone: {self._lost}")

    def _send_all(self) -> None:
        """On the sender's thread: the newest picture at once, the last one while none comes."""
        device = Path(self._target)
        is_file = device.is_absolute() and device.exists()
        picture: np.ndarray | None = self._canvases[0]
        try:
            while picture is not None:
                # v4l2loopback's backend does not say that it could not write.
                if is_file and not device.exists():
                    raise OSError("there is no such file any more")
                sent_s = time.monotonic()
                self._camera.send(picture)
                picture = self._next(picture, sent_s)
        except Exception as error:
            logger.debug("virtual camera %s", self._target, exc_info=True)
            with self._changed:
                self._lost = str(error) or repr(error)
                self._changed.notify_all()

    def _next(self, picture: np.ndarray, sent_s: float) -> np.ndarray | None:
        """What to send after ``picture``, when its time has come; None: nothing more."""
        with self._changed:
            self._wait_until(sent_s + _CLOSEST / self._fps, for_new=False)
            self._wait_until(sent_s + _QUIET / self._fps, for_new=True)
            new, self._waiting = self._waiting, None
            self._changed.notify_all()
            if new is None and self._closing:
                return None
            return picture if new is None else new

    def _wait_until(self, t_s: float, *, for_new: bool) -> None:
        self._changed.wait_for(
            lambda: self._closing or (for_new and self._waiting is not None),
            max(0.0, t_s - time.monotonic()),
        )


def _remedy() -> str:
    return _LINUX if sys.platform.startswith("linux") else _OBS
