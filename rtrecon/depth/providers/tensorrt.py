"""NVIDIA cards through TensorRT, with engines that are built once and kept."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from rtrecon.depth.providers import engines, nvidia
from rtrecon.depth.providers.base import ModelSource, Provider, ProviderEntry, Runner
from rtrecon.depth.providers.bound import BoundSession
from rtrecon.depth.providers.cuda import CudaProvider, preload, prove_graph
from rtrecon.errors import ModelError, OutputError

__all__ = ["TensorrtProvider", "heartbeat", "preload_tensorrt"]

logger = logging.getLogger(__name__)

_HEARTBEAT_S = 5.0


class TensorrtProvider(Provider):
    """TensorRT, CUDA for nodes that it does not know; fp16 with layer norms in fp32."""

    name: ClassVar[str] = "tensorrt"
    ort_name: ClassVar[str] = "TensorrtExecutionProvider"
    remedy: ClassVar[str] = (
        "install TensorRT and rtrecon's GPU runtime: pip uninstall onnxruntime; "
        "pip install 'rtrecon[cuda]' 'tensorrt-cu13>=10,<11'"
    )
    is_gpu: ClassVar[bool] = True

    def options(self, source: ModelSource, *, graph: bool) -> dict[str, str]:
        """ONNX Runtime's options of this provider for ``source`` on this machine."""
        half = source.precision == "fp16"
        options = {
            "device_id": "0",
            "trt_fp16_enable": "1" if half else "0",
            # Their sums of squares overflow half precision.
            "trt_layer_norm_fp32_fallback": "1" if half else "0",
            "trt_cuda_graph_enable": "1" if graph else "0",
            "trt_builder_optimization_level": "3",
        }
        key = engines.current_key(source)
        if key is not None:
            folder = str(engines.engine_folder(key))
            options |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": folder,
                "trt_timing_cache_enable": "1",
                "trt_timing_cache_path": folder,
            }
        return options

    def entries(self, source: ModelSource) -> list[ProviderEntry]:
        """See `Provider.entries`; CUDA and the processor take what TensorRT does not know."""
        return self._entries(source, graph=True)

    def ready_for_auto(self, source: ModelSource) -> bool:
        """Only with an engine: building one takes minutes, which nobody asked for."""
        return engines.is_built(engines.current_key(source))

    def problem(self) -> str | None:
        """See `Provider.problem`."""
        missing = nvidia.library_problem(self.name)
        if missing is not None:
            return missing
        if nvidia.find_gpu() is None:
            return "there is no NVIDIA card or driver (no nvidia-smi)"
        return None if nvidia.tensorrt_version() else "TensorRT is not installed"

    def explain(self, reason: str) -> str:
        """See `Provider.explain`."""
        return nvidia.explain(reason)

    def open(self, ort: Any, source: ModelSource, options: Any) -> Runner:
        """See `Provider.open`. Builds the engine where there is none, and says so meanwhile.

        Raises:
            RuntimeError: TensorRT cannot be used here; says why.
            ModelError: the file is int8.
            OutputError: the folder of engines cannot be written.
        """
        preload(ort)
        preload_tensorrt()
        problem = self.problem()
        if problem is not None:
            raise RuntimeError(problem)
        if source.precision == "int8":
            raise ModelError(
                f"TensorRT takes symmetric int8 alone, and the activations of {source.path} are "
                "not: take --precision fp16 or fp32"
            )
        key = engines.current_key(source)
        if key is None:
            raise RuntimeError("card or TensorRT version cannot be told")
        if engines.is_built(key):
            return self._open(ort, source, options)
        folder = engines.engine_folder(key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for leftover in folder.glob("*.engine"):  # of a build that was broken off
                leftover.unlink()
        except OSError as error:
            raise OutputError(f"cannot write {folder}: {error.strerror}") from error
        removed = engines.remove_stale(key)
        logger.warning(
            "building the TensorRT engine of %s for %s: this takes minutes, once%s; "
            "`rtrecon models build` does it ahead",
            source.path.parent.name,
            key.gpu,
            f" ({removed} older removed)" if removed else "",
        )
        with heartbeat("building the engine"):
            runner = self._open(ort, source, options)
        engines.mark_built(key)
        return runner

    def _open(self, ort: Any, source: ModelSource, options: Any) -> Runner:
        try:
            session = self.open_session(ort, source, options, self._entries(source, graph=True))
            runner = BoundSession(ort, session, graph=True)
            prove_graph(runner, source)
        except Exception as error:  # ONNX Runtime raises a class of its own for each status
            logger.info("no CUDA graph for %s: %s", source.path.name, str(error).split("\n")[0])
            session = self.open_session(ort, source, options, self._entries(source, graph=False))
            runner = BoundSession(ort, session)
            prove_graph(runner, source)
        return runner

    def _entries(self, source: ModelSource, *, graph: bool) -> list[ProviderEntry]:
        cuda = CudaProvider()
        return [
            (self.ort_name, self.options(source, graph=graph)),
            (cuda.ort_name, cuda.options(graph=False)),
            "CPUExecutionProvider",
        ]


def preload_tensorrt() -> None:
    """TensorRT from its wheel is not on the loader's path: importing it loads it."""
    try:
        importlib.import_module("tensorrt_libs")
    except ImportError:
        logger.debug("no TensorRT wheel: looking for an installed one")


@contextmanager
def heartbeat(what: str, period_s: float = _HEARTBEAT_S) -> Iterator[None]:
    """Say every few seconds that ``what`` goes on, and at the end how long it took."""
    done = threading.Event()
    start_s = time.monotonic()

    def beat() -> None:
        while not done.wait(period_s):
            logger.info("%s: %.0f s so far", what, time.monotonic() - start_s)

    thread = threading.Thread(target=beat, name="rtrecon-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        logger.info("%s: ended after %.1f s", what, time.monotonic() - start_s)
