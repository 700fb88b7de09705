"""From trained weights to a model folder: ONNX, manifest, hash, weights to go on from."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rtrecon.errors import DataError, ModelError, OutputError, RtreconError
from rtrecon.files import make_draft_folder, make_folder
from rtrecon.train.batches import make_batch
from rtrecon.train.card import model_card
from rtrecon.train.checkpoint import load_tensors
from rtrecon.train.cpu_graph import for_cpu
from rtrecon.train.dataset import ShardDataset
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.loop import load_network
from rtrecon.train.network import FaceDpt
from rtrecon.train.quantise import quantise, scores_of

__all__ = [
    "INT8_COST",
    "PARITY",
    "at_size",
    "export_face_dpt",
    "fold_batch_norms",
    "write_onnx",
]

logger = logging.getLogger(__name__)

PARITY = 1e-4  # largest difference of relief between ONNX Runtime and PyTorch
INT8_COST = 0.02  # share of accuracy that the 8-bit file may cost
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


def export_face_dpt(
    weights: Path,
    out: Path,
    data: Path | None = None,
    *,
    size_px: int | None = None,
    int8: bool = False,
) -> None:
    """Write the model folder ``out``: ONNX files, ``model.json`` and ``weights.safetensors``.

    Args:
        weights: ``weights.safetensors`` of a training.
        out: model folder; what else lies in it stays.
        data: samples for the parity check, the model card and ``int8``; None: noise and no card.
        size_px: input size; None: the one the weights were last trained at, since a network
            of another size sees faces of a scale that it does not know.
        int8: make an 8-bit file too, which the manifest names as the best on CPUs if its depth
            error and normals are less than `INT8_COST` worse on held-out samples.

    Raises:
        ModelError: the weights cannot be used. OutputError: the folder cannot be written.
        DataError: ``int8`` without data. RtreconError: ONNX Runtime differs from PyTorch.
    """
    if int8 and data is None:
        raise DataError("int8 needs samples to calibrate on: add --data DIR")
    network = load_network(weights)
    _, header = load_tensors(weights)
    size = size_px or int(header.get("size", network.config.size_px))
    network = at_size(network, size)
    make_folder(out.parent)
    part = make_draft_folder(out)
    try:
        path = part / "model.onnx"
        write_onnx(network, path)
        difference = _parity(network, path, data)
        logger.info("largest difference of relief from PyTorch: %.1e", difference)
        if not difference <= PARITY:
            raise RtreconError(
                f"the ONNX export differs from PyTorch by {difference:.1e} of relief, more than "
                f"{PARITY:g}: not written"
            )
        shutil.copyfile(weights, part / "weights.safetensors")
        manifest = _manifest(size, path, header, difference)
        if int8 and data is not None:
            _add_int8(manifest, network, path, data)
        if data is not None:
            card = model_card(manifest, path, data, size)
            (part / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        (part / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        out.mkdir(parents=True, exist_ok=True)
        # The manifest last: its hashes speak of the files before it.
        for file in sorted(part.iterdir(), key=lambda f: f.name == "model.json"):
            file.replace(out / file.name)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def at_size(network: FaceDpt, size_px: int) -> FaceDpt:
    """A copy of ``network`` for pictures of ``size_px``, its position embedding resampled.

    Raises:
        ModelError: the size is not a multiple of 32.
    """
    if size_px % 32 or size_px < 64:
        raise ModelError(f"the input size must be a multiple of 32 from 64 on, not {size_px}")
    network = copy.deepcopy(network)
    cells = size_px // 16
    if network.position.shape[-1] != cells:
        with torch.no_grad():
            network.position = nn.Parameter(
                functional.interpolate(
                    network.position, (cells, cells), mode="bicubic", align_corners=False
                )
            )
    network.config = replace(network.config, size_px=size_px)
    return network


def write_onnx(network: FaceDpt, path: Path) -> None:
    """Write the graph of ``network``, batch norms folded, maps at the input's size.

    By PyTorch's TorchScript exporter: ONNX Runtime runs its graph as quickly as the newer one's,
    and the number of crops stays free.
    """
    size = network.config.size_px
    names = ["relief", "mask", "expression", "landmarks", "rotation"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Deployed(fold_batch_norms(network)).eval(),
            (torch.rand(2, 3, size, size),),
            str(path),
            input_names=["image"],
            output_names=names,
            dynamic_axes={name: {0: "n"} for name in ("image", *names)},
            opset_version=_OPSET,
            custom_opsets={"com.microsoft": 1},
            dynamo=False,
        )


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


def _add_int8(manifest: dict[str, Any], network: FaceDpt, path: Path, data: Path) -> None:
    out, size = path.with_name("model-int8.onnx"), network.config.size_px
    between = path.with_name("model-cpu.onnx")
    write_onnx(for_cpu(network), between)
    quantise(between, out, data, size)
    between.unlink()
    full, small = scores_of(path, data, size), scores_of(out, data, size)
    cost = max(small[key] / full[key] - 1.0 for key in ("mae_mm", "normal_deg"))
    logger.info(
        "int8: %.2f mm and %.2f degrees, fp32: %.2f mm and %.2f degrees",
        small["mae_mm"],
        small["normal_deg"],
        full["mae_mm"],
        full["normal_deg"],
    )
    manifest["files"] = {
        "fp32": {"file": path.name, "sha256": manifest["sha256"]},
        "int8": {"file": out.name, "sha256": hashlib.sha256(out.read_bytes()).hexdigest()},
    }
    manifest["best"] = {"default": "fp32"}
    if cost < INT8_COST:
        manifest["best"]["cpu"] = "int8"
    else:
        logger.warning("int8 costs %.1f %%: fp32 stays the best on CPUs", 100 * cost)


def _manifest(size: int, path: Path, header: dict[str, Any], difference: float) -> dict[str, Any]:
    return {
        "name": "face-dpt",
        "kind": "relief",
        "relief_along": "ray",
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
        "training": {k: header.get(k) for k in ("step", "seed", "size", "details")},
        "parity_relief": difference,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
