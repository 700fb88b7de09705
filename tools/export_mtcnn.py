"""Export facenet-pytorch's MTCNN to ONNX: models/mtcnn/{pnet,rnet,onet}.onnx and model.json.

Needs an environment of its own (torchvision pulls gigabytes):

    python3 -m venv mtcnn-env
    mtcnn-env/bin/pip install torchvision facenet-pytorch==2.5.3 onnx onnxruntime
    mtcnn-env/bin/python tools/export_mtcnn.py

The weights are facenet-pytorch's own; the arithmetic is arranged for speed and gives the
same numbers to rounding:

- The picture's normalisation and the order of channels are folded into the first
  convolution: the networks take BGR pixels of 0 to 255 as float32.
- ONNX Runtime's PRelu is slow (half of P-Net's time). PReLU with a slope of at most one is
  max(x, slope x). Before the first pooling even that moves behind it, to a quarter of the
  pixels: for a slope above zero PReLU is monotonic and commutes with the pooling; for one
  below zero the convolution gives slope x as a further channel, which is pooled as well.
- The softmax over two classes is the sigmoid of the difference of the logits, so that the
  heads are a single layer.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import Tensor, nn


class MaxPrelu(nn.Module):
    """PReLU as a maximum."""

    def __init__(self, prelu: nn.PReLU, shape: tuple[int, ...]) -> None:
        super().__init__()
        slope = prelu.weight.detach()
        if not bool((slope <= 1).all()):
            raise ValueError("a slope above one is not a maximum")
        self.register_buffer("slope", slope.reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        """PReLU of ``x``."""
        return torch.maximum(x, x * self.slope)


class PooledStem(nn.Module):
    """First convolution, PReLU and pooling, with the PReLU behind the pooling.

    Its channels come in ``order``: those of negative slope, then the others.
    """

    def __init__(self, conv: nn.Conv2d, prelu: nn.PReLU, pool: nn.MaxPool2d) -> None:
        super().__init__()
        slope = prelu.weight.detach()
        negative, positive = torch.nonzero(slope < 0)[:, 0], torch.nonzero(slope >= 0)[:, 0]
        self.order = torch.cat([negative, positive])
        # Idle channels up to a multiple of 16 keep the pooling in ONNX Runtime's blocked layout.
        idle = -(len(slope) + len(negative)) % 16
        counts = [len(negative), len(positive), len(negative), idle]
        self.counts = counts if idle else counts[:3]
        weight, bias = _folded(conv)
        channels = torch.cat([self.order, negative, torch.zeros(idle, dtype=torch.int64)])
        factor = torch.cat([torch.ones(len(slope)), slope[negative], torch.zeros(idle)])
        self.conv = nn.Conv2d(3, len(channels), 3)
        self.conv.weight.data = weight[channels] * factor[:, None, None, None]
        self.conv.bias.data = bias[channels] * factor
        self.pool = pool
        self.register_buffer("slope_less_one", (slope[positive] - 1).reshape(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Pooled PReLU of the convolution of ``x``."""
        pooled = self.pool(self.conv(x))
        direct, positive, scaled = torch.split(pooled, self.counts, dim=1)[:3]
        positive = positive + self.slope_less_one * torch.clamp(positive, max=0)
        return torch.cat([torch.maximum(direct, scaled), positive], dim=1)


