"""From trained weights to a model folder: ONNX, manifest, hash, weights to go on from."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rtrecon.errors import OutputError, RtreconError
from rtrecon.train.batches import make_batch
from rtrecon.train.checkpoint import load_tensors
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.loop import load_network
from rtrecon.train.network import FaceDpt

__all__ = ["PARITY", "export_face_dpt", "fold_batch_norms"]

logger = logging.getLogger(__name__)

PARITY = 1e-4  # largest difference of relief between ONNX Runtime and PyTorch
_OPSET = 17
_CROP = {"kind": "landmarks", "side": 3.8}


class _Deployed(nn.Module):
    """The network with its maps at the input's size and names in the manifest's order."""

    def __init__(self, network: FaceDpt) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        out = self.network(image)
        maps = torch.cat([out.relief, out.mask], dim=1)
        maps = functional.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
        return maps[:, :1], maps[:, 1:], out.expression, out.landmarks, out.rotation


def fold_batch_norms(network: FaceDpt) -> FaceDpt:
    """A copy of the network in which every batch norm is part of the convolution before it."""
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if not isinstance(module, nn.Sequential):
            continue
        for k in range(len(module) - 1):
            conv, norm = module[k], module[k + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[k] = fuse_conv_bn_eval(conv, norm)
                module[k + 1] = nn.Identity()
    return folded


def export_face_dpt(weights: Path, out: Path, data: Path | None = None) -> None:
    """Write ``model.onnx``, ``model.json`` and ``weights.safetensors`` into ``out``.

    Args:
        weights: ``weights.safetensors`` of a training.
        out: model folder; what else lies in it stays.
        data: samples for the parity check; None: noise.

    Raises:
        ModelError: the weights cannot be used. OutputError: the folder cannot be written.
        RtreconError: ONNX Runtime's answers differ from PyTorch's.
    """
    network = load_network(weights)
    _, header = load_tensors(weights)
    size = network.config.size_px
    deployed = _Deployed(fold_batch_norms(network)).eval()
    part = out.with_name(f".{out.name}.part")
    try:
        part.mkdir(parents=True, exist_ok=True)
        path = part / "model.onnx"
        names = ["relief", "mask", "expression", "landmarks", "rotation"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                deployed,
                (torch.rand(2, 3, size, size),),
                str(path),
                input_names=["image"],
                output_names=names,
                dynamic_axes={name: {0: "n"} for name in ("image", *names)},
                opset_version=_OPSET,
                dynamo=False,
            )
        difference = _parity(network, path, data)
        logger.info("largest difference of relief from PyTorch: %.1e", difference)
        if not difference <= PARITY:
            raise RtreconError(
                f"the ONNX export differs from PyTorch by {difference:.1e} of relief, more than "
                f"{PARITY:g}: not written"
            )
        shutil.copyfile(weights, part / "weights.safetensors")
        manifest = _manifest(size, path, header, difference)
        (part / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        out.mkdir(parents=True, exist_ok=True)
        for name in ("model.onnx", "weights.safetensors", "model.json"):
            (part / name).replace(out / name)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _parity(network: FaceDpt, path: Path, data: Path | None) -> float:
    import onnxruntime

    size = network.config.size_px
    if data is None:
        images = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    else:
        samples = ShardDataset([data])
        rows = np.linspace(0, len(samples) - 1, 8).astype(int)
        images = make_batch(samples, rows, size, None)[0].contiguous()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(["relief"], {"image": images.numpy()})[0]
    reference = _Deployed(network.eval())
    with torch.no_grad():
        wanted = reference(images)[0].numpy()
    return float(np.abs(found - wanted).max())


def _manifest(size: int, path: Path, header: dict[str, Any], difference: float) -> dict[str, Any]:
    return {
        "name": "face-dpt",
        "kind": "relief",
        "input": {
            "name": "image",
            "size": [size, size],
            "layout": "NCHW",
            "color": "RGB",
            "range": [0, 1],
            "mean": [0, 0, 0],
            "std": [1, 1, 1],
        },
        "outputs": {
            "relief": "relief",
            "mask": "mask",
            "expression": "expression",
            "landmarks": "landmarks",
            "rotation": "rotation",
        },
        "expression_names": list(ARKIT_NAMES),
        "crop": _CROP,
        "precision": "fp32",
        "licence": "Apache-2.0",
        "source": "trained by rtrecon.train on synthetic heads made from ICT-FaceKit (MIT)",
        "training": {"steps": header.get("step"), "seed": header.get("seed")},
        "parity_relief": difference,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
