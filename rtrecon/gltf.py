"""The container of glTF 2.0's binary form: buffer views, accessors, sparse ones, images.

https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

from __future__ import annotations

import json
import struct
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from rtrecon.errors import OutputError
from rtrecon.types import Float32Array

__all__ = [
    "ARRAY_BUFFER",
    "ELEMENT_ARRAY_BUFFER",
    "FLOAT",
    "JPEG_QUALITY",
    "TEXTURE_SAMPLER",
    "UNSIGNED_BYTE",
    "UNSIGNED_INT",
    "UNSIGNED_SHORT",
    "GlbBuffer",
    "encode_texture",
]

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT, FLOAT = 5121, 5123, 5125, 5126
TEXTURE_SAMPLER = {
    "magFilter": 9729,  # linear
    "minFilter": 9987,  # linear, in smaller copies too
    "wrapS": 33071,  # clamped to the edge
    "wrapT": 33071,
}
JPEG_QUALITY = 92
_DTYPES = {UNSIGNED_BYTE: "<u1", UNSIGNED_SHORT: "<u2", UNSIGNED_INT: "<u4", FLOAT: "<f4"}


class GlbBuffer:
    """The binary chunk of a GLB with its views and accessors."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._length = 0
        self._views: list[dict[str, int]] = []
        self._accessors: list[dict[str, Any]] = []

    def add_bytes(self, data: bytes, target: int | None = None) -> int:
        """A buffer view of ``data``, at a multiple of four bytes; its index."""
        view = {"buffer": 0, "byteOffset": self._length, "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self._views.append(view)
        padded = data + b"\0" * (-len(data) % 4)
        self._chunks.append(padded)
        self._length += len(padded)
        return len(self._views) - 1

    def add(
        self,
        array: npt.NDArray[Any],
        component: int,
        kind: str,
        target: int | None = None,
        *,
        bounds: bool = False,
        **more: Any,
    ) -> int:
        """An accessor over the rows of ``array``; its index.

        Args:
            array: (n,) or (n, k), turned to the type of ``component``.
            component: `FLOAT` or another of its kind.
            kind: ``SCALAR``, ``VEC3`` and so on.
            target: of the buffer view: `ARRAY_BUFFER`, `ELEMENT_ARRAY_BUFFER` or none.
            bounds: name the least and the greatest, as glTF wants it of positions and times.
            more: other members of the accessor.
        """
        rows = np.ascontiguousarray(array, dtype=_DTYPES[component])
        accessor = {
            "bufferView": self.add_bytes(rows.tobytes(), target),
            "componentType": component,
            "count": len(rows),
            "type": kind,
            **more,
        }
        if bounds:
            accessor |= _bounds(rows)
        return self._append(accessor)

    def add_sparse(self, rows: Float32Array, count: int, changed: npt.NDArray[np.intp]) -> int:
        """An accessor of ``count`` float VEC3, zero but for ``rows`` (k, 3) at the increasing
        indices ``changed`` (k,); its index. Bounds are named."""
        zero = np.zeros((1, 3), dtype=np.float32)
        extent = rows if len(rows) == count else np.concatenate([rows, zero])
        accessor: dict[str, Any] = {
            "componentType": FLOAT,
            "count": count,
            "type": "VEC3",
            **_bounds(extent.astype("<f4")),
        }
        if len(rows):  # without, all of it is zero
            component = UNSIGNED_SHORT if count <= 1 << 16 else UNSIGNED_INT
            accessor["sparse"] = {
                "count": len(rows),
                "indices": {
                    "bufferView": self.add_bytes(changed.astype(_DTYPES[component]).tobytes()),
                    "componentType": component,
                },
                "values": {"bufferView": self.add_bytes(rows.astype("<f4").tobytes())},
            }
        return self._append(accessor)

    def assemble(self, document: dict[str, Any]) -> bytes:
        """The whole GLB: header, JSON chunk, binary chunk."""
        document["accessors"], document["bufferViews"] = self._accessors, self._views
        document["buffers"] = [{"byteLength": self._length}]
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + self._length
        return b"".join(
            [
                struct.pack("<4sII", b"glTF", 2, total),
                struct.pack("<I4s", len(text), b"JSON"),
                text,
                struct.pack("<I4s", self._length, b"BIN\0"),
                *self._chunks,
            ]
        )

    def _append(self, accessor: dict[str, Any]) -> int:
        self._accessors.append(accessor)
        return len(self._accessors) - 1


def encode_texture(texture_rgb: npt.NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    """A (h, w, 3) RGB or (h, w, 4) RGBA picture as the file that ``suffix`` names, by OpenCV's
    ``options``.

    Raises:
        OutputError: OpenCV cannot.
    """
    has_alpha = texture_rgb.shape[2] == 4
    swap = cv2.COLOR_RGBA2BGRA if has_alpha else cv2.COLOR_RGB2BGR
    done, encoded = cv2.imencode(suffix, cv2.cvtColor(texture_rgb, swap), options)
    if not done:
        raise OutputError(f"a texture of {texture_rgb.shape} could not be encoded as {suffix}")
    return encoded.tobytes()


def _bounds(rows: npt.NDArray[Any]) -> dict[str, list[float]]:
    table = rows.reshape(len(rows), -1)
    return {"min": table.min(axis=0).tolist(), "max": table.max(axis=0).tolist()}