class Arranged(nn.Module):
    """One of the three networks with its arithmetic arranged for speed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        n = network.eval()
        stem = PooledStem(n.conv1, n.prelu1, n.pool1)
        n.conv2.weight.data = n.conv2.weight.data[:, stem.order].clone()
        body: list[nn.Module] = [stem, n.conv2, MaxPrelu(n.prelu2, (-1, 1, 1))]
        body += [n.pool2] if hasattr(n, "pool2") else []
        body += [n.conv3, MaxPrelu(n.prelu3, (-1, 1, 1))]
        self.landmarks = isinstance(network, ONet)
        self.dense: nn.Module | None = None
        if isinstance(network, PNet):
            heads = [n.conv4_2, n.conv4_1]
        elif isinstance(network, RNet):
            self.dense = nn.Sequential(n.dense4, MaxPrelu(n.prelu4, (-1,)))
            heads = [n.dense5_2, n.dense5_1]
        else:
            body += [n.pool3, n.conv4, MaxPrelu(n.prelu4, (-1, 1, 1))]
            self.dense = nn.Sequential(n.dense5, MaxPrelu(n.prelu5, (-1,)))
            heads = [n.dense6_2, n.dense6_3, n.dense6_1]
        self.body = nn.Sequential(*body)
        weights = [h.weight.data for h in heads[:-1]]
        biases = [h.bias.data for h in heads[:-1]]
        weights.append(heads[-1].weight.data[1:] - heads[-1].weight.data[:1])
        biases.append(heads[-1].bias.data[1:] - heads[-1].bias.data[:1])
        weight, bias = torch.cat(weights), torch.cat(biases)
        if self.dense is None:
            self.head: nn.Module = nn.Conv2d(32, len(bias), 1)
        else:
            self.head = nn.Linear(weight.shape[1], len(bias))
        self.head.weight.data, self.head.bias.data = weight, bias

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Box moves, landmarks (O-Net), probability of a face, of BGR pixels 0 to 255."""
        x = self.body(image)
        if self.dense is not None:
            x = self.dense(x.permute(0, 3, 2, 1).flatten(1))
        x = self.head(x)
        probability = torch.sigmoid(x[:, -1])
        if self.landmarks:
            return x[:, :4], x[:, 4:14], probability
        return x[:, :4], probability


def _folded(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of the first convolution for BGR pixels of 0 to 255."""
    weight = conv.weight.detach()
    bias = conv.bias.detach() - weight.sum(dim=(1, 2, 3)) * (127.5 * 0.0078125)
    return weight.flip(1) * 0.0078125, bias


def _check(path: Path, original: nn.Module, size: int) -> float:
    """Largest difference between the file and facenet-pytorch's network on noise."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(3, 3, size, size, generator=generator) * 255
    with torch.no_grad():
        expected = list(original((pixels.flip(1) - 127.5) * 0.0078125))
    expected[-1] = expected[-1][:, 1]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    answers = session.run(None, {"image": pixels.numpy()})
    pairs = zip(answers, expected, strict=True)
    difference = max(float(np.abs(a - e.numpy()).max()) for a, e in pairs)
    if difference > 1e-4:
        raise SystemExit(f"{path} differs from facenet-pytorch by {difference}")
    return difference


def main() -> None:
    """Write the three networks, their manifest and their licence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "models/mtcnn")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, kind, size, outputs in (
        ("pnet", PNet, 61, ["box", "probability"]),
        ("rnet", RNet, 24, ["box", "probability"]),
        ("onet", ONet, 48, ["box", "landmarks", "probability"]),
    ):
        axes = {"image": {0: "n"}} | {o: {0: "n"} for o in outputs}
        if name == "pnet":
            axes["image"] |= {2: "height", 3: "width"}
            axes["box"] |= {2: "rows", 3: "columns"}
            axes["probability"] |= {1: "rows", 2: "columns"}
        path = out / f"{name}.onnx"
        temporary = path.with_suffix(".part")
        torch.onnx.export(
            Arranged(kind()).eval(),
            (torch.rand(2, 3, size, size) * 255,),
            str(temporary),
            input_names=["image"],
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
        difference = _check(temporary, kind().eval(), size)
        os.replace(temporary, path)  # noqa: PTH105
        files[path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        print(f"{path}: within {difference:.1e} of facenet-pytorch")
    version = importlib.metadata.version("facenet-pytorch")
    manifest = {
        "name": "mtcnn",
        "source": f"facenet-pytorch {version}, its own weights",
        "licence": "MIT",
        "input": "BGR float32 of 0 to 255, NCHW",
        "files": files,
    }
    (out / "model.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    licence = importlib.metadata.distribution("facenet-pytorch").read_text("LICENSE.md")
    if not licence:
        raise SystemExit("the wheel of facenet-pytorch has no LICENSE.md")
    (out / "LICENSE").write_text(licence, encoding="utf-8")


if __name__ == "__main__":
    main()
