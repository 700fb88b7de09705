"""What a shell has to know of each command to complete it: words, options, values."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import tyro

from rtrecon.commands.table import COMMANDS, config_types, load

__all__ = ["Completed", "Option", "completed_commands"]

_POSITIONAL = get_args(tyro.conf.Positional[int])[1]


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its spellings, what it is, and the values it may have.

    ``takes`` is nothing of a flag, and else a file, one of ``values``, or any text.
    """

    spellings: tuple[str, ...]
    summary: str
    takes: Literal["nothing", "file", "text"]
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """A command, or a subcommand of one.

    ``words`` is its name, one or two words; ``values`` what may stand without an option, beside
    files.
    """

    words: tuple[str, ...]
    summary: str
    options: tuple[Option, ...]
    values: tuple[str, ...] = ()


def completed_commands() -> list[Completed]:
    """All commands that can be run; imports the options of all of them."""
    found = []
    for name, command in COMMANDS.items():
        for sub, config in config_types(load(command.config)).items():
            words = (name, sub) if sub else (name,)
            summary = command.summary if not sub else (config.__doc__ or "").split("\n")[0]
            found.append(_completed(words, summary, config))
    return found


def _completed(words: tuple[str, ...], summary: str, config: type[Any]) -> Completed:
    hints = typing.get_type_hints(config, include_extras=True)
    documented = _documented(config)
    options = [Option(("-h", "--help"), "Show all options.", "nothing")]
    values: tuple[str, ...] = ()
    for field in dataclasses.fields(config):
        hint = hints[field.name]
        marks = getattr(hint, "__metadata__", ())
        choices = tuple(_choices(hint)) or _known(words[0], field.name)
        if _POSITIONAL in marks:
            values += choices
            continue
        text = re.sub(r"\s+", " ", documented.get(field.name, "")).strip()
        is_flag = _bare(hint) is bool
        no = is_flag and field.default is True
        spelling = f"--{'no-' if no else ''}{field.name.replace('_', '-')}"
        short = [a for mark in marks for a in getattr(mark, "aliases", None) or ()]
        takes: Literal["nothing", "file", "text"] = "text"
        if is_flag:
            takes = "nothing"
        elif Path in set(_parts(hint)) or field.name == "model":
            takes = "file"
        options.append(Option((*short, spelling), text, takes, choices))
    return Completed(words, summary, tuple(options), values)


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if hasattr(hint, "__metadata__") else hint


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    if get_origin(hint) is not Literal:
        for part in get_args(hint):
            yield from _parts(part)


def _choices(hint: Any) -> Iterator[str]:
    """The values of a Literal, or those that the help names: {auto,cpu,...}."""
    for part in _parts(hint):
        if get_origin(part) is Literal:
            yield from (str(choice) for choice in get_args(part))
            return
    for part in _parts(hint):
        for mark in getattr(part, "__metadata__", ()):
            listed = re.match(r"\{([\w,-]+)\}", getattr(mark, "metavar", None) or "")
            if listed:
                yield from listed[1].split(",")
                return


def _known(command: str, name: str) -> tuple[str, ...]:
    """What is there when the script is made: models, outputs, the clip."""
    if name in ("model", "models"):
        from rtrecon.depth.store import list_models

        return tuple(list_models())
    if (command, name) in (("run", "out"), ("avatar-check", "outputs")):
        from rtrecon.outputs.registry import OUTPUTS

        return tuple(OUTPUTS.names())
    return ("demo",) if name == "source" else ()


def _documented(config: type[Any]) -> dict[str, str]:
    """The texts below the fields, of what the class inherits too."""
    found: dict[str, str] = {}
    for kind in reversed(config.__mro__):
        if not dataclasses.is_dataclass(kind):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                found[field.target.id] = str(text.value.value)
    return found
