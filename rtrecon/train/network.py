"""The face DPT: a Dense Prediction Transformer made small enough for two laptop cores.

After Ranftl, Bochkovskiy and Koltun, "Vision Transformers for Dense Prediction" (ICCV 2021),
in the manner of DPT-Hybrid: a convolutional stem to 1/16, a transformer over its cells with a
readout token, reassembly at four scales and RefineNet-style fusion, a dense head at half size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.errors import ModelError
from rtrecon.train.face_model import ARKIT_NAMES

__all__ = ["SIZES", "FaceDpt", "NetworkConfig", "Outputs"]


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Widths and depths; `stem` are the channels at 1/2, 1/4 and 1/8."""

    size_px: int = 192
    stem: tuple[int, int, int] = (24, 48, 96)
    width: int = 160
    depth: int = 6
    heads: int = 5
    mlp: int = 3
    fusion: int = 48
    head: int = 24

    def as_dict(self) -> dict[str, object]:
        """For a checkpoint's header."""
        return {**asdict(self), "stem": list(self.stem)}

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> NetworkConfig:
        """From a checkpoint's header.

        Raises:
            ModelError: it is of another architecture.
        """
        try:
            stem = values["stem"]
            assert isinstance(stem, list)
            return cls(**{**values, "stem": tuple(stem)})  # type: ignore[arg-type]
        except (TypeError, KeyError, AssertionError) as error:
            raise ModelError(f"the checkpoint is of another architecture ({values})") from error


_BASE = NetworkConfig()
SIZES: Mapping[str, NetworkConfig] = {
    "shipped": _BASE,
    "input 128": replace(_BASE, size_px=128),
    "input 160": replace(_BASE, size_px=160),
    "input 224": replace(_BASE, size_px=224),
    "width 128": replace(_BASE, width=128, heads=4),
    "width 192": replace(_BASE, width=192, heads=6),
    "depth 4": replace(_BASE, depth=4),
    "depth 8": replace(_BASE, depth=8),
    "stem 16-32-64": replace(_BASE, stem=(16, 32, 64)),
    "stem 32-64-128": replace(_BASE, stem=(32, 64, 128)),
    "fusion 32": replace(_BASE, fusion=32, head=16),
    "fusion 64": replace(_BASE, fusion=64, head=32),
}
"""The shipped network and its neighbours, one property changed in each."""


@dataclass(slots=True)
class Outputs:
    """``relief`` and ``mask`` (n, 1, h, w) at half the input size; ``expression`` (n, 51) in
    [0, 1]; ``landmarks`` (n, 68, 2) as a share of the crop; ``rotation`` (n, 3, 3).
    """

    relief: Tensor
    mask: Tensor
    expression: Tensor
    landmarks: Tensor
    rotation: Tensor


class _ConvNorm(nn.Sequential):
    """Convolution and batch norm; with ``frozen`` set, training keeps the norm's statistics.

    The frozen norm is part of the convolution's weights: nothing passes over the maps again.
    """

    frozen = False

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        conv: Any = self[0]
        norm: Any = self[1]
        if not (self.frozen and self.training):
            return norm(conv(x))  # type: ignore[no-any-return]
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        bias = norm.bias - norm.running_mean * scale
        weight = conv.weight * scale[:, None, None, None]
        return functional.conv2d(
            x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )


