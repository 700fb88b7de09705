"""Leaves out of an ONNX graph what nobody asked for.

ONNX Runtime computes every node of a graph whichever outputs a run names (measured with 1.32:
asking for one output of five took as long as asking for all). So the nodes that lead to
unwanted outputs alone are taken out before a session is opened. Numbers are those of
``onnx.proto``.
"""

from __future__ import annotations

from collections.abc import Collection

from rtrecon.depth.onnx_file import fields_of

__all__ = ["trim_outputs"]

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_OUTPUT = 1, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS = 6, 11
_VALUE_NAME = 1
_BYTES = 2  # the wire type of what has a length


def trim_outputs(model: bytes, keep: Collection[str]) -> bytes | None:
    """``model``, a serialised ONNX file, with ``keep`` as its only outputs.

    Returns None where there is nothing to leave out, or where it cannot be done safely: an
    output of ``keep`` is not there, or a node has a graph of its own. Weights in other files are
    the caller's to refuse (`rtrecon.depth.onnx_file`).
    """
    fields = list(fields_of(model))
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
    fields = list(fields_of(graph))
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
        elif number == _GRAPH_NODE:
            if _has_graph(part):
                return None
            if needed.isdisjoint(_texts(part, _NODE_OUTPUT)):
                dropped.add(start)
            else:
                needed.update(_texts(part, _NODE_INPUT))
    return b"".join(graph[start:end] for _, start, _, end in fields if start not in dropped)


def _with_length(number: int, content: bytes) -> bytes:
    head = bytearray([number << 3 | _BYTES])
    length = len(content)
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + content


def _texts(message: bytes, wanted: int) -> list[str]:
    return [message[a:b].decode() for number, _, a, b in fields_of(message) if number == wanted]


def _text(message: bytes, wanted: int) -> str:
    return next(iter(_texts(message, wanted)), "")


def _has_graph(node: bytes) -> bool:
    return any(
        inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS)
        for number, _, a, b in fields_of(node)
        if number == _NODE_ATTRIBUTE
        for inner, *_ in fields_of(node[a:b])
    )
