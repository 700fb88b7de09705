"""What an ONNX graph takes and gives, read without the ``onnx`` package or a session.

Numbers of fields are those of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rtrecon.depth.onnx_file import fields_of

__all__ = ["Port", "Signature", "read_signature"]

_GRAPH = 7
_INITIALISER, _INPUT, _OUTPUT = 5, 11, 12
_TENSOR_NAME, _VALUE_NAME, _VALUE_TYPE = 8, 1, 2
_ELEMENTS = {1: "float", 2: "uint8", 10: "float16", 11: "double", 16: "bfloat16"}


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output: ``shape`` has a number, or a name, for each axis; None: not said."""

    name: str
    element: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        axes = "?" if self.shape is None else ", ".join(str(axis) for axis in self.shape)
        return f"{self.name} ({axes}) {self.element}"


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a graph, in its order; weights are no inputs."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def read_signature(model: bytes) -> Signature:
    """Of a serialised model.

    Raises:
        ValueError: it is not a protocol buffer, or has no graph.
    """
    graphs = list(_inner(memoryview(model), _GRAPH))
    if not graphs:
        raise ValueError("there is no graph in it")
    graph = graphs[-1]
    weights = {_text(tensor, _TENSOR_NAME) for tensor in _inner(graph, _INITIALISER)}
    inputs = (_port(value) for value in _inner(graph, _INPUT))
    return Signature(
        tuple(port for port in inputs if port.name not in weights),
        tuple(_port(value) for value in _inner(graph, _OUTPUT)),
    )


def _port(value: memoryview) -> Port:
    element, shape = "?", None
    for tensor in (t for kind in _inner(value, _VALUE_TYPE) for t in _inner(kind, 1)):
        for number, _, start, end in fields_of(tensor):
            if number == 1:
                element = _ELEMENTS.get(_number(tensor[start:end]), "another type")
            elif number == 2:
                shape = tuple(_axis(axis) for axis in _inner(tensor[start:end], 1))
    return Port(_text(value, _VALUE_NAME), element, shape)


def _axis(axis: memoryview) -> int | str:
    for number, _, start, end in fields_of(axis):
        if number == 1:
            return _number(axis[start:end])
        if number == 2:
            return bytes(axis[start:end]).decode("utf-8", "replace")
    return "?"


def _inner(message: memoryview, field: int) -> Iterator[memoryview]:
    for number, _, start, end in fields_of(message):
        if number == field:
            yield message[start:end]


def _text(message: memoryview, field: int) -> str:
    return next((bytes(part).decode("utf-8", "replace") for part in _inner(message, field)), "")


def _number(varint: memoryview) -> int:
    value = 0
    for place, byte in enumerate(varint):
        value |= (byte & 0x7F) << 7 * place
    return value
