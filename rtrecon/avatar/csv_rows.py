"""Live Link Face's CSV: a line a frame with time code, 52 shapes and nine angles."""

from __future__ import annotations

from rtrecon.avatar.frame import AvatarFrame
from rtrecon.avatar.livelink import TIME_CODE_HZ, turns_of
from rtrecon.expression.names import ARKIT_NAMES

__all__ = ["HEADER", "csv_row", "time_code"]

_SHAPES = [name[0].upper() + name[1:] for name in ARKIT_NAMES]
_ANGLES = [p + turn for p in ("Head", "LeftEye", "RightEye") for turn in ("Yaw", "Pitch", "Roll")]

HEADER = ",".join(["Timecode", "BlendShapeCount", *_SHAPES, *_ANGLES])
"""The first line, without its end."""

_COUNT = len(_SHAPES) + len(_ANGLES)
_DAY_S = 86400.0


def csv_row(frame: AvatarFrame, time_s: float) -> str:
    """One line, without its end; its count is 0 while there is no face, its values neutral then.

    Args:
        frame: what it holds.
        time_s: of its time code, seconds since midnight or since the film began.
    """
    count = 0 if frame.state == "lost" else _COUNT
    values = [*frame.coefficients.tolist(), *turns_of(frame)]
    return ",".join([time_code(time_s), str(count), *[f"{value + 0.0:.7f}" for value in values]])


def time_code(time_s: float) -> str:
    """``HH:MM:SS:FF.fff`` with 60 frames a second."""
    thousandths = round((time_s % _DAY_S) * TIME_CODE_HZ * 1000)
    frames, rest = divmod(thousandths, 1000)
    seconds, frames = divmod(frames, TIME_CODE_HZ)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24:02}:{minutes:02}:{seconds:02}:{frames:02}.{rest:03}"
