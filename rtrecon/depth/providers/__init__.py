"""Where a depth model can run: one small contract, one class a provider."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from rtrecon.depth.providers.base import ModelSource, Provider, Runner
from rtrecon.depth.providers.cuda import CudaProvider
from rtrecon.depth.providers.plain import (
    CoreMLProvider,
    CpuProvider,
    DirectMLProvider,
    OpenVinoProvider,
)
from rtrecon.depth.providers.tensorrt import TensorrtProvider

__all__ = ["AUTO_ORDER", "EXTRAS", "REGISTRY", "ModelSource", "Provider", "Runner", "get_provider"]

REGISTRY: Mapping[str, Provider] = {
    provider.name: provider
    for provider in (
        CudaProvider(),
        TensorrtProvider(),
        CoreMLProvider(),
        DirectMLProvider(),
        OpenVinoProvider(),
        CpuProvider(),
    )
}
"""Short name to provider."""

AUTO_ORDER = ("tensorrt", "cuda", "directml", "coreml", "openvino", "cpu")
"""What ``auto`` tries, first to last; TensorRT only where its engine has been built."""

EXTRAS: Mapping[str, str] = {"torch": "rtrecon.models.torch_backend:TorchProvider"}
"""Providers of an extra, imported only when they are named."""


def get_provider(name: str) -> Provider | None:
    """The provider of this short name, or None."""
    if name in EXTRAS:
        module, _, attribute = EXTRAS[name].partition(":")
        provider: Provider = getattr(importlib.import_module(module), attribute)()
        return provider
    return REGISTRY.get(name)
