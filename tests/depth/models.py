"""Tiny real ONNX models whose answers are known."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

SIZE = 32


def write_model(
    folder: Path,
    *,
    batch: int | str = "n",
    kind: str = "relief",
    outputs: tuple[str, ...] = ("relief", "mask"),
    expression: bool = False,
    extras: dict[str, tuple[int, ...]] | None = None,
    manifest: dict[str, Any] | None = None,
    half: bool = False,
) -> Path:
    """``value`` is the first channel minus the last; ``mask`` the second minus one half.

    ``extras`` are further outputs by role, each filled with the mean of the picture.
    """
    element = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    shape = [batch, 3, SIZE, SIZE]
    nodes = [
        helper.make_node("Split", ["image"], ["c0", "c1", "c2"], axis=1, num_outputs=3),
        helper.make_node("Sub", ["c0", "c2"], [outputs[0]]),
    ]
    results = [helper.make_tensor_value_info(outputs[0], element, [batch, 1, SIZE, SIZE])]
    initial = []
    if len(outputs) > 1:
        initial.append(helper.make_tensor("half", element, [1], [0.5]))
        nodes.append(helper.make_node("Sub", ["c1", "half"], [outputs[1]]))
        results.append(helper.make_tensor_value_info(outputs[1], element, [batch, 1, SIZE, SIZE]))
    if expression:
        initial.append(helper.make_tensor("axes", TensorProto.INT64, [2], [2, 3]))
        nodes.append(helper.make_node("ReduceMean", ["image", "axes"], ["expression"], keepdims=0))
        results.append(helper.make_tensor_value_info("expression", element, [batch, 3]))
    for role, due in (extras or {}).items():
        ones = helper.make_tensor(f"ones_{role}", element, due, [1.0] * int(np.prod(due)))
        initial.append(ones)
        nodes.append(helper.make_node("ReduceMean", ["image"], [f"mean_{role}"], keepdims=0))
        nodes.append(helper.make_node("Mul", [f"mean_{role}", f"ones_{role}"], [f"flat_{role}"]))
        initial.append(
            helper.make_tensor(f"shape_{role}", TensorProto.INT64, [1 + len(due)], [1, *due])
        )
        nodes.append(helper.make_node("Reshape", [f"flat_{role}", f"shape_{role}"], [role]))
        results.append(helper.make_tensor_value_info(role, element, [1, *due]))
    graph = helper.make_graph(
        nodes, "tiny", [helper.make_tensor_value_info("image", element, shape)], results, initial
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    fields: dict[str, Any] = {
        "name": folder.name,
        "kind": kind,
        "input": {"name": "image", "size": [SIZE, SIZE], "color": "RGB", "range": [0, 1]},
        "outputs": {kind: outputs[0]},
        "crop": {"kind": "landmarks", "side": 3.8},
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if len(outputs) > 1:
        fields["outputs"]["mask"] = outputs[1]
    if expression:
        fields["outputs"]["expression"] = "expression"
    fields["outputs"].update({role: role for role in extras or {}})
    fields.update(manifest or {})
    (folder / "model.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder
