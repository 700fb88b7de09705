"""What commands take in common: the dataclasses are the option list, their docstrings the help.

Nothing heavy is imported here, so that ``rtrecon --help`` is immediate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from rtrecon.errors import UserError

__all__ = ["MOST_FACES", "MOST_THREADS", "CommonConfig", "ModelConfig", "parse_size"]

MOST_FACES, MOST_THREADS = 1000, 1024
_LARGEST_SIDE_PX = 16384

Provider = Annotated[
    str,
    tyro.conf.arg(metavar="{auto,cpu,cuda,tensorrt,openvino,coreml,directml,torch}"),
]
Precision = Literal["fp32", "fp16", "int8"]

_NO_DEFAULT = ""  # the docstring says what is done when the option is not given
OptionalInt = Annotated[int | None, tyro.conf.arg(metavar="N", help_behavior_hint=_NO_DEFAULT)]
OptionalFloat = Annotated[float | None, tyro.conf.arg(metavar="X", help_behavior_hint=_NO_DEFAULT)]
OptionalOut = Annotated[
    Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint=_NO_DEFAULT, aliases=("-o",))
]
OptionalPath = Annotated[Path | None, tyro.conf.arg(metavar="PATH", help_behavior_hint=_NO_DEFAULT)]
OptionalText = Annotated[str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint=_NO_DEFAULT)]


@dataclass(kw_only=True)
class CommonConfig:
    """Options that every command has."""

    quiet: Annotated[bool, tyro.conf.arg(aliases=("-q",))] = False
    """Print nothing but errors and asked-for output."""
    verbose: Annotated[bool, tyro.conf.arg(aliases=("-v",))] = False
    """Say more of what is done."""
    debug: bool = False
    """As --verbose, with tracebacks for errors and what libraries print."""
    config: OptionalPath = None
    """Options from this TOML file before those of the user's own; none: from no file."""


@dataclass(kw_only=True)
class ModelConfig(CommonConfig):
    """Options of every command that reconstructs."""

    model: str = "face-dpt"
    """Depth model: a name from `rtrecon models list`, or a folder of a model, ours or optimum's."""
    provider: Provider = "auto"
    """Where the depth model runs; auto takes the fastest that proves itself."""
    precision: Annotated[
        Precision | None,
        tyro.conf.arg(metavar="{fp32,fp16,int8}", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Precision of the depth model (default: the model's own best for the provider)."""
    faces: int = 1
    """Faces to follow at most."""
    fov: OptionalFloat = None
    """Diagonal field of view of the camera in degrees (default: 60, which is said)."""
    intrinsics: OptionalPath = None
    """Calibration file, JSON with fx, fy, cx, cy, width, height and optional dist."""
    ipd_mm: float = 63.0
    """Distance between the person's pupils in millimetres; adults have 54 to 74."""
    threads: OptionalInt = None
    """CPU threads of the depth model (default: measured best for the machine)."""
    stats: OptionalPath = None
    """Write figures of the run to this JSON file."""

    def __post_init__(self) -> None:
        if not 1 <= self.faces <= MOST_FACES:
            raise UserError(f"--faces must be 1 to {MOST_FACES}, not {self.faces}")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise UserError(f"--threads must be 1 to {MOST_THREADS}, not {self.threads}")
        if not 40.0 <= self.ipd_mm <= 90.0:
            raise UserError(f"--ipd-mm must be 40 to 90 millimetres, not {self.ipd_mm:g}")
        if self.fov is not None and self.intrinsics is not None:
            raise UserError("give --fov or --intrinsics, not both")
        if self.fov is not None and not 1.0 <= self.fov < 179.0:
            raise UserError(f"--fov must be 1 to 178 degrees, not {self.fov:g}")

    def reconstructor_options(self) -> dict[str, Any]:
        """The keywords of a `Reconstructor`, or of its config, that these options are."""
        return {
            "model": self.model,
            "provider": self.provider,
            "precision": self.precision,
            "faces": self.faces,
            "fov_deg": self.fov,
            "intrinsics": self.intrinsics,
            "ipd_mm": self.ipd_mm,
            "threads": self.threads,
        }


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``"1280x720"`` as (width, height).

    Raises:
        UserError: it is not of that form.
    """
    if text is None:
        return None
    sides = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text.lower())
    if sides is None or not all(0 < int(side) <= _LARGEST_SIDE_PX for side in sides.groups()):
        raise UserError(
            f"a size is written as 1280x720, up to {_LARGEST_SIDE_PX} a side, not {text!r}"
        )
    return int(sides[1]), int(sides[2])
