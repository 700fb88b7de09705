"""A small network that looks at eyes, mouth and the whole face for coefficients and landmarks.

It sees pixels alone, so that it can be trained without the transformer, at ten times its rate
(`rtrecon.train.fit_details`). 0.02 of the multiplications of the depth.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtrecon.train.face_model import ARKIT_NAMES
from rtrecon.train.layers import ConvNorm, Residual, cut

__all__ = ["Details"]

_CELLS = 192  # of the crop that the windows are given in
_EYES = ((44, 100), (40, 152))  # brows to lower lids: 99 % of them lie there
_MOUTH = ((112, 160), (52, 140))
_FEATURES = 160  # of each branch


class _Branch(nn.Sequential):
    """Features (n, 160) of a picture of ``rows`` x ``columns`` pixels; ``first`` makes it small."""

    def __init__(self, rows: int, columns: int, first: ConvNorm) -> None:
        stride = 4 * int(first[0].stride[0])  # type: ignore[index]
        across = [-(-length // stride) for length in (rows, columns)]
        super().__init__(
            first,
            nn.ReLU(),
            ConvNorm(16, 48, stride=2),
            nn.ReLU(),
            ConvNorm(48, 64, stride=2),
            nn.ReLU(),
            Residual(64),
            ConvNorm(64, 32, kernel=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * across[0] * across[1], _FEATURES),
            nn.ReLU(),
        )


class Details(nn.Module):
    """Face crop in, logits of the coefficients (n, 51) and landmarks (n, 136) out."""

    def __init__(self) -> None:
        super().__init__()
        self.eyes, self.mouth = (
            _Branch(bottom - top, right - left, ConvNorm(3, 16, stride=2))
            for (top, bottom), (left, right) in (_EYES, _MOUTH)
        )
        self.whole = _Branch(_CELLS, _CELLS, ConvNorm(3, 16, kernel=6, stride=6))
        self.mixed = nn.Sequential(nn.Linear(3 * _FEATURES, 256), nn.ReLU())
        self.expression = nn.Linear(256, len(ARKIT_NAMES))
        self.landmarks = nn.Linear(256, 136)
        nn.init.constant_(self.expression.bias, -2.0)
        nn.init.normal_(self.landmarks.weight, std=0.01)
        nn.init.constant_(self.landmarks.bias, 0.5)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """``image`` (n, 3, s, s) RGB in [0, 1]."""
        x = (image - 0.45) * 4.0
        if int(x.shape[-1]) != _CELLS:
            x = functional.interpolate(x, (_CELLS, _CELLS), mode="bilinear", align_corners=False)
        features = torch.cat(
            [
                self.eyes(cut(x, *_EYES, _CELLS)),
                self.mouth(cut(x, *_MOUTH, _CELLS)),
                self.whole(x),
            ],
            dim=1,
        )
        mixed = self.mixed(features)
        return self.expression(mixed), self.landmarks(mixed)
