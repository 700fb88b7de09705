"""Names for what others may add: our own classes, and those of packages with an entry point."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rtrecon.errors import UserError

__all__ = ["Registry"]

logger = logging.getLogger(__name__)


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
