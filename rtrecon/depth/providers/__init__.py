"""Where a depth model can run: one small contract, one class a provider."""

from __future__ import annotations

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
from rtrecon.errors import ProviderError, UserError
from rtrecon.plugins import Registry

__all__ = [
    "AUTO_ORDER",
    "PLUGINS",
    "REGISTRY",
    "ModelSource",
    "Provider",
    "Runner",
    "get_provider",
    "provider_names",
]

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

PLUGINS = Registry(
    "provider", "rtrecon.providers", {"torch": "rtrecon.depth.providers.torch:TorchProvider"}
)
"""Providers that are imported only when they are named: of an extra, of other packages."""


def get_provider(name: str) -> Provider | None:
    """The provider of this short name, or None.

    Raises:
        ProviderError: another package brings it, and is broken.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    if not PLUGINS.has(name):
        return None
    try:
        provider: Provider = PLUGINS.load(name)()
    except UserError as error:
        raise ProviderError(str(error)) from error
    return provider


def provider_names() -> list[str]:
    """Every provider that can be named."""
    return [*REGISTRY, *PLUGINS.names()]
