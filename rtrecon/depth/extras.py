"""What a network says of a face beside its depth: coefficients, landmarks, rotation.

A network may give any of them or none; the manifest names its outputs. Each is checked where
the model is opened, as far as its graph tells, and again with the first answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtrecon.depth.manifest import Manifest
from rtrecon.errors import DataError, ModelError
from rtrecon.types import Float32Array

__all__ = ["EXTRAS", "Extras", "named_outputs", "wanted_extras"]

EXTRAS = ("expression", "landmarks", "rotation")
"""The outputs a caller may do without."""


@dataclass(frozen=True, slots=True)
class Extras:
    """The extra outputs of one model that somebody asks for, and the shape of each.

    ``outputs`` maps a role of `EXTRAS` to the graph's name; ``expression_names`` are the
    manifest's own, or numbers where it names none; empty without coefficients.
    """

    model: str
    outputs: dict[str, str]
    expression_names: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest, nodes: Sequence[Any], wanted: Collection[str]) -> Extras:
        """Those of ``wanted`` that the manifest has; ``nodes`` are the graph's outputs.

        Raises:
            ModelError: the graph has another shape than the one that is due.
        """
        outputs = named_outputs(manifest, wanted)
        shapes = {node.name: tuple(node.shape) for node in nodes}
        names: tuple[str, ...] = ()
        if outputs.get("expression") in shapes:
            names = manifest.expression_names
            count = shapes[outputs["expression"]][-1:]
            if not names and not all(isinstance(size, int) for size in count):
                raise ModelError(
                    f"model {manifest.name} does not say how many coefficients of expression it "
                    'gives: name them in its manifest ("expression_names")'
                )
            names = names or tuple(str(k) for k in range(*count))
        extras = cls(manifest.name, outputs, names)
        for role, name in outputs.items():
            rest = shapes.get(name, ())[1:]
            if rest and all(isinstance(size, int) for size in rest):
                extras._check(role, rest)
        return extras

    def read(self, role: str, output: Any, batch: int) -> Float32Array | None:
        """(batch, ...) float32 of what the graph gave for ``role``; None where it gave nothing.

        Raises:
            ModelError: it is of another shape than the one that is due.
        """
        if output is None:
            return None
        values = np.asarray(output, dtype=np.float32)
        if values.shape[:1] != (batch,):
            values = values[np.newaxis]
        self._check(role, values.shape[1:])
        return values.reshape(batch, *self._due(role))

    def _due(self, role: str) -> tuple[int, ...]:
        return {"landmarks": (68, 2), "rotation": (3, 3)}.get(role, (len(self.expression_names),))

    def _check(self, role: str, shape: tuple[int, ...]) -> None:
        due = self._due(role)
        if shape in (due, (int(np.prod(due)),)):
            return
        what = f"{due[0]} named coefficients" if role == "expression" else f"{due}"
        raise ModelError(
            f"model {self.model} gives {shape} for its {role} where {what} are due: its manifest "
            "does not fit its ONNX file"
        )


def named_outputs(manifest: Manifest, wanted: Collection[str]) -> dict[str, str]:
    """Role to the graph's name of the ``wanted`` extras that the manifest has."""
    named = {role: getattr(manifest, role) for role in EXTRAS if role in wanted}
    return {role: name for role, name in named.items() if name is not None}


def wanted_extras(wanted: Collection[str]) -> frozenset[str]:
    """Checked names of `EXTRAS`.

    Raises:
        DataError: one of them is not.
    """
    for role in wanted:
        if role not in EXTRAS:
            raise DataError(f"a model has no extra output {role!r}: take {', '.join(EXTRAS)}")
    return frozenset(wanted)
