"""``rtrecon avatar-check``: a figure moves in known ways; does the avatar follow it?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from rtrecon.config import CommonConfig
from rtrecon.errors import ArgumentError, RtreconError, UserError

__all__ = ["AvatarCheckConfig", "run_avatar_check"]

_RATE_HZ = 60


@dataclass(kw_only=True)
class AvatarCheckConfig(CommonConfig):
    """Play nose up, own left, tilt, winks, gaze, jaw, and say what must be seen.

    Needs no camera. For a program in which an avatar moves the wrong way, or not at all.
    """

    outputs: Annotated[
        tyro.conf.Positional[list[str]],
        tyro.conf.arg(metavar="OUTPUT [OUTPUT ...]", help_behavior_hint=""),
    ]
    """Where to, as in `rtrecon run --out`: vmc, livelink://192.168.1.20?mirror=1."""
    seconds: float = 2.0
    """Length of one move."""
    rounds: int = 1
    """How often all of them are played."""

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ArgumentError("name an OUTPUT to send to, such as vmc or livelink://192.168.1.20")
        if not 0.05 <= self.seconds <= 60.0:
            raise ArgumentError(f"--seconds must be 0.05 to 60, not {self.seconds:g}")
        if not 1 <= self.rounds <= 1000:
            raise ArgumentError(f"--rounds must be 1 to 1000, not {self.rounds}")


def run_avatar_check(config: AvatarCheckConfig) -> int:
    """Play all moves; 0.

    Raises:
        UserError: an output is none that an avatar can be sent to, or cannot be opened.
    """
    from rtrecon.avatar.check import MOVES, frame_of
    from rtrecon.output import Run
    from rtrecon.outputs.avatar_output import AvatarOutput
    from rtrecon.outputs.registry import make_output

    opened: list[AvatarOutput] = []
    try:
        for text in config.outputs:
            output = make_output(text)
            if not isinstance(output, AvatarOutput):
                raise UserError(
                    f"{text} is no avatar's output: take vmc, openseeface, ifacialmocap, "
                    "livelink, vtube-studio or osc"
                )
            output.open(Run())
            opened.append(output)
        sequence = 0
        start_s = time.monotonic()
        for move in list(MOVES) * config.rounds:
            print(_words(move.words, move.mirrored, [o.is_mirrored for o in opened]), flush=True)  # noqa: T201
            count = max(2, round(config.seconds * _RATE_HZ))
            for k in range(count):
                frame = frame_of(move, k / (count - 1), sequence / _RATE_HZ, sequence)
                for output in opened:
                    output.send(frame)
                sequence += 1
                time.sleep(max(0.0, start_s + sequence / _RATE_HZ - time.monotonic()))
    finally:
        for output in opened:
            try:
                output.close()
            except RtreconError:
                continue
    return 0


def _words(plain: str, mirrored: str, is_mirrored: Sequence[bool]) -> str:
    if plain == mirrored or not any(is_mirrored):
        return plain
    return mirrored if all(is_mirrored) else f"{plain} (mirrored: {mirrored})"
