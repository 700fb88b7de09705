"""Graphs without the outputs that nobody asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtrecon.depth.model import load_depth_model
from rtrecon.depth.trim import trim_outputs
from tests.depth.models import write_model
from tests.depth.test_model import crop_at, picture


def tiny(tmp_path: Path) -> onnx.ModelProto:
    return onnx.load(write_model(tmp_path / "tiny", expression=True) / "model.onnx")


def test_nodes_of_the_others_are_gone_and_the_answer_is_the_same(tmp_path: Path) -> None:
    whole = tiny(tmp_path)
    data = trim_outputs(whole.SerializeToString(), ["relief"])
    assert data is not None
    trimmed = onnx.load_from_string(data)
    onnx.checker.check_model(trimmed)
    assert [node.op_type for node in trimmed.graph.node] == ["Split", "Sub"]
    assert [output.name for output in trimmed.graph.output] == ["relief"]
    assert trimmed.opset_import == whole.opset_import
    image = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    answers = [
        ort.InferenceSession(m).run(["relief"], {"image": image})[0]
        for m in (whole.SerializeToString(), data)
    ]
    np.testing.assert_array_equal(*answers)


def test_shipped_model_without_extras(repository: Path) -> None:
    data = (repository / "models/face-dpt/model.onnx").read_bytes()
    trimmed = trim_outputs(data, ["relief", "mask"])
    assert trimmed is not None
    model = onnx.load_from_string(trimmed)
    onnx.checker.check_model(model)
    assert len(model.graph.node) < len(onnx.load_from_string(data).graph.node)


def test_what_is_left_whole(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    data = model.SerializeToString()
    assert trim_outputs(data, ["relief", "mask", "expression"]) is None  # nothing to leave out
    assert trim_outputs(data, ["relief", "hair"]) is None
    branch = helper.make_graph(
        [helper.make_node("Identity", ["c0"], ["inner"])],
        "branch",
        [],
        [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)],
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(
        helper.make_node("If", ["yes"], ["unused"], then_branch=branch, else_branch=branch)
    )
    assert trim_outputs(model.SerializeToString(), ["relief"]) is None


def test_not_a_model() -> None:
    with pytest.raises(ValueError, match="protocol buffer"):
        trim_outputs(b"not a model", ["relief"])


def test_model_computes_what_is_asked_for_alone(tmp_path: Path) -> None:
    folder = write_model(
        tmp_path / "tiny", batch=1, extras={"landmarks": (68, 2)}, expression=False
    )
    model = load_depth_model(folder, provider="cpu", extras=["expression", "rotation"])
    assert [node.name for node in model._session.get_outputs()] == ["relief", "mask"]
    alone = model.predict(picture(), [crop_at(10, 20)])[0]
    whole = load_depth_model(folder, provider="cpu").predict(picture(), [crop_at(10, 20)])[0]
    assert alone.landmarks68 is None
    assert whole.landmarks68 is not None
    np.testing.assert_array_equal(alone.value, whole.value)
