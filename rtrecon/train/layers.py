"""Layers that several parts of the network are made of."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["ConvNorm", "Residual", "Separable", "cut"]


class ConvNorm(nn.Sequential):
    """Convolution and batch norm; with ``frozen`` set, training keeps the norm's statistics.

    The frozen norm is part of the convolution's weights: nothing passes over the maps again.
    An odd ``kernel`` is padded by half; an even one sees each pixel in one place alone.
    """

    frozen = False

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1
    ) -> None:
        padding = kernel // 2 if kernel % 2 else 0
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same kind."""
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


class Residual(nn.Module):
    """x + conv(relu(conv(x))), dense: on CPUs with wide vectors depthwise saves little."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels)
        self.second = ConvNorm(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same kind."""
        out: Tensor = functional.relu(x + self.second(functional.relu(self.first(x))))
        return out


class Separable(nn.Module):
    """Residual unit of the fusion: depthwise, pointwise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(channels, channels, groups=channels)
        self.pointwise = ConvNorm(channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the same kind."""
        out: Tensor = x + self.pointwise(functional.relu(self.depthwise(x)))
        return out


def cut(x: Tensor, rows: tuple[int, int], columns: tuple[int, int], of: int) -> Tensor:
    """The window of a map (n, c, h, w) that ``rows`` and ``columns`` give in ``of`` x ``of`` cells.

    A map of another size gives as many cells, interpolated.
    """
    unit = int(x.shape[-1]) / of
    (top, bottom), (left, right) = ([round(at * unit) for at in span] for span in (rows, columns))
    window = x[:, :, top:bottom, left:right]
    shape = (rows[1] - rows[0], columns[1] - columns[0])
    if tuple(window.shape[-2:]) != shape:
        window = functional.interpolate(window, shape, mode="bilinear", align_corners=False)
    return window
