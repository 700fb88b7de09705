"""Half precision and eight bits from a float graph, each with a second, more careful try."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtrecon.types import Float32Array

if TYPE_CHECKING:
    import onnx

__all__ = ["CAREFUL_OPS", "to_fp16", "to_int8", "variants"]

CAREFUL_OPS = (
    "LayerNormalization",
    "InstanceNormalization",
    "Softmax",
    "ReduceMean",
    "ReduceL2",
    "Pow",
    "Sqrt",
)
"""What stays in fp32 at the second try: sums of squares and exponentials overflow half."""

_QUANTISED_OPS = ["Conv", "Gemm", "MatMul"]


def variants(
    precision: str, model: onnx.ModelProto, images: Sequence[Float32Array]
) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The tries at ``precision``, boldest first, each with what is said of it.

    ``model`` is the float graph, ``images`` (batch, 3, h, w) what int8 is calibrated on.
    """
    if precision == "fp16":
        yield "all layers in fp16", to_fp16(model)
        yield "normalisations and softmax in fp32", to_fp16(model, CAREFUL_OPS)
    elif precision == "int8":
        yield "all convolutions and matrix products in int8", to_int8(model, images)
        ends = _ends(model)
        yield "first and last convolutions and attention in fp32", to_int8(model, images, ends)
    else:
        yield "fp32", model


def to_fp16(model: onnx.ModelProto, keep: Sequence[str] = ()) -> onnx.ModelProto:
    """Weights and arithmetic in half precision; input, output and ``keep`` op types in fp32."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    converted: onnx.ModelProto = convert_float_to_float16(
        _copy(model), keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *keep]
    )
    _join_casts(converted)
    return converted


def _join_casts(model: onnx.ModelProto) -> None:
    """Take out casts to half and straight back, which stand between two nodes kept in fp32.

    The converter puts one around each node by itself, and what was to be kept overflows there.
    """
    from onnx import TensorProto
    from onnxruntime.transformers.onnx_model import OnnxModel

    def casts_to(node: onnx.NodeProto, element: int) -> bool:
        return node.op_type == "Cast" and node.attribute[0].i == element

    graph = model.graph
    to_half = {n.output[0]: n.input[0] for n in graph.node if casts_to(n, TensorProto.FLOAT16)}
    outputs = {output.name for output in graph.output}
    renamed = {
        node.output[0]: to_half[node.input[0]]
        for node in graph.node
        if casts_to(node, TensorProto.FLOAT)
        and node.input[0] in to_half
        and node.output[0] not in outputs
    }
    for node in graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = renamed.get(name, name)
    used = {name for node in graph.node for name in node.input} | outputs
    for node in [n for n in graph.node if n.op_type == "Cast" and n.output[0] not in used]:
        graph.node.remove(node)
    used = {name for node in graph.node for name in node.input} | outputs
    for node in [n for n in graph.node if n.op_type == "Cast" and n.output[0] not in used]:
        graph.node.remove(node)  # the cast to half before one that has gone
    OnnxModel(model).topological_sort()


def to_int8(
    model: onnx.ModelProto, images: Sequence[Float32Array], keep: Sequence[str] = ()
) -> onnx.ModelProto:
    """Static quantisation, weights per channel, ranges of activations from ``images``.

    ``keep`` are names of nodes that stay in fp32. Layer norms always do: only products with
    weights are quantised.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    name = model.graph.input[0].name

    class Crops(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._feeds = iter([{name: image} for image in images])

        def get_next(self) -> dict[str, Any] | None:
            return next(self._feeds, None)

    with tempfile.TemporaryDirectory(prefix="rtrecon-int8-") as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(_copy(model)), source)
        with _without_advice():
            quantize_static(
                source,
                target,
                Crops(),
                op_types_to_quantize=_QUANTISED_OPS,
                per_channel=True,
                # Without it, pairs of products saturate on processors without VNNI.
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=list(keep),
            )
        return onnx.load(target)


@contextmanager
def _without_advice() -> Iterator[None]:
    """The quantiser advises on the root logger to fold the graph first, which is done."""
    root = logging.getLogger()

    def drop(record: logging.LogRecord) -> bool:
        return "pre-processing before quantization" not in record.getMessage()

    root.addFilter(drop)
    try:
        yield
    finally:
        root.removeFilter(drop)


def _ends(model: onnx.ModelProto) -> list[str]:
    """The first and last convolutions, and products of two activations."""
    weights = {tensor.name for tensor in model.graph.initializer}
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    attention = [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and not weights & set(node.input)
    ]
    return [*convolutions[:1], *convolutions[-3:], *attention]


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = type(model)()
    copy.CopyFrom(model)
    return copy
