"""``rtrecon outputs``: what results can go to, and what each needs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from inspect import Parameter, cleandoc
from typing import Any

from rtrecon.config import CommonConfig
from rtrecon.console import say
from rtrecon.errors import RtreconError
from rtrecon.plugins import Registry, options_of
from rtrecon.shown import plain

__all__ = ["OutputsConfig", "run_outputs"]


@dataclass(kw_only=True)
class OutputsConfig(CommonConfig):
    """List what results can go to, and what each needs."""

    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """One line of the list; ``missing`` is empty where it works on this machine."""

    name: str
    spelling: str
    options: dict[str, str]
    summary: str
    package: str
    missing: str


def run_outputs(config: OutputsConfig) -> int:
    """Print all outputs; 0."""
    from rtrecon.outputs.registry import OUTPUTS

    listed = [_look_at(OUTPUTS, name) for name in OUTPUTS.names()]
    if config.json:
        say(json.dumps([asdict(output) for output in listed], indent=1))
        return 0
    for output in listed:
        brought = "" if output.package == "rtrecon" else f" (package {output.package})"
        say(plain(f"{output.spelling}{brought}: {output.summary}"))
        for option, default in output.options.items():
            say(f"    ?{option}={default}")
        say(f"    {output.missing or 'ready'}")
    say("\nrtrecon run --out NAME[:TARGET][?key=value&...], as often as you like")
    return 0


def _look_at(registry: Registry, name: str) -> _Listed:
    package = registry.package(name)
    try:
        factory: Any = registry.load(name)
        options = options_of(factory)
        target = options.pop("target", None)
        missing = factory.missing() if hasattr(factory, "missing") else ""
    except (RtreconError, ValueError, TypeError) as error:
        return _Listed(name, name, {}, "", package, f"broken: {error}")
    spelling = name
    if target is not None:
        spelling = f"{name}:TARGET" if target.default is Parameter.empty else f"{name}[:TARGET]"
    summary = getattr(factory, "summary", "") or cleandoc(factory.__doc__ or "").split("\n")[0]
    shown = {key: _default(option) for key, option in options.items()}
    return _Listed(name, spelling, shown, summary, package, missing)


def _default(option: Parameter) -> str:
    return "..." if option.default in (Parameter.empty, None) else str(option.default)
