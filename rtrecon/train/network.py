"""The face DPT: a Dense Prediction Transformer made small enough for two laptop cores.

After Ranftl, Bochkovskiy and Koltun, "Vision Transformers for Dense Prediction" (ICCV 2021),
in the manner of DPT-Hybrid: a convolutional stem to 1/16, a transformer over its cells with a
readout token, reassembly at four scales and RefineNet-style fusion, a dense head at half size.
Lids, irises and lips are a few pixels: the coefficients and landmarks also see the stem's fine
features where eyes and mouth lie in the crop, and a small network of their own looks at the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.errors import ModelError
from rtrecon.train.details import Details
from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.layers import ConvNorm, Residual, Separable, cut

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


_EYES = ((11, 25), (10, 38))  # brows to lower lids: 99 % of them lie there
_MOUTH = ((28, 40), (13, 35))
_LOCAL = 128  # features of each
# Rendered heads would have a little more of the coefficients, a person before a webcam less
# (docs/decisions/face-dpt-training.md); the jaw line is a matter of the whole head.
_DETAILS_EXPRESSION, _DETAILS_LANDMARKS, _DETAILS_JAW = 0.6, 0.35, 0.15

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


class _Window(nn.Module):
    """What is seen at 1/4 of a fixed part of the crop, as 128 features.

    Args:
        rows, columns: of the window, (first, end) in cells of a 48 x 48 map of the crop.
        inputs: channels of the map.
    """

    CELLS = 48

    def __init__(self, rows: tuple[int, int], columns: tuple[int, int], inputs: int) -> None:
        super().__init__()
        self._rows, self._columns = rows, columns
        across = [-(-(end - first) // 4) for first, end in (rows, columns)]
        self.layers = nn.Sequential(
            ConvNorm(inputs, 48, stride=2),
            nn.ReLU(),
            ConvNorm(48, 64, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * across[0] * across[1], _LOCAL),
            nn.ReLU(),
        )

    def forward(self, x4: Tensor) -> Tensor:
        """Features (n, 128) of the map at 1/4."""
        out: Tensor = self.layers(cut(x4, self._rows, self._columns, self.CELLS))
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
        self.stem2 = ConvNorm(3, c2, stride=2)
        self.stem4 = nn.Sequential(ConvNorm(c2, c4, stride=2), nn.ReLU(), Residual(c4))
        self.stem8 = nn.Sequential(ConvNorm(c4, c8, stride=2), nn.ReLU(), Residual(c8))
        self.embed = ConvNorm(c8, c.width, stride=2)
        cells = c.size_px // 16
        self.position = nn.Parameter(torch.randn(1, c.width, cells, cells) * 0.02)
        self.readout = nn.Parameter(torch.randn(1, 1, c.width) * 0.02)
        self.blocks = nn.ModuleList(_Block(c.width, c.heads, c.mlp) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.width)
        f = c.fusion
        self.project32 = nn.Sequential(ConvNorm(c.width, f, stride=2), nn.ReLU())
        self.project16 = ConvNorm(2 * c.width, f, kernel=1)
        self.project8 = ConvNorm(c8, f, kernel=1)
        self.project4 = ConvNorm(c4, f, kernel=1)
        self.project2 = ConvNorm(c2, c.head, kernel=1)
        self.units32 = nn.Sequential(Separable(f), Separable(f))
        self.units16 = nn.Sequential(Separable(f), Separable(f))
        self.units8 = nn.Sequential(Separable(f), Separable(f))
        self.units4 = nn.Sequential(Separable(f), Separable(f))
        self.reduce = ConvNorm(f, c.head, kernel=1)
        self.dense = nn.Sequential(
            Separable(c.head),
            nn.ReLU(),
            nn.Conv2d(c.head, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 2, 1),
        )
        self.coarse = nn.Linear(c.width, 2 * 16)
        self.token_head = nn.Sequential(nn.Linear(c.width, 192), nn.ReLU())
        self.eyes = _Window(*_EYES, c4)
        self.mouth = _Window(*_MOUTH, c4)
        self.expression = nn.Sequential(
            nn.Linear(192 + 2 * _LOCAL, 192), nn.ReLU(), nn.Linear(192, len(ARKIT_NAMES))
        )
        self.landmarks = nn.Linear(192, 136)
        self.landmarks_local = nn.Linear(2 * _LOCAL, 136)
        self.details = Details()
        self.share_expression = nn.Parameter(torch.empty(len(ARKIT_NAMES)))
        self.share_landmarks = nn.Parameter(torch.empty(136))
        self.reset_shares()
        self.rotation = nn.Linear(192, 6)
        nn.init.constant_(self.expression[2].bias, -2.0)  # type: ignore[arg-type]
        for layer in (
            self.coarse,
            self.dense[4],
            self.landmarks,
            self.landmarks_local,
            self.rotation,
        ):
            nn.init.normal_(layer.weight, std=0.01)  # type: ignore[arg-type]
        with torch.no_grad():
            self.landmarks.bias.fill_(0.5)
            self.landmarks_local.bias.zero_()
            self.rotation.bias.copy_(torch.tensor([1.0, 0, 0, 0, 1.0, 0]))

    def reset_shares(self) -> None:
        """How much of each answer is the details'."""
        with torch.no_grad():
            self.share_expression.fill_(_DETAILS_EXPRESSION)
            self.share_landmarks.fill_(_DETAILS_LANDMARKS)
            self.share_landmarks[: 2 * 17].fill_(_DETAILS_JAW)

    def freeze_norms(self) -> None:
        """Train on with the batch norms' statistics as they are."""
        for module in self.modules():
            if isinstance(module, ConvNorm):
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
        local = torch.cat([self.eyes(x4), self.mouth(x4)], dim=1)
        marks = self.landmarks(readout) + self.landmarks_local(local)
        logits = self.expression(torch.cat([readout, local], dim=1))
        near_logits, near_marks = self.details(image)
        marks = torch.lerp(marks, near_marks, self.share_landmarks.to(marks.dtype))
        logits = torch.lerp(logits, near_logits, self.share_expression.to(logits.dtype))
        return Outputs(
            y[:, :1],
            y[:, 1:],
            torch.sigmoid(logits),
            marks.reshape(-1, 68, 2),
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
