"""The network's transformer in operators that ONNX Runtime has for processors.

The same function as the plain graph, up to 8-bit weights: a matrix product quantises its input
as it goes and adds its bias in the same pass, attention is one operator instead of nine, and the
residual scales are part of the weights before them. At 145 tokens the small operators between
the products cost as much as the products.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.train.network import FaceDpt

__all__ = ["for_cpu"]

_DOMAIN = "com.microsoft"
_LEVELS = 63  # 7 bits: without VNNI two products are added in 16 bits and would overflow with 8


def for_cpu(network: FaceDpt) -> FaceDpt:
    """A copy of ``network`` for `write_onnx`, to be run on processors by ONNX Runtime alone."""
    network = copy.deepcopy(network).eval()
    blocks: Any = network.blocks
    for block in blocks:
        attention, mlp = block.attention, block.mlp
        with torch.no_grad():
            out = _scaled(attention.out, block.scale1)
            last = _scaled(mlp[2], block.scale2)
        block.attention = _Attention(attention.qkv, out, attention.heads)
        block.mlp = nn.Sequential(_Product(mlp[0]), mlp[1], _Product(last))
        block.forward = _PlainBlock(block).forward
    details: Any = network.details
    branches = (details.eyes, details.mouth, details.whole)
    for layers in (*(w.layers for w in (network.eyes, network.mouth)), *branches, details.mixed):
        for k, layer in enumerate(layers):
            if isinstance(layer, nn.Linear):  # as long as all that a window holds
                layers[k] = _Product(layer)
    return network


class _PlainBlock:
    """A block's forward pass without the scales, which its weights have taken in."""

    def __init__(self, block: Any) -> None:
        self._block = block

    def forward(self, x: Tensor) -> Tensor:
        block = self._block
        x = x + block.attention(block.norm1(x))
        out: Tensor = x + block.mlp(block.norm2(x))
        return out


def _scaled(linear: nn.Linear, scale: Tensor) -> nn.Linear:
    made = nn.Linear(linear.in_features, linear.out_features)
    made.weight.copy_(linear.weight * scale[:, None])
    made.bias.copy_(linear.bias * scale)
    return made


class _Attention(nn.Module):
    def __init__(self, qkv: nn.Linear, out: nn.Linear, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = _Product(qkv), _Product(out)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        mixed: Tensor = self.out(_Attend.apply(q, k, v, self.heads))  # type: ignore[no-untyped-call]
        return mixed


class _Product(nn.Module):
    """A linear layer with 7-bit weights, a scale for each output."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        with torch.no_grad():
            scale = linear.weight.abs().amax(dim=1).clamp_min(1e-9) / _LEVELS
            whole = torch.round(linear.weight / scale[:, None]).clamp(-_LEVELS, _LEVELS)
        self.register_buffer("weight", whole.t().contiguous().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros(len(scale), dtype=torch.int8))
        self.register_buffer("bias", linear.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = _Multiply.apply(x, self.weight, self.scale, self.zero, self.bias)  # type: ignore[no-untyped-call]
        return y


class _Multiply(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ARG004
        x: Tensor,
        weight: Tensor,
        scale: Tensor,
        zero: Tensor,  # noqa: ARG004
        bias: Tensor,
    ) -> Tensor:
        return x @ (weight.to(x.dtype) * scale) + bias

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, scale: Any, zero: Any, bias: Any) -> Any:
        out = g.op(f"{_DOMAIN}::DynamicQuantizeMatMul", x, weight, scale, zero, bias)
        sizes = x.type().sizes()
        if sizes is not None:
            out.setType(x.type().with_sizes([*sizes[:-1], scale.type().sizes()[0]]))
        return out


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:  # noqa: ARG004
        n, tokens, width = q.shape
        shape = (n, tokens, heads, width // heads)
        q, k, v = (t.reshape(shape).transpose(1, 2) for t in (q, k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return mixed.transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(g: Any, q: Any, k: Any, v: Any, heads: int) -> Any:
        return g.op(f"{_DOMAIN}::MultiHeadAttention", q, k, v, num_heads_i=heads).setType(q.type())
