"""Where a VRM model has its head and eyes: what VMC's receivers may put them to.

Facts: https://github.com/vrm-c/vrm-specification (0.0 and 1.0), glTF 2.0's binary container.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from rtrecon.avatar.rotations import Vector
from rtrecon.errors import DataError

__all__ = ["bone_offsets"]

_BONES = {"head": "Head", "leftEye": "LeftEye", "rightEye": "RightEye"}
_HEADER = struct.Struct("<4sIIII")  # glTF, version, length; length and kind of the first chunk
_JSON = 0x4E4F534A
_MOST_BYTES = 1 << 27


class _NoVrm(Exception):  # noqa: N818
    """It says nothing of being one."""


def bone_offsets(file: BinaryIO) -> dict[str, Vector]:
    """Places of Head, LeftEye and RightEye from the bone above, in metres, in Unity's frame.

    A model need not have eye bones; its head is there.

    Raises:
        DataError: this is no VRM 0 or 1.
    """
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise DataError("it is no VRM: it is too short")
    magic, _, _, size, kind = _HEADER.unpack(header)
    if magic != b"glTF" or kind != _JSON or size > _MOST_BYTES:
        raise DataError("it is no VRM: a VRM is a binary glTF file")
    try:
        model = json.loads(file.read(size))
        bones, sign_x, sign_z = _humanoid(model.get("extensions", {}))
        nodes = model["nodes"]
        found = {
            _BONES[bone]: _place(nodes[node], sign_x, sign_z)
            for bone, node in bones.items()
            if bone in _BONES
        }
    except _NoVrm:
        raise DataError("it is no VRM but another binary glTF: it has no bones by name") from None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise DataError(f"it is no VRM that can be understood ({error!r})") from error
    if "Head" not in found:
        raise DataError("it is no VRM that can be understood: it has no head")
    return found


def _humanoid(extensions: Mapping[str, Any]) -> tuple[dict[str, int], float, float]:
    """Node of each bone; signs of x and z from the file's frame to Unity's."""
    if "VRMC_vrm" in extensions:  # 1.0 faces +z, its left is +x
        bones = extensions["VRMC_vrm"]["humanoid"]["humanBones"]
        return {name: int(bone["node"]) for name, bone in bones.items()}, -1.0, 1.0
    if "VRM" not in extensions:
        raise _NoVrm
    bones = extensions["VRM"]["humanoid"]["humanBones"]  # 0.0 faces -z, its left is -x
    return {bone["bone"]: int(bone["node"]) for bone in bones}, 1.0, -1.0


def _place(node: Mapping[str, Any], sign_x: float, sign_z: float) -> Vector:
    x, y, z = (float(value) for value in node.get("translation", (0.0, 0.0, 0.0)))
    if not all(abs(value) < 10.0 for value in (x, y, z)):  # so says what is not finite
        raise ValueError(f"a bone is {x:g}, {y:g}, {z:g} m from the one above")
    return sign_x * x, y, sign_z * z
