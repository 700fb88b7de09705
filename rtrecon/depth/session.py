"""One ONNX Runtime session on a provider that has proved itself by running the model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtrecon.errors import MissingExtraError, ModelError, ProviderError

if TYPE_CHECKING:
    import onnxruntime as ort

__all__ = ["AUTO_ORDER", "PROVIDERS", "ProviderReport", "create_session", "default_threads"]

logger = logging.getLogger(__name__)

PROVIDERS: Mapping[str, str] = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Short name to ONNX Runtime's name."""

AUTO_ORDER = ("cuda", "coreml", "directml", "openvino", "cpu")
"""What ``auto`` tries, first to last. TensorRT builds an engine for minutes: only by name."""

_REMEDY = {
    "cuda": "install an NVIDIA driver and rtrecon's GPU runtime: pip uninstall onnxruntime; "
    "pip install 'rtrecon[cuda]'",
    "tensorrt": "install TensorRT and rtrecon's GPU runtime: pip uninstall onnxruntime; "
    "pip install 'rtrecon[cuda]' tensorrt",
    "coreml": "it needs macOS and onnxruntime for it: pip install 'rtrecon[cpu]'",
    "directml": "it needs Windows: pip uninstall onnxruntime; pip install onnxruntime-directml",
    "openvino": "pip uninstall onnxruntime; pip install onnxruntime-openvino",
    "cpu": "pip install 'rtrecon[cpu]'",
}
_said: set[str] = set()  # fallbacks already warned of in this process


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """What a session runs on; ``failed`` says why each provider tried before it did not."""

    provider: str
    threads: int
    failed: Mapping[str, str] = field(default_factory=dict)


def default_threads() -> int:
    """CPU threads for a model: the cores this process may use, at most four.

    More than four gain little on a model of this size and take cores from capture and view.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, min(4, cores))


def create_session(
    path: str | Path | Callable[[str], Path],
    provider: str = "auto",
    threads: int | None = None,
    *,
    free_size: int = 192,
) -> tuple[ort.InferenceSession, ProviderReport]:
    """Open an ONNX file where it really runs: the session is run once on zeros.

    Args:
        path: the ONNX file, or a function from a provider's short name to it.
        provider: ``auto`` or a name of `PROVIDERS`.
        threads: CPU threads; None takes `default_threads`.
        free_size: used for the proof in place of free spatial dimensions.

    Raises:
        ProviderError: the provider that was named does not work; says why and the remedy.
        ModelError: the file is missing or is not a model that ONNX Runtime can run.
        MissingExtraError: no ONNX Runtime is installed.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "cpu") from error
    if provider != "auto" and provider not in PROVIDERS:
        raise ProviderError(
            f"there is no provider {provider!r}: take auto or one of {', '.join(PROVIDERS)}"
        )
    threads = threads or default_threads()
    available = ort.get_available_providers()
    failed: dict[str, str] = {}
    for name in AUTO_ORDER if provider == "auto" else (provider,):
        if PROVIDERS[name] not in available:
            if provider == name:
                raise ProviderError(
                    f"provider {name} is not in the installed ONNX Runtime {ort.__version__}: "
                    f"{_REMEDY[name]}; or use --provider cpu"
                )
            continue
        file = Path(path(name) if callable(path) else path)
        if not file.is_file():
            raise ModelError(f"model file {file} is missing: fetch the model again")
        try:
            session = _prove(ort, file, name, threads, free_size)
        except Exception as error:  # ONNX Runtime raises a class of its own for each status
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            if name == "cpu":
                raise ModelError(f"{file} cannot be run: {reason}") from error
            if provider == name:
                raise ProviderError(
                    f"provider {name} does not work here: {reason}; {_REMEDY[name]}; "
                    "or use --provider cpu"
                ) from error
            failed[name] = reason
            continue
        for loser, reason in failed.items():
            _say_once(loser, name, reason)
        return session, ProviderReport(name, threads, failed)
    raise ProviderError(f"no provider works: {failed or 'none is installed'}; {_REMEDY['cpu']}")


def _prove(
    ort_module: Any, file: Path, name: str, threads: int, free_size: int
) -> ort.InferenceSession:
    if name in ("cuda", "tensorrt") and hasattr(ort_module, "preload_dlls"):
        # CUDA and cuDNN from their wheels are not on the loader's path.
        ort_module.preload_dlls()
    options = ort_module.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # a failure is raised or said by us
    # Spinning threads fight capture and view for few cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [PROVIDERS[name]]
    if name == "tensorrt":
        providers.append(PROVIDERS["cuda"])
    if name != "cpu":
        providers.append(PROVIDERS["cpu"])
    session = ort_module.InferenceSession(str(file), options, providers=providers)
    session.disable_fallback()
    running = session.get_providers()
    if not running or running[0] != PROVIDERS[name]:
        raise RuntimeError("its libraries did not load, ONNX Runtime turned to another provider")
    feeds = {i.name: _zeros(i, free_size) for i in session.get_inputs()}
    for output in session.run(None, feeds):
        if np.issubdtype(output.dtype, np.floating) and not np.isfinite(output).all():
            raise RuntimeError("a trial run gave values that are not finite")
    return session


def _zeros(node: Any, free_size: int) -> np.ndarray[Any, Any]:
    types = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
    if node.type not in types:
        raise RuntimeError(f"its input {node.name} is {node.type}, which is not supported")
    shape = [
        size if isinstance(size, int) and size > 0 else (1 if axis == 0 else free_size)
        for axis, size in enumerate(node.shape)
    ]
    return np.zeros(shape, dtype=types[node.type])


def _say_once(loser: str, winner: str, reason: str) -> None:
    if loser not in _said:
        _said.add(loser)
        logger.warning("provider %s does not work here (%s): using %s", loser, reason, winner)
