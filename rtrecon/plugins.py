"""Names for what others may add, and how it is asked for: ``NAME[:TARGET][?key=value&...]``."""

from __future__ import annotations

import importlib
import inspect
import logging
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from rtrecon.errors import ArgumentError, RtreconError, UserError

__all__ = ["Registry", "Spec", "options_of"]

logger = logging.getLogger(__name__)

_SPEC = re.compile(
    r"(?P<name>[A-Za-z][\w.-]+)(?::(?://)?(?P<target>[^?]*))?(?:\?(?P<query>.*))?", re.DOTALL
)
_SWITCH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_IN_WORDS = {bool: "1 or 0", int: "a whole number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Spec:
    """``record:out?rate_hz=15`` or ``vmc://127.0.0.1:39539``, taken apart."""

    name: str
    target: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Take ``text`` apart.

        Raises:
            ArgumentError: it is not of the form ``NAME[:TARGET][?key=value&...]``.
        """
        match = _SPEC.fullmatch(text)
        if match is None or "\0" in unquote(text):
            raise ArgumentError(f"{text!r} is not of the form NAME[:TARGET][?key=value&...]")
        try:
            pairs = parse_qsl(match["query"] or "", keep_blank_values=True, strict_parsing=True)
        except ValueError as error:
            if match["query"]:
                raise ArgumentError(
                    f"the options of {text!r} are not of the form ?key=value&key=value"
                ) from error
            pairs = []
        options: dict[str, str] = {}
        for key, value in pairs:
            name = key.replace("-", "_")
            if options.setdefault(name, value) != value:
                raise ArgumentError(f"{text!r} says {name} twice: {options[name]!r} and {value!r}")
        return cls(match["name"], match["target"] or "", options)

    def build(self, factory: Callable[..., Any]) -> Any:
        """Call ``factory`` with the target, where there is one, and the options.

        A factory takes the target as its parameter ``target``; its other parameters are the
        options, and their annotations (str, int, float, bool, Path, Literal, None) say how
        the text is read. One whose annotation is a dataclass stands for its fields.

        Raises:
            ArgumentError: it takes no target, or needs one; an option is not known or not
                of its kind.
            UserError: the factory failed.
        """
        try:
            known = options_of(factory)
        except (ValueError, TypeError, NameError) as error:
            raise UserError(f"{self.name} cannot be made: {error}") from error
        target = known.pop("target", None)
        given: dict[str, Any] = {}
        if self.target:
            if target is None:
                raise ArgumentError(f"{self.name} takes no target, such as {self.target!r}")
            given["target"] = _read(self.name, target, self.target)
        elif target is not None and target.default is target.empty:
            raise ArgumentError(f"{self.name} needs a target: {self.name}:TARGET")
        for key, value in self.options.items():
            if key not in known:
                has = ", ".join(known) or "none"
                raise ArgumentError(f"{self.name} has no option {key!r}: it has {has}")
            given[key] = _read(self.name, known[key], value)
        try:
            return factory(**_grouped(factory, given))
        except RtreconError:
            raise
        except Exception as error:  # a stranger's may fail in any way
            logger.debug("%s cannot be made", self.name, exc_info=True)
            raise UserError(f"{self.name} cannot be made: {error!r}") from error


class Registry:
    """What is called by name on the command line, imported only when it is named.

    A package adds its own by an entry point in ``group``; ours keep their names. What others
    have installed is looked up only for a name that is not ours, since that reads the metadata
    of every package.

    Args:
        noun: what it holds, for messages: ``output``.
        group: of the entry points: ``rtrecon.outputs``.
        own: name to ``module:attribute``; modules of the registry's own layer or below.
    """

    def __init__(self, noun: str, group: str, own: Mapping[str, str]) -> None:
        self.noun, self.group = noun, group
        self._own = dict(own)

    def names(self) -> list[str]:
        """All names, ours first."""
        return [*self._own, *(name for name in _installed(self.group) if name not in self._own)]

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return name in self._own or name in _installed(self.group)

    def package(self, name: str) -> str:
        """The distribution that brings ``name``."""
        entry = None if name in self._own else _installed(self.group).get(name)
        return entry.dist.name if entry is not None and entry.dist is not None else "rtrecon"

    def load(self, name: str) -> Any:
        """What is called ``name``, as it stands in its module.

        Raises:
            UserError: there is none of that name, or the package that brings it is broken.
        """
        if name in self._own:
            module, _, attribute = self._own[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        entry = _installed(self.group).get(name)
        if entry is None:
            raise UserError(
                f"there is no {self.noun} {name!r}: take {', '.join(self.names())}, or install "
                f"a package that brings it (entry point {self.group})"
            )
        try:
            return entry.load()
        except Exception as error:  # a stranger's module may fail in any way
            logger.debug("%s %s", self.noun, name, exc_info=True)
            raise UserError(
                f"{self.noun} {name} of the package {self.package(name)} cannot be imported "
                f"({error!r}): upgrade or remove that package"
            ) from error


@cache
def _installed(group: str) -> Mapping[str, EntryPoint]:
    """Entry points of other packages by name, the first of each; read once."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, entry)
    return found


def options_of(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What ``factory`` can be given by name, with annotations resolved; groups by their fields."""
    known: dict[str, inspect.Parameter] = {}
    for name, parameter in _parameters(factory).items():
        is_group = is_dataclass(parameter.annotation)
        known |= _parameters(parameter.annotation) if is_group else {name: parameter}
    return known


def _grouped(factory: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` as ``factory`` takes it: the fields of a group as one value."""
    arguments = dict(given)
    for name, parameter in _parameters(factory).items():
        if is_dataclass(parameter.annotation):
            fields = [key for key in _parameters(parameter.annotation) if key in arguments]
            if fields:
                make: Any = parameter.annotation
                arguments[name] = make(**{key: arguments.pop(key) for key in fields})
    return arguments


def _parameters(factory: Any) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(factory, eval_str=True)
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def _read(owner: str, parameter: inspect.Parameter, text: str) -> Any:
    """``text`` as the kind of value that the parameter's annotation names."""
    kinds = _kinds(parameter.annotation)
    for kind in kinds:
        if kind in (str, Path):
            return kind(text)
        if kind is bool and text.lower() in _SWITCH:
            return _SWITCH[text.lower()]
        if kind in (int, float):
            try:
                number = kind(text)
                if math.isfinite(number):
                    return number
            except (ValueError, OverflowError):
                continue
        if isinstance(kind, str) and kind == text:  # of a Literal
            return text
    wanted = " or ".join(
        kind if isinstance(kind, str) else _IN_WORDS.get(kind, kind.__name__) for kind in kinds
    )
    raise ArgumentError(f"{owner}: {parameter.name} must be {wanted}, not {text!r}")


def _kinds(annotation: Any) -> list[Any]:
    if annotation is inspect.Parameter.empty:
        return [str]
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [
            kind
            for part in typing.get_args(annotation)
            if part is not type(None)
            for kind in _kinds(part)
        ]
    return [annotation]
