"""``rtrecon models list|export|import|build|verify|remove``: the options, and what is done.

The dataclasses are the options, their docstrings the help.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import tyro

from rtrecon.config import (
    CommonConfig,
    OptionalInt,
    OptionalOut,
    OptionalPath,
    OptionalText,
    Precision,
)
from rtrecon.console import Progress, say
from rtrecon.errors import RtreconError, UserError
from rtrecon.shown import plain

__all__ = [
    "BuildConfig",
    "ExportConfig",
    "ImportConfig",
    "ListConfig",
    "ModelsConfig",
    "RemoveConfig",
    "VerifyConfig",
    "run_models",
]

logger = logging.getLogger(__name__)

_NO_DEFAULT = ""


def _check_size(size: tuple[int, int] | None) -> None:
    if size is not None and not 16 <= size[0] == size[1] <= 2048:
        raise UserError(
            f"--size must be two equal numbers from 16 to 2048 (crops are square), not "
            f"{size[0]} {size[1]}"
        )


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
    out: OptionalOut = None
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
        _check_size(self.size)
        if not 17 <= self.opset <= 20:
            raise UserError(f"--opset must be 17 to 20, not {self.opset}")
        if not 1 <= self.batch <= 16:
            raise UserError(f"--batch must be 1 to 16, not {self.batch}")


@dataclass(kw_only=True)
class ImportConfig(CommonConfig):
    """Take in a model that `optimum-cli export onnx` wrote, or one ONNX file: manifest, hashes."""

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR|FILE.onnx|ID")]
    """Folder with config.json and model.onnx, an ONNX file, or a hub id (onnx-community/...)."""
    name: OptionalText = None
    """Name for the model (default: that of the folder, file or repository)."""
    out: OptionalOut = None
    """Folder to write (default: the user's models folder, under the name)."""
    precision: Annotated[
        tuple[Precision, ...],
        tyro.conf.arg(metavar="{fp32,fp16,int8}", help_behavior_hint=_NO_DEFAULT),
    ] = ()
    """Which of model.onnx, model_fp16.onnx, model_quantized.onnx to take (default: the first)."""
    kind: Annotated[
        Literal["inverse", "metric"] | None,
        tyro.conf.arg(metavar="{inverse,metric}", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """What its values are: larger is nearer, or metres (default: as its config.json says)."""
    output: OptionalText = None
    """The graph's output that is depth (default: predicted_depth, or the only one)."""
    size: Annotated[
        tuple[int, int] | None,
        tyro.conf.arg(metavar="H W", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Input height and width, equal (default: as its files say)."""
    mean: Annotated[
        tuple[float, float, float] | None,
        tyro.conf.arg(metavar="R G B", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """What is taken from its pictures, 0 to 1 (default: as preprocessor_config.json says)."""
    std: Annotated[
        tuple[float, float, float] | None,
        tyro.conf.arg(metavar="R G B", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """What they are divided by then (default: as preprocessor_config.json says)."""
    color: Annotated[
        Literal["RGB", "BGR"] | None,
        tyro.conf.arg(metavar="{RGB,BGR}", help_behavior_hint=_NO_DEFAULT),
    ] = None
    """Order of its channels (default: RGB)."""
    offline: bool = False
    """Use the hub's local cache alone, as HF_HUB_OFFLINE=1 does."""
    force: bool = False
    """Replace a model that is in the folder already."""

    def __post_init__(self) -> None:
        _check_size(self.size)
        if self.std is not None and min(self.std) <= 0.0:
            raise UserError(f"--std must be three numbers above zero, not {self.std}")


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
    | Annotated[ImportConfig, tyro.conf.subcommand("import")]
    | Annotated[BuildConfig, tyro.conf.subcommand("build")]
    | Annotated[VerifyConfig, tyro.conf.subcommand("verify")]
    | Annotated[RemoveConfig, tyro.conf.subcommand("remove")]
)
"""The second level of ``rtrecon models``."""


def run_models(
    config: (ListConfig | ExportConfig | ImportConfig | BuildConfig | VerifyConfig | RemoveConfig),
) -> int:
    """Do what the subcommand says; returns the exit code.

    Raises:
        RtreconError: it cannot be done; says why.
    """
    if isinstance(config, ListConfig):
        return _list(config)
    if isinstance(config, ExportConfig):
        return _export(config)
    if isinstance(config, ImportConfig):
        return _import(config)
    if isinstance(config, BuildConfig):
        return _build(config)
    if isinstance(config, VerifyConfig):
        return _verify(config)
    return _remove(config)


def _list(config: ListConfig) -> int:
    from rtrecon.models.store import summarise_models

    models = summarise_models()
    if config.json:
        rows = [{**asdict(model), "folder": str(model.folder)} for model in models]
        say(json.dumps(rows, indent=1))
        return 0
    header = ("NAME", "KIND", "SIZE", "PRECISIONS", "LICENCE", "SHA-256", "ENGINES", "WHERE")
    table = [header] + [
        (
            model.name,
            model.kind,
            f"{model.size_px}",
            ",".join(model.precisions) or "-",
            model.licence or "-",
            model.sha256[:12] or "-",
            ",".join(model.engines) or "-",
            f"{model.place}: {model.folder}",
        )
        for model in models
    ]
    shown = [[plain(cell) for cell in row] for row in table]
    widths = [max(len(row[k]) for row in shown) for k in range(len(header))]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
    for model in models:
        if model.problem:
            logger.warning("%s", model.problem)
    return 0


def _export(config: ExportConfig) -> int:
    from rtrecon.models.export import export_model

    with Progress("steps", None, quiet=config.quiet) as progress:
        result = export_model(
            config.checkpoint,
            config.out,
            size_px=config.size[0] if config.size else None,
            precisions=config.precision or ("fp32",),
            opset=config.opset,
            batch=config.batch,
            pictures=config.pictures,
            offline=config.offline,
            force=config.force,
            progress=progress,
        )
    for parity in result.parity.values():
        say(str(parity))
    say(f"wrote {result.folder}: use it with --model {_how(config, result.name)}")
    return 0


def _import(config: ImportConfig) -> int:
    from rtrecon.depth.exported import Given
    from rtrecon.models.importing import import_model

    result = import_model(
        config.source,
        config.out,
        name=config.name,
        given=Given(
            kind=config.kind,
            output=config.output,
            size_px=config.size[0] if config.size else None,
            mean=config.mean,
            std=config.std,
            color=config.color,
        ),
        precisions=config.precision,
        offline=config.offline,
        force=config.force,
    )
    told, picture = result.manifest, result.manifest["input"]
    say(
        f"{told['kind']} depth of {picture['size'][1]}x{picture['size'][0]} {picture['color']}, "
        f"{', '.join(told['files'])}, mean {picture['mean']}, std {picture['std']}; "
        f"licence: {told['licence']}"
    )
    say(f"wrote {result.folder}: use it with --model {_how(config, result.name)}")
    return 0


def _how(config: ExportConfig | ImportConfig, name: str) -> str:
    return name if config.out is None else str(config.out)


def _build(config: BuildConfig) -> int:
    from rtrecon.depth.providers.build import build_engine

    built = build_engine(config.model, config.provider, config.precision, config.threads)
    say(str(built))
    return 0


def _verify(config: VerifyConfig) -> int:
    from rtrecon.depth.store import list_models
    from rtrecon.models.store import verify_model, verify_shipped

    if config.model is not None:
        say(f"{config.model}: {', '.join(verify_model(config.model))} verified")
        return 0
    code = 0
    try:
        say(f"shipped: {', '.join(verify_shipped())} verified")
    except RtreconError as error:
        logger.error("%s", error)
        code = error.exit_code
    for name, folder in list_models().items():
        try:
            say(f"{name}: {', '.join(verify_model(folder))} verified")
        except RtreconError as error:
            logger.error("%s", error)
            code = error.exit_code
    return code


def _remove(config: RemoveConfig) -> int:
    from rtrecon.models.store import remove_model

    say(f"removed {remove_model(config.model)}")
    return 0
