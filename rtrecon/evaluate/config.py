"""Options of ``rtrecon eval``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from rtrecon.config import ModelConfig, OptionalInt, OptionalOut, OptionalPath
from rtrecon.errors import UserError

__all__ = ["BASELINES", "EvalConfig"]

BASELINES = ("plane", "mean-head")


@dataclass(kw_only=True)
class EvalConfig(ModelConfig):
    """Score models against a dataset with measured depth."""

    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
    """Folder with rgb/ID.png, depth/ID.png, optional face/ID.png, and meta.json."""
    model: list[str] = field(default_factory=list)  # type: ignore[assignment]
    """Depth model to score; give it several times to compare (default: face-dpt)."""
    baselines: str = ",".join(BASELINES)
    """What to score beside the models, of plane,mean-head; none for no baseline."""
    passes: int = 1
    """Views of each face to average over, as `rtrecon image` does; 1 is the live path."""
    heads: bool = True
    """Score the head model fitted to what a model with landmarks sees, and both averaged."""
    video: bool = False
    """The frames are a video in order: filter over time, and report jitter."""
    coefficients: bool = False
    """Print a line for each coefficient of expression as well."""
    max_frames: OptionalInt = None
    """Score the first so many frames alone."""
    json: OptionalPath = None
    """Write all figures, each frame's too, to this JSON file."""
    out: OptionalOut = None
    """Write a plot over the frames and an error map per frame into this folder."""

    def __post_init__(self) -> None:
        ModelConfig.__post_init__(self)
        if self.max_frames is not None and self.max_frames < 1:
            raise UserError(f"--max-frames must be 1 or more, not {self.max_frames}")
        self.baseline_list()
        # An appending option adds to its default, so the default cannot stand in the field.
        self.model = self.model or ["face-dpt"]

    def baseline_list(self) -> tuple[str, ...]:
        """The baselines to score.

        Raises:
            UserError: one of them is not known.
        """
        names = [name.strip() for name in self.baselines.split(",")]
        names = [name for name in names if name and name != "none"]
        unknown = [name for name in names if name not in BASELINES]
        if unknown:
            raise UserError(f"--baselines knows {', '.join(BASELINES)}, not {', '.join(unknown)}")
        return tuple(dict.fromkeys(names))
