"""Providers that need options alone: processor, OpenVINO, CoreML, DirectML."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

from rtrecon.depth.providers.base import ModelSource, Provider, ProviderEntry, Runner
from rtrecon.depth.trim import trim_outputs

__all__ = ["CoreMLProvider", "CpuProvider", "DirectMLProvider", "OpenVinoProvider"]

_CPU = "CPUExecutionProvider"


class CpuProvider(Provider):
    """ONNX Runtime's own kernels on the processor."""

    name: ClassVar[str] = "cpu"
    ort_name: ClassVar[str] = _CPU
    remedy: ClassVar[str] = "pip install 'rtrecon[cpu]'"

    def entries(self, source: ModelSource) -> list[ProviderEntry]:  # noqa: ARG002
        """See `Provider.entries`."""
        return [_CPU]

    def graph(self, source: ModelSource) -> str | bytes:
        """See `Provider.graph`; without what leads to outputs that nobody asked for.

        On the processor alone: a graphics card's engine is built once, for the whole model.
        """
        whole = super().graph(source)
        if not source.outputs or isinstance(whole, str):
            return whole
        return trim_outputs(whole, source.outputs) or whole


class OpenVinoProvider(Provider):
    """Processors through OpenVINO, in the precision of the file."""

    name: ClassVar[str] = "openvino"
    ort_name: ClassVar[str] = "OpenVINOExecutionProvider"
    remedy: ClassVar[str] = "pip uninstall onnxruntime; pip install onnxruntime-openvino"

    def entries(self, source: ModelSource) -> list[ProviderEntry]:  # noqa: ARG002
        """See `Provider.entries`."""
        return self._entries({})

    def open(self, ort: Any, source: ModelSource, options: Any) -> Runner:
        """See `Provider.open`; OpenVINO does not look at the session's threads."""
        threads = {"num_of_threads": str(options.intra_op_num_threads)}
        runner: Runner = self.open_session(ort, source, options, self._entries(threads))
        return runner

    def _entries(self, more: dict[str, str]) -> list[ProviderEntry]:
        return [(self.ort_name, {"device_type": "CPU", "precision": "ACCURACY", **more}), _CPU]


class CoreMLProvider(Provider):
    """Apple's processor, graphics and neural engine."""

    name: ClassVar[str] = "coreml"
    ort_name: ClassVar[str] = "CoreMLExecutionProvider"
    remedy: ClassVar[str] = "it needs macOS and onnxruntime for it: pip install 'rtrecon[cpu]'"

    def entries(self, source: ModelSource) -> list[ProviderEntry]:  # noqa: ARG002
        """See `Provider.entries`."""
        options = {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}
        return [(self.ort_name, {**options, "RequireStaticInputShapes": "1"}), _CPU]

    def problem(self) -> str | None:
        """See `Provider.problem`."""
        return None if sys.platform == "darwin" else "it exists on macOS only"


class DirectMLProvider(Provider):
    """Any Direct3D 12 graphics card under Windows."""

    name: ClassVar[str] = "directml"
    ort_name: ClassVar[str] = "DmlExecutionProvider"
    remedy: ClassVar[str] = (
        "it needs Windows: pip uninstall onnxruntime; pip install onnxruntime-directml"
    )
    is_gpu: ClassVar[bool] = True

    def entries(self, source: ModelSource) -> list[ProviderEntry]:  # noqa: ARG002
        """See `Provider.entries`."""
        return [(self.ort_name, {"device_id": "0"}), _CPU]

    def problem(self) -> str | None:
        """See `Provider.problem`."""
        return None if sys.platform == "win32" else "it exists on Windows only"

    def open(self, ort: Any, source: ModelSource, options: Any) -> Runner:
        """See `Provider.open`; DirectML allows neither memory patterns nor parallel nodes."""
        options.enable_mem_pattern = False
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        runner: Runner = self.open_session(ort, source, options, self.entries(source))
        return runner
