"""Options that stand in a file: the user's own ``config.toml``, and that of ``--config``.

::

    ipd-mm = 64.5            # of every command that has the option
    [run]
    source = "Logitech"
    faces = 2
    [models.export]
    precision = ["fp32", "fp16"]

The command line wins over ``--config``, which wins over the user's own.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import platformdirs
import tyro

from rtrecon.config import CommonConfig, ModelConfig
from rtrecon.errors import DataError, UserError

__all__ = [
    "NONE",
    "OptionsFile",
    "check_options",
    "read_options",
    "user_options_path",
    "with_options",
]

NONE = "none"
"""As ``--config``: no file at all, nor the user's own."""

_SHORT = {"-q": "quiet", "-v": "verbose", "-o": "out"}
_EITHER = (("fov", "intrinsics"), ("person", "calibrate"))  # the nearer one puts the other out
_POSITIONAL = get_args(tyro.conf.Positional[int])[1]
_LARGEST_BYTES = 1 << 20

Config = TypeVar("Config", bound=CommonConfig)


@dataclass(frozen=True, slots=True)
class OptionsFile:
    """A file of options: its tables as they stand there."""

    path: Path
    tables: Mapping[str, Any]


def user_options_path() -> Path:
    """The user's own file, whether it is there or not."""
    return Path(platformdirs.user_config_dir("rtrecon", appauthor=False), "config.toml")


def read_options(path: Path, commands: Collection[str], *, must: bool = True) -> OptionsFile | None:
    """The file; None where it is not there and need not be.

    Raises:
        DataError: it cannot be read, is not TOML, or has a table that is no command's.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise DataError(f"options {path}: it is no file: name one in TOML")
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise DataError(f"options {path}: it has more than {_LARGEST_BYTES >> 10} KiB")
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError) as error:
        if not must:
            return None
        raise DataError(f"there is no file {path} (--config; none: without any)") from error
    except OSError as error:
        raise DataError(f"options {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"options {path} are no TOML ({error}): write KEY = VALUE, texts in quotes"
        ) from error
    file_ = OptionsFile(path, tables)
    for name, value in tables.items():
        if isinstance(value, dict):
            if name not in commands:
                raise _unknown(path, f"there is no command [{name}]", name, commands)
        else:
            _check_common(path, name, value, commands)
    return file_


def check_options(file: OptionsFile, name: str, configs: Mapping[str, type[CommonConfig]]) -> None:
    """Refuse what is wrong in the table of the command ``name``.

    Args:
        file: to look at.
        name: a command.
        configs: its options, by subcommand; by "" those of a command without.

    Raises:
        DataError: a key is unknown, or its value of the wrong kind.
    """
    table = file.tables.get(name, {})
    if "" in configs:
        _values(file.path, name, table, configs[""])
        return
    for sub, inner in table.items():
        if sub not in configs or not isinstance(inner, dict):
            raise _unknown(file.path, f"[{name}] has no command {sub!r}", sub, configs)
        _values(file.path, f"{name}.{sub}", inner, configs[sub])


def with_options(
    config: Config, table: Sequence[str], arguments: Sequence[str], files: Sequence[OptionsFile]
) -> tuple[Config, dict[str, Path]]:
    """``config`` with what ``files`` say, and where each option is from.

    Args:
        config: as the command line has it.
        table: the command's name, and its subcommand's.
        arguments: of the command line: what they name stays.
        files: the nearest first.

    Raises:
        DataError: a key is unknown, or its value of the wrong kind.
        UserError: the options cannot be together; says which file has a part in it.
    """
    kind = type(config)
    named = _named(config, arguments)
    values: dict[str, Any] = {}
    places: dict[str, Path] = {}
    for file in files:
        own: Any = file.tables
        for name in table:
            own = own.get(name, {})
        found = {**_common(file, kind), **_values(file.path, ".".join(table), own, kind)}
        for name, value in found.items():
            if not _is_settled(name, {*named, *places}):
                values[name] = value
        places |= {name: file.path for name in found if name in values and name not in places}
    if not values:
        return config, {}
    try:
        return dataclasses.replace(config, **values), places
    except UserError as error:
        guilty = [name for name in places if _option(name) in str(error)] or list(places)
        said = ", ".join(f"{_key(name)} is set in {places[name]}" for name in guilty)
        raise type(error)(f"{error} ({said})") from error


def _is_settled(name: str, before: Collection[str]) -> bool:
    others = {other for pair in _EITHER if name in pair for other in pair}
    return name in before or bool(others & set(before))


def _named(config: CommonConfig, arguments: Sequence[str]) -> set[str]:
    """The options that a command line has, and the arguments that it has without a name."""
    named = set()
    for argument in arguments:
        if argument == "--":
            break
        word = argument.partition("=")[0]
        if word.startswith("--"):
            name = word[2:].replace("-", "_")
            named |= {name, name.removeprefix("no_")}
        elif word in _SHORT:
            named.add(_SHORT[word])
    # What has no name on the command line was given where it is not as it would be else.
    hints = typing.get_type_hints(type(config), include_extras=True)
    return named | {
        name
        for name, field in _fields(type(config)).items()
        if _POSITIONAL in getattr(hints[name], "__metadata__", ())
        and getattr(config, name) != _default(field)
    }


def _fields(kind: type[CommonConfig]) -> dict[str, dataclasses.Field[Any]]:
    """What a file can set: a command's options that can be left out."""
    found = {field.name: field for field in dataclasses.fields(kind) if field.init}
    return {
        name: field
        for name, field in found.items()
        if name != "config" and _default(field) is not dataclasses.MISSING
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _common(file: OptionsFile, kind: type[CommonConfig]) -> dict[str, Any]:
    """What stands before the tables, as far as this command has it."""
    base = ModelConfig if issubclass(kind, ModelConfig) else CommonConfig
    hints, shared = typing.get_type_hints(kind), _fields(base)
    values = {}
    for key, value in file.tables.items():
        name = key.replace("-", "_")
        if isinstance(value, dict) or name not in shared:
            continue
        try:
            values[name] = _fitted(hints[name], value)
        except TypeError:  # bench counts several numbers of faces
            continue
    return values


def _check_common(path: Path, key: str, value: Any, commands: Collection[str]) -> None:
    fields = _fields(ModelConfig)
    name = key.replace("-", "_")
    if name not in fields:
        keys = [_key(name) for name in fields]
        raise _unknown(
            path,
            f"{key!r} is no option that commands have in common",
            key,
            [*keys, *commands],
            "an option of one command stands under its name, such as [run]",
        )
    _fit(path, key, typing.get_type_hints(ModelConfig)[name], value)


def _values(path: Path, table: str, values: Any, kind: type[CommonConfig]) -> dict[str, Any]:
    """The fields that a table sets."""
    if not isinstance(values, dict):
        raise DataError(f"options {path}: {table!r} must be a table: write [{table}] above it")
    fields, hints = _fields(kind), typing.get_type_hints(kind)
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in fields:
            command = table.replace(".", " ")
            raise _unknown(
                path,
                f"[{table}] has no option {key!r}",
                key,
                [_key(name) for name in fields],
                f"`rtrecon {command} --help` lists them",
            )
        if name in found:
            raise DataError(f"options {path}: [{table}] has {_key(name)} twice: leave one")
        found[name] = _fit(path, f"[{table}] {key}", hints[name], value)
    return found


def _unknown(path: Path, what: str, name: str, known: Collection[str], more: str = "") -> DataError:
    near = difflib.get_close_matches(name.replace("_", "-"), known, 1, 0.6)
    meant = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(sorted(known))}"
    return DataError(f"options {path}: {what}: {meant}{'; ' if more else ''}{more}")


