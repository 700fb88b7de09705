"""The optimiser: Muon for the weights that are matrices, AdamW for everything else."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Optimiser"]

# What meets the picture or gives an answer is no map between features; what looks at windows ends
# in layers far wider than high, of which Muon's products would cost more than the step.
_ENDS = (
    "stem2.",
    "dense.4.",
    "coarse.",
    "eyes.",
    "mouth.",
    "details.",
    "expression.",
    "landmarks.",
    "landmarks_local.",
    "rotation.",
)


class Optimiser:
    """Muon (Jordan et al. 2024) with AdamW's size of a step (Liu et al. 2025, section 2.2).

    Convolutions count as matrices from all they see to what they give; depthwise ones, norms,
    biases and the network's ends are AdamW's.

    Args:
        network: what is trained.
        weight_decay: of what has two dimensions or more.
    """

    def __init__(self, network: nn.Module, weight_decay: float) -> None:
        self._convolutions: list[tuple[nn.Parameter, nn.Parameter]] = []
        matrices: list[nn.Parameter] = []
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in network.named_parameters():
            if parameter.ndim < 2:
                others.append(parameter)
            elif name.startswith(_ENDS) or 1 in parameter.shape[:2]:
                decayed.append(parameter)
            elif parameter.ndim == 4:
                # PyTorch's Muon takes matrices alone: a view of the same numbers is one.
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
                matrix = nn.Parameter(_as_matrix(parameter.detach()))
                self._convolutions.append((parameter, matrix))
                matrices.append(matrix)
            else:
                matrices.append(parameter)
        self._parts: dict[str, torch.optim.Optimizer] = {
            "muon": torch.optim.Muon(
                matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            ),
            "adamw": torch.optim.AdamW(
                [
                    {"params": decayed, "weight_decay": weight_decay},
                    {"params": others, "weight_decay": 0.0},
                ],
                betas=(0.9, 0.98),
            ),
        }
        self._network = network

    def step(self, rate: float) -> None:
        """Move the weights along their gradients with learning rate ``rate``."""
        for parameter, matrix in self._convolutions:
            matrix.grad = None if parameter.grad is None else _as_matrix(parameter.grad)
        for part in self._parts.values():
            for group in part.param_groups:
                group["lr"] = rate
            part.step()

    def zero_grad(self) -> None:
        """Drop the gradients."""
        self._network.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """All of its state, for a checkpoint."""
        return {
            f"{name}.{k}.{key}": torch.as_tensor(value)
            for name, part in self._parts.items()
            for k, state in part.state_dict()["state"].items()
            for key, value in state.items()
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over what `tensors` gave."""
        for name, part in self._parts.items():
            whole = part.state_dict()
            for path, tensor in tensors.items():
                of, k, key = path.split(".")
                if of == name:
                    whole["state"].setdefault(int(k), {})[key] = tensor
            part.load_state_dict(whole)


def _as_matrix(weight: Tensor) -> Tensor:
    """(o, i, h, w), channels last in memory, as (o, h * w * i)."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
