"""What the ``rtrecon models`` commands take: dataclasses are the options, docstrings the help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from rtrecon.config import CommonConfig, OptionalInt, OptionalPath, OptionalText, Precision
from rtrecon.errors import UserError

__all__ = [
    "BuildConfig",
    "ExportConfig",
    "ListConfig",
    "ModelsConfig",
    "RemoveConfig",
    "VerifyConfig",
]

_NO_DEFAULT = ""


@dataclass(kw_only=True)
class ListConfig(CommonConfig):
    """Show every model: kind, size, precisions, licence, hash, where it is, engines built."""

    json: bool = False
    """Print JSON instead of a table."""


@dataclass(kw_only=True)
class ExportConfig(CommonConfig):
    """Turn a DPT or Depth Anything checkpoint into a model folder: ONNX, manifest, parity."""

    checkpoint: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ID|DIR")]
    """Hub id such as Intel/dpt-hybrid-midas, or a folder with config.json and safetensors."""
    out: OptionalPath = None
    """Folder to write (default: the user's models folder, under the checkpoint's name)."""
    size: Annotated[
        tuple[int, int] | None,
        tyro.conf.arg(metavar="H W", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Input height and width, equal (default: the checkpoint's own)."""
    precision: Annotated[
        tuple[Precision, ...],
        tyro.conf.arg(metavar="{fp32,fp16,int8}", help_behavior_hint=_NO_DEFAULT),
    ] = ()
    """Precision to write, once for each (default: fp32); one that breaks is refused."""
    opset: int = 17
    """ONNX operator set, 17 to 20."""
    batch: int = 1
    """Crops in one run; the graph's shapes are fixed."""
    pictures: OptionalPath = None
    """Folder, picture or video with faces to calibrate and compare on (default: demo clip)."""
    offline: bool = False
    """Use the local cache alone, as HF_HUB_OFFLINE=1 does."""
    force: bool = False
    """Replace a model that is in the folder already."""

    def __post_init__(self) -> None:
        if self.size is not None and (self.size[0] != self.size[1] or self.size[0] < 16):
            raise UserError(
                f"--size must be two equal numbers of 16 or more (crops are square), not "
                f"{self.size[0]} {self.size[1]}"
            )
        if not 17 <= self.opset <= 20:
            raise UserError(f"--opset must be 17 to 20, not {self.opset}")
        if not 1 <= self.batch <= 16:
            raise UserError(f"--batch must be 1 to 16, not {self.batch}")


@dataclass(kw_only=True)
class BuildConfig(CommonConfig):
    """Build a model's engine for this GPU ahead of time, so that `run` starts at once."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|DIR")]
    """Name from `rtrecon models list`, or a folder with model.json."""
    provider: Literal["tensorrt"] = "tensorrt"
    """Provider that needs building."""
    precision: Annotated[
        Precision | None,
        tyro.conf.arg(metavar="{fp32,fp16,int8}", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Precision to build (default: the model's own best for the provider)."""
    threads: OptionalInt = None
    """CPU threads (default: as `run`)."""


@dataclass(kw_only=True)
class VerifyConfig(CommonConfig):
    """Compare models with their hashes, and run each file once."""

    model: Annotated[
        tyro.conf.Positional[OptionalText],
        tyro.conf.arg(metavar="[NAME|DIR]", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Name or folder (default: every model)."""


@dataclass(kw_only=True)
class RemoveConfig(CommonConfig):
    """Remove a model from the user's folder, with the engines built from it."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Name from `rtrecon models list`; shipped models cannot be removed."""


ModelsConfig = (
    Annotated[ListConfig, tyro.conf.subcommand("list")]
    | Annotated[ExportConfig, tyro.conf.subcommand("export")]
    | Annotated[BuildConfig, tyro.conf.subcommand("build")]
    | Annotated[VerifyConfig, tyro.conf.subcommand("verify")]
    | Annotated[RemoveConfig, tyro.conf.subcommand("remove")]
)
"""The second level of ``rtrecon models``."""
