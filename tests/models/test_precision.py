"""Half precision: the second try keeps what overflows; blame falls on the node that did it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rtrecon.errors import ModelError
from rtrecon.models.export import _make
from rtrecon.models.graph import open_graph, overflowing_layers, run_graph, worst_layers
from rtrecon.models.precision import to_fp16

SHAPE = (1, 3, 4, 4)
IMAGE = np.linspace(0.1, 1.0, 48, dtype=np.float32).reshape(SHAPE)


def _graph(nodes, **constants) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor(k, TensorProto.FLOAT, [], [v]) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _norm() -> onnx.ModelProto:
    """x / |x| by a square that overflows half precision, though x does not."""
    return _graph(
        [
            helper.make_node("Mul", ["image", "gain"], ["x"], name="gain"),
            helper.make_node("Pow", ["x", "two"], ["square"], name="norm/square"),
            helper.make_node("Sqrt", ["square"], ["size"], name="norm/root"),
            helper.make_node("Add", ["size", "one"], ["divisor"], name="norm/add"),
            helper.make_node("Div", ["image", "divisor"], ["ratio"], name="divide"),
            helper.make_node("Mul", ["ratio", "gain"], ["depth"], name="scale"),
        ],
        gain=1000.0,
        two=2.0,
        one=1000.0,
    )


def test_blame_falls_on_the_layer_that_overflows() -> None:
    model = _norm()
    worst = worst_layers(model, to_fp16(model), IMAGE)
    assert worst[0] == "norm/square (Pow)"


def test_second_try_is_taken_where_the_first_breaks() -> None:
    model = _norm()
    reference = run_graph(open_graph(model.SerializeToString()), [IMAGE])
    # The result alone does not show it: without half precision the casts are skipped.
    assert overflowing_layers(model, to_fp16(model), IMAGE) == ["norm/square (Pow)"]
    graph, parity, note = _make("fp16", model, [IMAGE], [IMAGE], reference, "m", 1)
    assert parity.passed
    assert note == "normalisations and softmax in fp32"
    assert not overflowing_layers(model, graph, IMAGE)
    halves = {node.input[0] for node in graph.graph.node if node.op_type == "Cast"}
    assert not any(name.startswith("square") for name in halves), "no cast within the norm"
    onnx.checker.check_model(graph)


def test_refused_where_both_break() -> None:
    model = _graph(
        [
            helper.make_node("Mul", ["image", "gain"], ["x"], name="layer.3/huge"),
            helper.make_node("Div", ["x", "gain"], ["depth"], name="divide"),
        ],
        gain=30000.0,
    )
    image = IMAGE * 10
    reference = run_graph(open_graph(model.SerializeToString()), [image])
    with pytest.raises(ModelError, match=r"refused.*layer\.3/huge \(Mul\)"):
        _make("fp16", model, [image], [image], reference, "m", 1)
