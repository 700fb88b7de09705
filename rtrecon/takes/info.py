"""A take's ``take.json``: what was recorded, from where, and what the numbers beside it mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rtrecon._version import __version__

__all__ = ["SCHEMA", "VERSION", "TakeInfo"]

SCHEMA = "rtrecon-take"
VERSION = 1
"""Goes up only where an older reader would understand something wrong; fields may be added."""

_MEANING = {
    "frames.jsonl": "one line a result: what was found in one picture, before anything that is "
    "done for avatars; every number reads back to the same bits",
    "coefficients.csv": "one line a face and result, for spreadsheets; rounded",
    "video": "the pictures, one for each line of frames.jsonl, in its order and at its times",
    "camera frame": "OpenCV's: x to the picture's right, y down, z away from the camera; metres",
    "face frame": "origin midway between the eyes, x to the picture's right (the person's left), "
    "y down, z into the head; a face that looks along the camera's axis has no rotation",
    "t_ns": "nanoseconds: a film's own time, or since the first picture",
    "t_capture_ns": "nanoseconds of the recording machine's monotonic clock",
    "px": "pixels of the picture, x right, y down, the middle of the first one at 0, 0",
    "T_camera_face": "4 x 4: points of the face frame to the camera frame, metres",
    "coefficients": "by ARKit's names, 0 to 1; Left and Right are the person's own",
    "gaze": "radians from straight ahead in the face frame; yaw to the person's own right and "
    "pitch down are positive",
    "head degrees": "R = Ry(yaw) Rx(pitch) Rz(roll) in the camera frame: nose down, to the own "
    "right and to the own left shoulder are positive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeInfo:
    """What is known of a take as a whole.

    Attributes:
        source, device, model, provider, ipd_mm: of the run.
        rate_hz: of the source's pictures, about; None where it is not known.
        width, height: of the first picture, in pixels.
        clock: whether times are a film's own, or were counted from the first capture.
        started: when its first picture was taken, by the clock on the wall.
        video: whether its pictures were kept.
        frames, frames_with_face, duration_s: counted at its end; None while it is recorded, and
            of one that was cut off.
        calibration: what avatars' neutral started from; None: from nothing.
    """

    source: str = ""
    device: str = ""
    model: str = ""
    provider: str = ""
    ipd_mm: float = 63.0
    rate_hz: float | None = None
    width: int = 0
    height: int = 0
    clock: Literal["film", "capture"] = "capture"
    started: datetime | None = None
    video: bool = True
    frames: int | None = None
    frames_with_face: int | None = None
    duration_s: float | None = None
    calibration: Mapping[str, Any] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the recording came to its end."""
        return self.frames is not None

    def to_json(self) -> dict[str, Any]:
        """For ``take.json``."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "rtrecon": __version__,
            "complete": self.is_complete,
            "source": self.source,
            "device": self.device,
            "model": self.model,
            "provider": self.provider,
            "ipd_mm": self.ipd_mm,
            "fps": self.rate_hz,
            "width": self.width,
            "height": self.height,
            "clock": self.clock,
            "started": self.started and self.started.isoformat(timespec="milliseconds"),
            "video": self.video,
            "frames": self.frames,
            "frames_with_face": self.frames_with_face,
            "duration_s": self.duration_s,
            "calibration": self.calibration,
            "meaning": _MEANING,
        }

    @classmethod
    def from_json(cls, data: Any) -> TakeInfo:
        """What ``take.json`` holds.

        Raises:
            ValueError: it is no take's, or a newer one's; says why.
        """
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError(f'it is no take\'s: it has no "schema": "{SCHEMA}"')
        version = data.get("version")
        if not isinstance(version, int) or version < 1:
            raise ValueError(f'its "version" is {version!r:.40}, not a number from 1 on')
        if version > VERSION:
            raise ValueError(
                f"it was written by a newer rtrecon (version {version} of a take, this one reads "
                f"{VERSION}): upgrade"
            )
        calibration = data.get("calibration")
        if not isinstance(calibration, dict | None):
            raise ValueError('its "calibration" is no object')
        clock = data.get("clock")
        if clock not in ("film", "capture"):
            raise ValueError(f'its "clock" is {clock!r:.40}, not "film" or "capture"')
        started = data.get("started")
        return cls(
            source=str(data.get("source", "")),
            device=str(data.get("device", "")),
            model=str(data.get("model", "")),
            provider=str(data.get("provider", "")),
            ipd_mm=_number(data, "ipd_mm", 40, 90) or 63.0,
            rate_hz=_number(data, "fps", 1e-3, 1e5),
            width=int(_number(data, "width", 0, 1 << 16) or 0),
            height=int(_number(data, "height", 0, 1 << 16) or 0),
            clock="film" if clock == "film" else "capture",
            started=datetime.fromisoformat(started) if isinstance(started, str) else None,
            video=bool(data.get("video")),
            frames=_count(data, "frames"),
            frames_with_face=_count(data, "frames_with_face"),
            duration_s=_number(data, "duration_s", 0, 1e9),
            calibration=calibration,
        )


def _number(data: Mapping[str, Any], name: str, least: float, most: float) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f'its "{name}" is {value!r:.40}, not a number from {least:g} to {most:g}')
    return float(value)


def _count(data: Mapping[str, Any], name: str) -> int | None:
    value = _number(data, name, 0, 1e12)
    return None if value is None else int(value)
