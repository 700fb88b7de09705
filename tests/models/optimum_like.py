"""Folders as ``optimum-cli export onnx --task depth-estimation`` writes them, without optimum.

What optimum-onnx 0.1.0 wrote for the same tiny networks was looked at: names, free axes and files
are the same (`test_importing.py` compares them where an optimum is at hand).
"""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

OPSET = 18
INPUT = ("batch_size", "num_channels", "height", "width")
OUTPUT = ("batch_size", "height", "width")


class DepthOnly(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model(pixel_values=pixel_values).predicted_depth


def export_like_optimum(checkpoint: Path, folder: Path, *, subfolder: str = "") -> Path:
    """The checkpoint as ``model.onnx``, in ``onnx/`` as the hub's repositories have it or not."""
    from transformers import AutoModelForDepthEstimation

    graph = folder / subfolder / "model.onnx"
    graph.parent.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "preprocessor_config.json", "README.md"):
        if (checkpoint / name).is_file():
            shutil.copy(checkpoint / name, folder / name)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        model = AutoModelForDepthEstimation.from_pretrained(
            checkpoint, attn_implementation="eager"
        ).eval()
        size = 70 if model.config.model_type == "depth_anything" else 64
        torch.onnx.export(
            DepthOnly(model),
            (torch.zeros((2, 3, size, size)),),
            graph,
            dynamo=False,
            opset_version=OPSET,
            input_names=["pixel_values"],
            output_names=["predicted_depth"],
            dynamic_axes={
                "pixel_values": dict(enumerate(INPUT)),
                "predicted_depth": dict(enumerate(OUTPUT)),
            },
        )
    return folder


def half(graph: Path, path: Path) -> None:
    """The graph in half precision with input and output in fp32, as ``model_fp16.onnx``."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(graph), keep_io_types=True), path)


def quantised(graph: Path, path: Path) -> None:
    """Weights in int8, as ``model_quantized.onnx``."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(graph, path, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8)
