"""NVIDIA cards through ONNX Runtime's CUDA provider."""

from __future__ import annotations

import contextlib
import io
import logging
from typing import Any, ClassVar

from rtrecon.depth.providers import nvidia
from rtrecon.depth.providers.base import ModelSource, Provider, ProviderEntry, Runner
from rtrecon.depth.providers.bound import BoundSession

__all__ = ["CudaProvider"]

logger = logging.getLogger(__name__)

_CPU = "CPUExecutionProvider"


class CudaProvider(Provider):
    """CUDA kernels, buffers that stay on the card, and a CUDA graph where the model allows."""

    name: ClassVar[str] = "cuda"
    ort_name: ClassVar[str] = "CUDAExecutionProvider"
    remedy: ClassVar[str] = (
        "install an NVIDIA driver and rtrecon's GPU runtime: pip uninstall onnxruntime; "
        "pip install 'rtrecon[cuda]'"
    )
    is_gpu: ClassVar[bool] = True

    def options(self, *, graph: bool) -> dict[str, str]:
        """ONNX Runtime's options of this provider.

        Algorithms of convolutions are searched once at the first run, which the proof is;
        copies share the compute stream, so that a run waits for its own upload alone.
        """
        return {
            "device_id": "0",
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "EXHAUSTIVE",
            "cudnn_conv_use_max_workspace": "1",
            "do_copy_in_default_stream": "1",
            "enable_cuda_graph": "1" if graph else "0",
        }

    def entries(self, source: ModelSource) -> list[ProviderEntry]:  # noqa: ARG002
        """See `Provider.entries`; with a CUDA graph."""
        return [(self.ort_name, self.options(graph=True)), _CPU]

    def problem(self) -> str | None:
        """See `Provider.problem`."""
        missing = nvidia.library_problem(self.name)
        if missing is not None:
            return missing
        return None if nvidia.find_gpu() else "there is no NVIDIA card or driver (no nvidia-smi)"

    def explain(self, reason: str) -> str:
        """See `Provider.explain`."""
        return nvidia.explain(reason)

    def open(self, ort: Any, source: ModelSource, options: Any) -> Runner:
        """See `Provider.open`. Without a CUDA graph where a node has to run elsewhere."""
        preload(ort)
        try:
            session = self.open_session(ort, source, options, self.entries(source))
            runner = BoundSession(ort, session, graph=True)
            prove_graph(runner, source)
        except Exception as error:  # ONNX Runtime raises a class of its own for each status
            problem = self.problem()
            if problem is not None:
                raise RuntimeError(problem) from error
            logger.info("no CUDA graph for %s: %s", source.path.name, str(error).split("\n")[0])
            plain: list[ProviderEntry] = [(self.ort_name, self.options(graph=False)), _CPU]
            return BoundSession(ort, self.open_session(ort, source, options, plain))
        return runner


def preload(ort: Any) -> None:
    """CUDA and cuDNN from their wheels are not on the loader's path.

    What is missing, ONNX Runtime prints on standard output, which is for results: `problem`
    says it.
    """
    if hasattr(ort, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            ort.preload_dlls()


def prove_graph(runner: BoundSession, source: ModelSource) -> None:
    """Record the graph and replay it once, so that a graph that fails does so here."""
    import numpy as np

    node = runner.get_inputs()[0]
    dtype = np.float16 if node.type == "tensor(float16)" else np.float32
    zeros = np.zeros(source.shape, dtype=dtype)
    for _ in range(3):
        runner.run(None, {node.name: zeros})
