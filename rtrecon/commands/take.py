"""``rtrecon take``: what is in a take, and the take as a table or an animation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from rtrecon.config import CommonConfig, OptionalFloat
from rtrecon.console import say
from rtrecon.errors import DataError, OutputError, UserError
from rtrecon.files import check_target, make_folder, write_files

if TYPE_CHECKING:
    from rtrecon.avatar.frame import AvatarFrame
    from rtrecon.takes.folder import Take

__all__ = ["TakeConfig", "run_take"]

logger = logging.getLogger(__name__)

_KINDS = (".csv", ".bvh", ".glb")
_USUAL_RATE_HZ = 30.0


@dataclass(kw_only=True)
class TakeConfig(CommonConfig):
    """Say what is in a take, or write it as a table or an animation.

    `rtrecon run TAKE` plays it. CSV is Live Link Face's; BVH has a head and eyes on a skeleton, at
    an even rate; GLB the person's head with its shapes, head and eyes moving.
    """

    take: Annotated[
        tyro.conf.Positional[Path], tyro.conf.arg(metavar="TAKE", help_behavior_hint="")
    ]
    """Folder that `rtrecon run --out take:FOLDER` has written."""
    to: Annotated[
        list[Path], tyro.conf.arg(metavar="FILE.{csv,bvh,glb}", help_behavior_hint="")
    ] = field(default_factory=list)
    """What to write; give it several times for several files."""
    fps: OptionalFloat = None
    """Rate of the frames (default: the take's own times; of BVH, its source's rate)."""
    mirror: bool = False
    """As in a mirror."""
    gain: float = 1.0
    """Of all shapes but the gaze, 0.1 to 5."""
    lids: Literal["wink", "link", "free"] = "wink"
    """Lids close together but for a wink, always together, or each as measured."""
    raw: bool = False
    """Turns from the camera's axis instead of from neutral, shapes as measured."""
    still: bool = False
    """BVH and GLB: the head turns, but goes nowhere."""
    mean_head: bool = False
    """GLB: on the mean head instead of the person's."""
    model: str = "face-dpt"
    """GLB: depth model for the person's head."""
    overwrite: bool = False
    """Replace files that are there."""

    def __post_init__(self) -> None:
        for path in self.to:
            if path.suffix.lower() not in _KINDS:
                raise UserError(f"{path}: a take becomes {', '.join(_KINDS[:-1])} or {_KINDS[-1]}")
        if self.fps is not None and not 1.0 <= self.fps <= 240.0:
            raise UserError(f"--fps must be 1 to 240, not {self.fps:g}")
        if not 0.1 <= self.gain <= 5.0:
            raise UserError(f"--gain must be 0.1 to 5, not {self.gain:g}")


def run_take(config: TakeConfig) -> int:
    """Write what was asked for, or say what there is; 0.

    Raises:
        RtreconError: the take cannot be read, or a file not be written.
    """
    from rtrecon.avatar.stage import AvatarSettings
    from rtrecon.avatar.takes import at_rate, avatar_frames
    from rtrecon.takes.folder import Take

    take = Take(config.take)
    if not config.to:
        _describe(take)
        return 0
    for path in config.to:
        if path.exists() and not path.is_dir() and not config.overwrite:
            raise OutputError(f"{path} is there already: use --overwrite to replace it")
        make_folder(path.parent)
        check_target(path)
    settings = AvatarSettings(not config.raw, config.gain, lids=config.lids)
    frames = [
        replace(frame, landmarks68_px=None, landmarks68_face=None)
        for frame in avatar_frames(take, settings, mirror=config.mirror)
    ]
    if not any(frame.face_id is not None for frame in frames):
        raise DataError(f"there is no face in the take {take.folder}")
    if config.fps is not None:
        frames = list(at_rate(frames, config.fps))
    files = {path: _encode(path, frames, take, config) for path in config.to}
    write_files(files, overwrite=config.overwrite)
    for path in files:
        logger.info("wrote %s", path)
    return 0


def _encode(path: Path, frames: Sequence[AvatarFrame], take: Take, config: TakeConfig) -> bytes:
    kind = path.suffix.lower()
    if kind == ".csv":
        return _csv(frames, take)
    if kind == ".bvh":
        return _bvh(frames, take, config)
    return _glb(frames, take, config)


def _csv(frames: Sequence[AvatarFrame], take: Take) -> bytes:
    from rtrecon.avatar.csv_rows import HEADER, csv_row

    start_s = 0.0
    started = take.info.started
    if take.info.clock == "capture" and started is not None:
        midnight = started.replace(hour=0, minute=0, second=0, microsecond=0)
        start_s = (started - midnight).total_seconds()
    lines = [HEADER, *(csv_row(frame, start_s + frame.t_s) for frame in frames), ""]
    return "\n".join(lines).encode("ascii")


def _bvh(frames: Sequence[AvatarFrame], take: Take, config: TakeConfig) -> bytes:
    from rtrecon.avatar.bvh import bvh_text
    from rtrecon.avatar.takes import at_rate

    rate_hz = config.fps or take.info.rate_hz or _USUAL_RATE_HZ
    even = frames if config.fps is not None else at_rate(frames, rate_hz)
    return bvh_text(even, rate_hz, still=config.still).encode("ascii")


def _glb(frames: Sequence[AvatarFrame], take: Take, config: TakeConfig) -> bytes:
    from rtrecon.avatar.animation import head_animation
    from rtrecon.commands.take_head import head_of_take
    from rtrecon.head.glb import encode_glb
    from rtrecon.head.mean import mean_rigged_head

    head = mean_rigged_head() if config.mean_head else head_of_take(take, config.model)
    joint = next(joint for joint in head.joints if joint.name == "Head")
    x, y, z = joint.position_m.tolist()
    return encode_glb(head, head_animation(frames, joint_m=(x, y, z), still=config.still))


def _describe(take: Take) -> None:
    info = take.info
    first_ns = last_ns = 0
    count = with_face = 0
    for row in take.rows():
        if row is not None:
            first_ns, last_ns = row.t_ns if count == 0 else first_ns, row.t_ns
            count += 1
            with_face += bool(row.faces)
    video = take.video.name if take.video is not None else "none"
    facts = {
        "take": take.folder,
        "recorded": "" if info.started is None else info.started.isoformat(" ", "seconds"),
        "source": f"{info.source}, {info.width}x{info.height}",
        "model": info.model,
        "results": f"{count} in {(last_ns - first_ns) * 1e-9:.1f} s, {with_face} with a face",
        "whole": "yes" if info.is_complete else "no: it was cut off, or is being recorded",
        "video": video,
        "calibration": "none" if info.calibration is None else "as kept when it began",
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        say(f"{name:<{width}}  {value}")