class _Residual(nn.Module):
    """x + conv(relu(conv(x))), dense: on CPUs with wide vectors depthwise saves little."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _ConvNorm(channels, channels)
        self.second = _ConvNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.relu(x + self.second(functional.relu(self.first(x))))
        return out


class _Separable(nn.Module):
    """Residual unit of the fusion: depthwise, pointwise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = _ConvNorm(channels, channels, groups=channels)
        self.pointwise = _ConvNorm(channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.pointwise(functional.relu(self.depthwise(x)))
        return out


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        # The number of pictures is left to be found, so that the graph computes no shapes.
        tokens, width = int(x.shape[1]), int(x.shape[2])
        qkv = self.qkv(x).reshape(-1, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if self.training and x.device.type == "cpu":
            # Written out: the fused one's backward pass takes nine times its forward there.
            weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
            mixed = torch.softmax(weights, dim=-1).to(v.dtype) @ v
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out(mixed.transpose(1, 2).reshape(-1, tokens, width))
        return out


class _Block(nn.Module):
    """Pre-norm transformer block with learnt residual scales (CaiT, Touvron et al. 2021)."""

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp * width), nn.ReLU(), nn.Linear(mlp * width, width)
        )
        self.scale1 = nn.Parameter(torch.full((width,), 0.2))
        self.scale2 = nn.Parameter(torch.full((width,), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale1 * self.attention(self.norm1(x))
        out: Tensor = x + self.scale2 * self.mlp(self.norm2(x))
        return out


class FaceDpt(nn.Module):
    """Face crop in, `Outputs` out.

    The transformer predicts the coarse relief of each of its cells itself, and the fused
    features what is finer: the shape of the whole face is a matter of the tokens.
    """

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or NetworkConfig()
        c2, c4, c8 = c.stem
        self.stem2 = _ConvNorm(3, c2, stride=2)
        self.stem4 = nn.Sequential(_ConvNorm(c2, c4, stride=2), nn.ReLU(), _Residual(c4))
        self.stem8 = nn.Sequential(_ConvNorm(c4, c8, stride=2), nn.ReLU(), _Residual(c8))
        self.embed = _ConvNorm(c8, c.width, stride=2)
        cells = c.size_px // 16
        self.position = nn.Parameter(torch.randn(1, c.width, cells, cells) * 0.02)
        self.readout = nn.Parameter(torch.randn(1, 1, c.width) * 0.02)
        self.blocks = nn.ModuleList(_Block(c.width, c.heads, c.mlp) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.width)
        f = c.fusion
        self.project32 = nn.Sequential(_ConvNorm(c.width, f, stride=2), nn.ReLU())
        self.project16 = _ConvNorm(2 * c.width, f, kernel=1)
        self.project8 = _ConvNorm(c8, f, kernel=1)
        self.project4 = _ConvNorm(c4, f, kernel=1)
        self.project2 = _ConvNorm(c2, c.head, kernel=1)
        self.units32 = nn.Sequential(_Separable(f), _Separable(f))
        self.units16 = nn.Sequential(_Separable(f), _Separable(f))
        self.units8 = nn.Sequential(_Separable(f), _Separable(f))
        self.units4 = nn.Sequential(_Separable(f), _Separable(f))
        self.reduce = _ConvNorm(f, c.head, kernel=1)
        self.dense = nn.Sequential(
            _Separable(c.head),
            nn.ReLU(),
            nn.Conv2d(c.head, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 2, 1),
        )
        self.coarse = nn.Linear(c.width, 2 * 16)
        self.token_head = nn.Sequential(nn.Linear(c.width, 192), nn.ReLU())
        self.expression = nn.Linear(192, len(ARKIT_NAMES))
        self.landmarks = nn.Linear(192, 136)
        self.rotation = nn.Linear(192, 6)
        nn.init.constant_(self.expression.bias, -2.0)
        for layer in (self.coarse, self.dense[4], self.landmarks, self.rotation):
            nn.init.normal_(layer.weight, std=0.01)  # type: ignore[arg-type]
        with torch.no_grad():
            self.landmarks.bias.fill_(0.5)
            self.rotation.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1.0, 0]))

    def freeze_norms(self) -> None:
        """Train on with the batch norms' statistics as they are."""
        for module in self.modules():
            if isinstance(module, _ConvNorm):
                module.frozen = True

    def forward(self, image: Tensor) -> Outputs:
        """``image`` (n, 3, h, w) RGB in [0, 1], h and w multiples of 32."""
        x2 = functional.relu(self.stem2((image - 0.45) * 4.0))
        x4 = self.stem4(x2)
        x8 = self.stem8(x4)
        x16 = self.embed(x8)
        width, rows, columns = (int(length) for length in x16.shape[1:])
        position: Tensor = self.position
        if position.shape[-2:] != (rows, columns):
            position = functional.interpolate(
                position, (rows, columns), mode="bicubic", align_corners=False
            )
        # The readout token takes a place that is padded with zeros.
        places = torch.cat([self.readout, position.flatten(2).transpose(1, 2)], dim=1)
        cells = x16.reshape(-1, width, rows * columns).transpose(1, 2)
        tokens = functional.pad(cells, (0, 0, 1, 0)) + places
        middle = tokens
        for k, block in enumerate(self.blocks):
            tokens = block(tokens)
            if k == len(self.blocks) // 2 - 1:
                middle = tokens
        tokens = self.norm(tokens)
        cells = tokens[:, 1:]
        grid = cells.transpose(1, 2).reshape(-1, width, rows, columns)
        grid_middle = middle[:, 1:].transpose(1, 2).reshape(-1, width, rows, columns)

        y = self.units32(self.project32(grid))
        y = self.units16(self.project16(torch.cat([grid, grid_middle], dim=1)) + _double(y))
        y = self.units8(self.project8(x8) + _double(y))
        y = self.units4(self.project4(x4) + _double(y))
        y = self.dense(functional.relu(_double(self.reduce(y)) + self.project2(x2)))
        coarse = self.coarse(cells).transpose(1, 2).reshape(-1, 32, rows, columns)
        y = y + _double(functional.pixel_shuffle(coarse, 4))

        readout = self.token_head(tokens[:, 0])
        return Outputs(
            y[:, :1],
            y[:, 1:],
            torch.sigmoid(self.expression(readout)),
            self.landmarks(readout).reshape(-1, 68, 2),
            _orthonormal(self.rotation(readout)),
        )


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _orthonormal(six: Tensor) -> Tensor:
    """Rotation (n, 3, 3) from its first two rows (Zhou et al., CVPR 2019)."""
    six = six.float()
    a = functional.normalize(six[:, :3], dim=1)
    b = functional.normalize(six[:, 3:] - (a * six[:, 3:]).sum(1, keepdim=True) * a, dim=1)
    c = torch.stack(
        [
            a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
            a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
            a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
        ],
        dim=1,
    )
    return torch.stack([a, b, c], dim=1)
