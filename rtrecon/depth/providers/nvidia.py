"""What NVIDIA card and driver there is, and what keeps ONNX Runtime from using it."""

from __future__ import annotations

import ctypes
import importlib.metadata
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["Gpu", "explain", "find_gpu", "library_problem", "tensorrt_version"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """The first NVIDIA card: its name, compute capability such as ``9.0``, and driver."""

    name: str
    compute_capability: str
    driver: str


@lru_cache(maxsize=1)
def find_gpu() -> Gpu | None:
    """The first card as the driver's own tool names it; None without card or driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        answer = subprocess.run(
            [tool, "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_gpu(answer)


def parse_gpu(answer: str) -> Gpu | None:
    """The first line of nvidia-smi's ``name, compute_cap, driver_version``."""
    fields = [field.strip() for field in answer.strip().split("\n")[0].split(",")]
    return Gpu(*fields) if len(fields) == 3 and all(fields) else None


@lru_cache(maxsize=1)
def tensorrt_version() -> str | None:
    """Version of the TensorRT that ONNX Runtime will load; None if there is none."""
    for package in ("tensorrt-cu13-libs", "tensorrt-cu12-libs", "tensorrt"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    names = ("nvinfer_10.dll",) if sys.platform == "win32" else ("libnvinfer.so.10",)
    for name in names:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        get_version = library.getInferLibVersion
        get_version.restype = ctypes.c_int32
        number = int(get_version())
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return None


def library_problem(provider: str) -> str | None:
    """Load ONNX Runtime's library for ``provider`` (cuda, tensorrt); why that fails, or None.

    ONNX Runtime itself says this on its log alone and goes on with the processor.
    """
    import onnxruntime

    folder = Path(onnxruntime.__file__).parent / "capi"
    prefix, suffix = ("", ".dll") if sys.platform == "win32" else ("lib", ".so")
    library = folder / f"{prefix}onnxruntime_providers_{provider}{suffix}"
    if not library.is_file():
        return f"the installed ONNX Runtime has no {library.name}"
    try:
        ctypes.CDLL(str(folder / f"{prefix}onnxruntime_providers_shared{suffix}"))
        ctypes.CDLL(str(library))
    except OSError as error:
        return explain(str(error))
    return None


_CAUSES = (
    (r"driver version is insufficient|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "driver"),
    (r"no CUDA-capable device|CUDA_ERROR_NO_DEVICE|error 100\b", "device"),
    (r"out of memory|CUDA_ERROR_OUT_OF_MEMORY|bad allocation", "memory"),
    (r"no kernel image is available", "kernel"),
    (r"((?:lib)?[\w.+-]+?\.(?:so[\w.]*|dll))[\"']?:? ?cannot open shared object", "library"),
    (r"not been partitioned to|NOT_IMPLEMENTED|Could not find an implementation", "node"),
)
_WORDS = {
    "driver": "the NVIDIA driver is older than this ONNX Runtime's CUDA: update the driver",
    "device": "the driver shows no NVIDIA card to this process: check nvidia-smi and "
    "CUDA_VISIBLE_DEVICES",
    "memory": "the card's memory is full: close other programs or take a smaller model",
    "kernel": "this ONNX Runtime is not built for a card of this age",
    "node": "a node of the model is not supported there",
}


def explain(reason: str) -> str:
    """What ONNX Runtime, CUDA or the loader said, with its cause put first where known."""
    for pattern, cause in _CAUSES:
        found = re.search(pattern, reason, re.IGNORECASE)
        if found is None:
            continue
        if cause == "library":
            if found[1].startswith(("libcuda.so", "nvcuda")):
                return f"there is no NVIDIA driver (library {found[1]} is missing)"
            return f"library {found[1]} is missing"
        return f"{_WORDS[cause]} ({reason})"
    return reason