def _fit(path: Path, key: str, hint: Any, value: Any) -> Any:
    try:
        return _fitted(hint, value)
    except TypeError:
        wanted = " or ".join(dict.fromkeys(_words(hint)))
        raise DataError(f"options {path}: {key} must be {wanted}, not {value!r:.80}") from None


def _fitted(hint: Any, value: Any) -> Any:
    """``value`` as a field of this type has it.

    Raises:
        TypeError: it is of another kind.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for choice in inner:
            try:
                return _fitted(choice, value)
            except TypeError:
                continue
        raise TypeError
    if origin is Literal:
        if any(value == choice and type(value) is type(choice) for choice in inner):
            return value
        raise TypeError
    if origin in (list, tuple):
        given = value if isinstance(value, list) else [value]
        kinds = inner if origin is tuple and inner[-1] is not Ellipsis else inner[:1] * len(given)
        if len(kinds) != len(given):
            raise TypeError
        return origin(_fitted(kind, one) for kind, one in zip(kinds, given, strict=True))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value).expanduser()
    # The number of a camera may stand without quotes.
    if hint is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if hint in (bool, int, str) and type(value) is hint:
        return value
    raise TypeError


def _words(hint: Any) -> Iterator[str]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        for choice in inner:
            yield from _words(choice)
    elif origin is Literal:
        yield "one of " + ", ".join(str(choice) for choice in inner)
    elif origin in (list, tuple):
        count = str(len(inner)) if origin is tuple and inner[-1] is not Ellipsis else "a list"
        yield f"{count} of: {' or '.join(_words(inner[0]))}"
    else:
        plain = {bool: "true or false", int: "a whole number", float: "a number"}
        if hint is not type(None):
            yield plain.get(hint, "a text in quotes")


def _key(name: str) -> str:
    return name.replace("_", "-")


def _option(name: str) -> str:
    return f"--{_key(name)}"
