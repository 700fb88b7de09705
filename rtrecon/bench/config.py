"""What ``rtrecon bench`` takes: the dataclass is the option list, its docstrings the help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import tyro

from rtrecon.config import CommonConfig, OptionalPath, Provider, parse_size
from rtrecon.errors import UserError

__all__ = ["ALONE_STAGES", "AVATAR_PARTS", "BenchConfig", "Stage"]

Stage = Literal["detect", "track", "align", "depth", "geometry", "mesh", "avatar", "view"]
ALONE_STAGES: tuple[Stage, ...] = get_args(Stage)
"""What can be measured alone: the stages of a frame, and what may be done with its faces."""
_PROTOCOLS = ("vmc", "openseeface", "ifacialmocap", "livelink", "vtube-studio", "osc", "csv")
AVATAR_PARTS = tuple(f"avatar {part}" for part in ("chain", "points", *_PROTOCOLS, "sent"))
"""What the stage avatar, which is all but the last, consists of: the chain, landmarks in metres
for openseeface, each protocol's bytes. The last: how long after a result it has been sent, while
others are made."""


@dataclass(kw_only=True)
class BenchConfig(CommonConfig):
    """Measure what runs at which rate here, and where the time goes.

    Every combination of models, providers, precisions, sizes, faces and threads is measured
    in a process of its own, in interleaved rounds, in two ways: as fast as it can, every
    frame; and at a camera's rate, where the newest frame wins.
    """

    source: Annotated[
        tyro.conf.Positional[str], tyro.conf.arg(metavar="[SOURCE]", help_behavior_hint="")
    ] = "demo"
    """What to measure on, with a face in it: video, folder of pictures, camera, stream or
    `demo` (default). Its pictures are decoded beforehand."""
    models: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME|DIR [NAME|DIR ...]", help_behavior_hint="")
    ] = ("face-dpt",)
    """Depth models: names from `rtrecon models list`, or folders (default: face-dpt)."""
    providers: Annotated[
        tuple[Provider, ...],
        tyro.conf.arg(metavar="NAME [NAME ...]", help_behavior_hint=""),
    ] = ("auto",)
    """Where the models run: auto, cpu, cuda, tensorrt, openvino, coreml, directml, torch
    (default: auto)."""
    precisions: Annotated[
        tuple[Literal["auto", "fp32", "fp16", "int8"], ...],
        tyro.conf.arg(metavar="{auto,fp32,fp16,int8} [...]", help_behavior_hint=""),
    ] = ("auto",)
    """Precisions of the models (default: auto, each model's own best for its provider)."""
    sizes: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="WxH [WxH ...]", help_behavior_hint="")
    ] = ()
    """Picture sizes such as 640x480 1280x720 (default: the source's own)."""
    faces: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N [N ...]", help_behavior_hint="")] = (
        1,
    )
    """Faces in the picture; the source's face is repeated in a grid (default: 1)."""
    threads: Annotated[
        tuple[int, ...], tyro.conf.arg(metavar="N [N ...]", help_behavior_hint="")
    ] = ()
    """CPU threads of the depth model (default: as `run`)."""
    seconds: float = 3.0
    """Length of one round of one combination; each round is measured in both ways."""
    repeat: int = 3
    """Rounds; their spread says which differences mean something."""
    rate: float = 30.0
    """Camera rate in Hz for the measurement at a camera's pace."""
    view: Literal["none", "offscreen", "window"] = "none"
    """Draw the results too at a camera's pace: off screen, or in the window."""
    stage: Annotated[
        tuple[Stage, ...],
        tyro.conf.arg(metavar="NAME [NAME ...]", help_behavior_hint=""),
    ] = ()
    """Measure these stages alone instead: detect, track, align, depth, geometry, mesh, avatar
    (a frame for avatars, in all protocols and in each, and how late it is sent), view."""
    json: OptionalPath = None
    """Write all figures and samples to this file."""
    csv: OptionalPath = None
    """Write one line a combination to this file."""
    plot: OptionalPath = None
    """Write the charts to this picture, .png."""
    html: OptionalPath = None
    """Write one page with charts, table and machine."""
    compare: OptionalPath = None
    """Compare with an earlier file of --json, and say what became faster or slower."""
    trace: OptionalPath = None
    """Write a Chrome trace of the first combination: open it at https://ui.perfetto.dev."""

    def __post_init__(self) -> None:
        for name in ("models", "providers", "precisions", "faces"):
            if not getattr(self, name):
                raise UserError(f"--{name} needs at least one value")
        if not 0.05 <= self.seconds <= 3600:
            raise UserError(f"--seconds must be 0.05 to 3600, not {self.seconds:g}")
        if not 1 <= self.repeat <= 1000:
            raise UserError(f"--repeat must be 1 to 1000, not {self.repeat}")
        if not 1 <= self.rate <= 1000:
            raise UserError(f"--rate must be 1 to 1000 Hz, not {self.rate:g}")
        for name, most in (("faces", 64), ("threads", 1024)):
            for value in getattr(self, name):
                if not 1 <= value <= most:
                    raise UserError(f"--{name} must be 1 to {most}, not {value}")
        for size in self.sizes:
            width, height = parse_size(size) or (0, 0)
            if not (64 <= width <= 16384 and 64 <= height <= 16384):
                raise UserError(f"--sizes must be 64 to 16384 pixels a side, not {size}")
        if self.plot is not None and self.plot.suffix.lower() != ".png":
            raise UserError(f"--plot writes .png, not {self.plot.name!r}")
        if self.stage and self.trace is not None:
            raise UserError("--trace shows the whole pipeline: leave --stage out")
