"""``rtrecon models list|export|build|verify|remove``."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict

from rtrecon.errors import RtreconError
from rtrecon.zoo.config import (
    BuildConfig,
    ExportConfig,
    ListConfig,
    RemoveConfig,
    VerifyConfig,
)

__all__ = ["run_models"]

logger = logging.getLogger(__name__)


def run_models(
    config: ListConfig | ExportConfig | BuildConfig | VerifyConfig | RemoveConfig,
) -> int:
    """Do what the subcommand says; returns the exit code.

    Raises:
        RtreconError: it cannot be done; says why.
    """
    if isinstance(config, ListConfig):
        return _list(config)
    if isinstance(config, ExportConfig):
        return _export(config)
    if isinstance(config, BuildConfig):
        return _build(config)
    if isinstance(config, VerifyConfig):
        return _verify(config)
    return _remove(config)


def _list(config: ListConfig) -> int:
    from rtrecon.zoo.store import summarise_models

    models = summarise_models()
    if config.json:
        rows = [{**asdict(model), "folder": str(model.folder)} for model in models]
        print(json.dumps(rows, indent=1))  # noqa: T201
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
    widths = [max(len(row[k]) for row in table) for k in range(len(header))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())  # noqa: T201
    for model in models:
        if model.problem:
            logger.warning("%s", model.problem)
    return 0


def _export(config: ExportConfig) -> int:
    from rtrecon.zoo.export import export_model

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
    )
    for parity in result.parity.values():
        print(parity)  # noqa: T201
    print(f"wrote {result.folder}: use it with --model {_how(config, result.name)}")  # noqa: T201
    return 0


def _how(config: ExportConfig, name: str) -> str:
    return name if config.out is None else str(config.out)


def _build(config: BuildConfig) -> int:
    from rtrecon.depth.providers.build import build_engine

    built = build_engine(config.model, config.provider, config.precision, config.threads)
    print(built)  # noqa: T201
    return 0


def _verify(config: VerifyConfig) -> int:
    from rtrecon.depth.store import list_models
    from rtrecon.zoo.store import verify_model

    if config.model is not None:
        print(f"{config.model}: {', '.join(verify_model(config.model))} verified")  # noqa: T201
        return 0
    code = 0
    for name, folder in list_models().items():
        try:
            print(f"{name}: {', '.join(verify_model(folder))} verified")  # noqa: T201
        except RtreconError as error:
            logger.error("%s", error)
            code = error.exit_code
    return code


def _remove(config: RemoveConfig) -> int:
    from rtrecon.zoo.store import remove_model

    print(f"removed {remove_model(config.model)}")  # noqa: T201
    return 0
