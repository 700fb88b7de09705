"""The exported network in 8-bit integers: smaller, and quicker on CPUs.

Convolutions of the stem are quantised statically with a scale for each output channel; the
transformer's products have taken 8 bits already (`for_cpu`); fusion and heads, where the last bit
of depth is made, stay in 32-bit floats. Weights take 7 bits, because CPUs without VNNI add two
products in 16 bits and would overflow with 8.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from rtrecon.evaluate.expression_metrics import CoefficientScore, score_coefficients
from rtrecon.train.batches import make_batch
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.losses import Targets, face_scores, token_scores
from rtrecon.train.network import Outputs
from rtrecon.types import Float32Array

__all__ = ["answers_of", "coefficients_of", "quantise", "scores_of"]

_QUANTISED = ("/stem2/", "/stem4/", "/stem8/", "/embed/", "/eyes/", "/mouth/", "/details/")
_CALIBRATION = 96  # pictures
_CHUNK = 8


def quantise(path: Path, out: Path, data: Path, size_px: int) -> None:
    """Write ``out``, ``path`` with its stem in 8 bits, calibrated on samples of ``data``.

    Raises:
        DataError: ``data`` holds no samples.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from onnxruntime.quantization.shape_inference import quant_pre_process

    samples = ShardDataset([data])
    rows = np.linspace(0, len(samples) - 1, _CALIBRATION).astype(int)
    images = make_batch(samples, rows, size_px, np.random.default_rng(0))[0].contiguous().numpy()

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._chunks = iter(np.split(images, _CALIBRATION // _CHUNK))

        def get_next(self) -> dict[str, Float32Array] | None:
            chunk = next(self._chunks, None)
            return None if chunk is None else {"image": chunk}

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the quantiser warns on the root logger of its own first step
    try:
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder) / "ready.onnx"
            quant_pre_process(str(path), str(ready), skip_symbolic_shape=True)
            graph = onnx.load(str(ready)).graph
            weights = {tensor.name for tensor in graph.initializer}
            convolutions = [
                node
                for node in graph.node
                if node.op_type == "Conv"
                and node.input[1] in weights
                and any(part in node.name for part in _QUANTISED)
            ]
            # The ReLU after a convolution is the lower end of its integers: no pass of its own.
            mapped = {node.output[0] for node in convolutions}
            nodes = [node.name for node in convolutions] + [
                node.name
                for node in graph.node
                if node.op_type == "Relu" and node.input[0] in mapped
            ]
            quantize_static(
                str(ready),
                str(out),
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["Conv", "Relu"],
                nodes_to_quantize=nodes,
            )
    finally:
        root.setLevel(level)


def scores_of(
    path: Path, data: Path, size_px: int, rows: npt.NDArray[np.integer] | None = None
) -> dict[str, float]:
    """Means of `face_scores` and `token_scores` over `answers_of`."""
    found = [
        face_scores(out, targets) | token_scores(out, targets)
        for out, targets in answers_of(path, data, size_px, rows)
    ]
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}


def coefficients_of(path: Path, data: Path, size_px: int, count: int) -> list[CoefficientScore]:
    """Each coefficient of an ONNX file over ``count`` held-out samples of ``data``."""
    samples = ShardDataset([data], held_out=True)
    rows = np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int)
    pairs = [
        (out.expression.numpy(), targets.expression.numpy())
        for out, targets in answers_of(path, data, size_px, rows)
    ]
    found = np.concatenate([pair[0] for pair in pairs])
    true = np.concatenate([pair[1] for pair in pairs])
    return score_coefficients(found, true, ARKIT_NAMES)


def answers_of(
    path: Path, data: Path, size_px: int, rows: npt.NDArray[np.integer] | None = None
) -> Iterator[tuple[Outputs, Targets]]:
    """What an ONNX file says of held-out samples of ``data``, beside the truth, in chunks.

    ``rows`` of them; None: 96.
    """
    import onnxruntime

    samples = ShardDataset([data], held_out=True)
    if rows is None:
        rows = np.linspace(0, len(samples) - 1, min(96, len(samples))).astype(int)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = list(Outputs.__dataclass_fields__)
    for chunk in np.array_split(rows, max(1, len(rows) // _CHUNK)):
        images, targets = make_batch(samples, chunk, size_px, None)
        values: list[Any] = session.run(names, {"image": images.contiguous().numpy()})
        tensors = dict(zip(names, map(torch.from_numpy, values), strict=True))
        for name in ("relief", "mask"):  # the file's maps are twice the size of the targets
            tensors[name] = functional.avg_pool2d(tensors[name], 2)
        yield Outputs(**tensors), targets
