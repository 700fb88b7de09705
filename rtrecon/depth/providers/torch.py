"""A checkpoint in PyTorch behind the contract of a provider: the reference, and an answer
where ONNX Runtime's GPU build is not to be had.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rtrecon.depth.checkpoint import load_checkpoint
from rtrecon.depth.providers.base import ModelSource, Provider, ProviderEntry, Runner
from rtrecon.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import torch

__all__ = ["TorchProvider", "TorchRunner"]

logger = logging.getLogger(__name__)

_WARM_UP_RUNS = 3


@dataclass(frozen=True, slots=True)
class _Node:
    name: str
    type: str
    shape: tuple[int, ...]


class TorchProvider(Provider):
    """The model's own checkpoint in PyTorch: on CUDA as a recorded graph, else on the CPU."""

    name: ClassVar[str] = "torch"
    ort_name: ClassVar[str] = "torch"
    remedy: ClassVar[str] = "pip install 'rtrecon[export]'"

    def entries(self, source: ModelSource) -> list[ProviderEntry]:  # noqa: ARG002
        """Empty: ONNX Runtime has no part in it."""
        return []

    def is_available(self, installed: Sequence[str]) -> bool:  # noqa: ARG002
        """Whether PyTorch and transformers are installed."""
        import importlib.util

        return all(importlib.util.find_spec(name) for name in ("torch", "transformers"))

    def open(self, ort: Any, source: ModelSource, options: Any) -> Runner:  # noqa: ARG002
        """Load the checkpoint that the model was exported from.

        Raises:
            ModelError: the manifest names none, or it is not there any more.
        """
        origin = source.origin.get("checkpoint")
        if not origin:
            raise ModelError(
                f"{source.path.parent / 'model.json'} names no checkpoint: only models from "
                "`rtrecon models export` run in torch; use --provider cpu"
            )
        loaded = load_checkpoint(origin, size_px=source.shape[2], offline=True, attention=None)
        for what in ("revision", "sha256"):
            if loaded.origin.get(what) != source.origin.get(what):
                raise ModelError(
                    f"checkpoint {origin} is not the one that {source.path.parent} was exported "
                    f"from (another {what}): export it again"
                )
        return TorchRunner(
            loaded.module,
            source.shape,
            output=loaded.kind,
            half=source.precision == "fp16",
            threads=options.intra_op_num_threads,
        )


class TorchRunner:
    """One PyTorch module at a fixed shape; a `Runner`.

    On CUDA the input and output buffers and the whole forward pass are recorded as a CUDA
    graph and replayed. ``half`` is float16 on CUDA and bfloat16 on the CPU. ``compiled``
    puts `torch.compile` before that, which takes minutes.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        shape: tuple[int, int, int, int],
        *,
        output: str = "inverse",
        half: bool = False,
        threads: int = 2,
        compiled: bool = False,
        device: str | None = None,
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("torch", "export") from error
        self._torch = torch
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        on_gpu = self.device == "cuda"
        self.dtype = (torch.float16 if on_gpu else torch.bfloat16) if half else torch.float32
        if not on_gpu:
            torch.set_num_threads(threads)
        self._module = module.to(self.device, self.dtype).eval()
        if compiled:
            self._module.compile(mode="max-autotune-no-cudagraphs")
        self._shape = shape
        self._output = output
        self._image = torch.zeros(shape, dtype=self.dtype, device=self.device)
        self._graph: Any = None
        self._depth: Any = None
        if on_gpu:
            self._record()

    def get_inputs(self) -> Sequence[_Node]:
        """The one input, float32 as the ONNX files take it."""
        return [_Node("image", "tensor(float)", self._shape)]

    def get_outputs(self) -> Sequence[_Node]:
        """The one output."""
        return [_Node(self._output, "tensor(float)", (self._shape[0], *self._shape[2:]))]

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, np.ndarray[Any, Any]]
    ) -> list[np.ndarray[Any, Any]]:
        """As ONNX Runtime's ``run``: (n, 3, h, w) float32 in, (n, h, w) float32 out."""
        torch = self._torch
        image = np.ascontiguousarray(next(iter(input_feed.values())), dtype=np.float32)
        with torch.inference_mode():
            self._image.copy_(torch.from_numpy(image))
            if self._graph is not None:
                self._graph.replay()
            else:
                self._depth = self._module(self._image)
            # A copy: the graph writes into the same memory at every replay.
            depth: np.ndarray[Any, Any] = self._depth.float().cpu().numpy().copy()
        return [depth for _ in (output_names or [self._output])]

    def _record(self) -> None:
        torch = self._torch
        with torch.inference_mode():
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(_WARM_UP_RUNS):
                    self._module(self._image)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._depth = self._module(self._image)
            self._graph = graph
