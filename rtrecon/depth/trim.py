"""Leaves out of an ONNX graph what nobody asked for.

ONNX Runtime computes every node of a graph whichever outputs a run names (measured with 1.32:
asking for one output of five took as long as asking for all). So the nodes that lead to
unwanted outputs alone are taken out before a session is opened. The file is read as protocol
buffer fields (https://protobuf.dev/programming-guides/encoding), which spares the base install
the ``onnx`` package; numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

__all__ = ["trim_outputs"]

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_VALUE_NAME = 1
_TENSOR_LOCATION = 14
_BYTES = 2  # the wire type of what has a length


def trim_outputs(model: bytes, keep: Collection[str]) -> bytes | None:
    """``model``, a serialised ONNX file, with ``keep`` as its only outputs.

    Returns None where there is nothing to leave out, or where it cannot be done safely: an
    output of ``keep`` is not there, a node has a graph of its own, or weights lie in a file of
    their own (found by the model's path alone).
    """
    fields = list(_fields(model))
    graphs = [model[a:b] for number, _, a, b in fields if number == _MODEL_GRAPH]
    if len(graphs) != 1:
        return None
    graph = _trim_graph(graphs[0], set(keep))
    if graph is None:
        return None
    return b"".join(
        _with_length(_MODEL_GRAPH, graph) if number == _MODEL_GRAPH else model[start:end]
        for number, start, _, end in fields
    )


def _trim_graph(graph: bytes, keep: set[str]) -> bytes | None:
    fields = list(_fields(graph))
    outputs = {
        _text(graph[a:b], _VALUE_NAME) for number, _, a, b in fields if number == _GRAPH_OUTPUT
    }
    if not keep < outputs:
        return None
    # Nodes are sorted so that each comes after what it needs: one pass from the end will do.
    needed, dropped = set(keep), set()
    for place in range(len(fields) - 1, -1, -1):
        number, start, a, b = fields[place]
        part = graph[a:b]
        if number == _GRAPH_OUTPUT and _text(part, _VALUE_NAME) not in keep:
            dropped.add(start)
        elif number == _GRAPH_INITIALIZER and _is_elsewhere(part):
            return None
        elif number == _GRAPH_NODE:
            if _has_graph(part):
                return None
            if needed.isdisjoint(_texts(part, _NODE_OUTPUT)):
                dropped.add(start)
            else:
                needed.update(_texts(part, _NODE_INPUT))
    return b"".join(graph[start:end] for _, start, _, end in fields if start not in dropped)


def _fields(message: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Number, start of the field, start of its content and end of each field."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        content = at
        if wire == 0:
            _, at = _varint(message, at)
        elif wire == _BYTES:
            length, content = _varint(message, at)
            at = content + length
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"not a protocol buffer: wire type {wire} at byte {start}")
        yield number, start, content, at


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _with_length(number: int, content: bytes) -> bytes:
    head = bytearray([number << 3 | _BYTES])
    length = len(content)
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _texts(message: bytes, wanted: int) -> list[str]:
    return [message[a:b].decode() for number, _, a, b in _fields(message) if number == wanted]


def _text(message: bytes, wanted: int) -> str:
    return next(iter(_texts(message, wanted)), "")


def _has_graph(node: bytes) -> bool:
    return any(
        inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS)
        for number, _, a, b in _fields(node)
        if number == _NODE_ATTRIBUTE
        for inner, *_ in _fields(node[a:b])
    )


def _is_elsewhere(tensor: bytes) -> bool:
    return any(number == _TENSOR_LOCATION and tensor[a] for number, _, a, _ in _fields(tensor))
