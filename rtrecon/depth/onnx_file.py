"""An ONNX file as bytes that have been looked at: what was hashed is what is opened.

A graph may keep weights in other files, which the hash of its own does not cover; such a file is
refused. It is read as protocol buffer fields (https://protobuf.dev/programming-guides/encoding),
which spares the base install the ``onnx`` package; numbers are those of ``onnx.proto``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from rtrecon.errors import ModelError

__all__ = ["fields_of", "find_reference", "read_onnx"]

_BYTES = 2  # the wire type of what has a length
_LONGEST_VARINT = 10
_LARGEST_BYTES = 1 << 31  # of a protocol buffer
_DEEPEST = 100  # messages in messages, as protocol buffers themselves allow

# Of each message the fields that lead to tensors and nodes, and which message each is.
_INNER: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "tensor": {},
}
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
_NODE_KIND = 4


def read_onnx(path: Path, sha256: str | None = None) -> bytes:
    """The contents of a model file, compared with its hash.

    Args:
        sha256: 64 hexadecimal digits; None: not known.

    Raises:
        ModelError: the file is missing, is not the one that the hash speaks of, is not ONNX, or
            needs other files.
    """
    try:
        size = path.stat().st_size
        if not path.is_file() or size > _LARGEST_BYTES:
            raise ModelError(
                f"{path} cannot be run, it is not an ONNX file (which is a file of 2 GiB at most): "
                "fetch the model again"
            )
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(
            f"cannot read model file {path}: {reason}; fetch the model again"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise ModelError(
            f"{path} is damaged or was replaced: its SHA-256 is {found}, "
            f"the manifest says {sha256}; fetch the model again"
        )
    try:
        reference = find_reference(content)
    except ValueError as error:
        raise ModelError(
            f"{path} cannot be run, it is not an ONNX file ({error}): fetch the model again"
        ) from error
    if reference is not None:
        raise ModelError(
            f"{path} needs another file ({reference}), which its hash does not cover: put all into "
            "one with onnx.save(onnx.load(PATH), PATH)"
        )
    return content


def find_reference(model: bytes) -> str | None:
    """What in a serialised model refers to another file; None where nothing does.

    Raises:
        ValueError: it is not a protocol buffer.
    """
    todo = [("model", memoryview(model), 0)]
    while todo:
        kind, message, depth = todo.pop()
        if depth > _DEEPEST:
            raise ValueError("messages too deep in each other")
        inner = _INNER[kind]
        for number, _, start, end in fields_of(message):
            if kind == "tensor":
                if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and message[start]):
                    return f"the weights {_name_of(message)!r}"
            elif kind == "node" and number == _NODE_KIND:
                if bytes(message[start:end]) == b"EPContext":
                    return "a compiled EPContext"
            elif number in inner:
                todo.append((inner[number], message[start:end], depth + 1))
    return None


def fields_of(message: bytes | memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Number, start of the field, start of its content and end of each field.

    Raises:
        ValueError: it is not a protocol buffer.
    """
    at, length = 0, len(message)
    while at < length:
        start = at
        tag, at = _varint(message, at)
        number, wire = (tag & 0xFFFFFFFF) >> 3, tag & 7
        content = at
        if wire == 0:
            _, at = _varint(message, at)
        elif wire == _BYTES:
            size, content = _varint(message, at)
            at = content + size
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"not a protocol buffer: wire type {wire} at byte {start}")
        if at > length:
            raise ValueError(f"cut short in the field at byte {start}")
        yield number, start, content, at


def _varint(message: bytes | memoryview, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(message):
            raise ValueError("cut short in a number")
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError(f"not a protocol buffer: a number without end at byte {at}")


def _name_of(tensor: memoryview) -> str:
    for number, _, start, end in fields_of(tensor):
        if number == _TENSOR_NAME:
            return bytes(tensor[start:end]).decode("utf-8", "replace")
    return ""
